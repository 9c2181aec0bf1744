package probe_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"farshore/agent/probe"
	"farshore/agent/record"
	"farshore/providers"
)

// permit answers the named probes with Permitted, but for vault/, where a writer has nothing to write.
func permit(names ...string) func(room, name string) probe.Result {
	return func(room, name string) probe.Result {
		if room != "vault" && slices.Contains(names, name) {
			return probe.Result{Answer: probe.Permitted, Code: "HTTP 200"}
		}
		return probe.Result{}
	}
}

func reply(r probe.Result, room string, names ...string) func(room, name string) probe.Result {
	return func(in, name string) probe.Result {
		if slices.Contains(names, name) && (room == "*" || room == in) {
			return r
		}
		return probe.Result{}
	}
}

func span(d time.Duration) *time.Duration { return &d }

var unknown = probe.Result{Answer: probe.Unknown, Code: "HTTP 500", Text: "no idea"}

// TestVerdict holds what each way in which a store can answer comes to.
func TestVerdict(t *testing.T) {
	tests := map[string]struct {
		change func(*world)
		want   probe.Verdict
		grants []string
		says   string
	}{
		"everything denied":                 {func(*world) {}, probe.Protected, nil, "the store denied; nobody at all can remove before 2027-01-01T12:00:00Z"},
		"overwrite, locked beneath":         {func(w *world) { w.answer = permit("overwrite") }, probe.Protected, nil, "leaves the locked original beneath it"},
		"overwrite and marker, locked":      {func(w *world) { w.answer = permit("overwrite", "delete") }, probe.Protected, nil, "overwrite, delete in meta/, commits/, reports/, packs/ leaves"},
		"excess alone":                      {func(w *world) { w.answer = permit("set-own-lock") }, probe.Protected, nil, "the store denied"},
		"shorten":                           {func(w *world) { w.answer = permit("shorten") }, probe.Unprotected, []string{"PutRetention"}, "may shorten"},
		"delete version":                    {func(w *world) { w.answer = permit("delete-version") }, probe.Unprotected, []string{"DeleteVersion"}, "take away DeleteVersion"},
		"delete version in one room":        {func(w *world) { w.answer = reply(probe.Result{Answer: probe.Permitted}, "packs", "delete-version") }, probe.Unprotected, []string{"DeleteVersion"}, "delete-version in packs/"},
		"hide in vault, where nothing lies": {func(w *world) { w.answer = reply(probe.Result{Answer: probe.Permitted}, "vault", "delete") }, probe.Unproven, nil, "delete in vault/"},
		"delete version in vault":           {func(w *world) { w.answer = reply(probe.Result{Answer: probe.Permitted}, "vault", "delete-version") }, probe.Unprotected, []string{"DeleteVersion"}, "delete-version in vault/"},
		"lifecycle":                         {func(w *world) { w.answer = permit("lifecycle") }, probe.Unprotected, []string{"PutLifecycle"}, "lifecycle in the bucket"},
		"one unknown":                       {func(w *world) { w.answer = reply(unknown, "packs", "delete-version") }, probe.Unproven, nil, "1 of 21 attempts"},
		"unknown bucket probe":              {func(w *world) { w.answer = reply(unknown, "", "lifecycle") }, probe.Unproven, nil, "it may have PutLifecycle"},
		"unknown excess":                    {func(w *world) { w.answer = reply(unknown, "*", "set-own-lock") }, probe.Protected, nil, ""},
		"absent":                            {func(w *world) { w.answer = reply(probe.Result{Answer: probe.Unknown, Absent: true}, "", "lifecycle") }, probe.Protected, nil, ""},
		"absent is no excuse for permitted": {func(w *world) { w.answer = reply(probe.Result{Answer: probe.Permitted, Absent: true}, "", "lifecycle") }, probe.Unprotected, []string{"PutLifecycle"}, ""},
		"an answer that is none":            {func(w *world) { w.answer = reply(probe.Result{Answer: "maybe"}, "", "lifecycle") }, probe.Unproven, nil, ""},
		"held in one room":                  {func(w *world) { w.answer = reply(probe.Result{Answer: probe.Unknown, Held: true}, "vault", "shorten") }, probe.Protected, nil, ""},
		"held in every room":                {func(w *world) { w.answer = reply(probe.Result{Answer: probe.Unknown, Held: true}, "*", "shorten") }, probe.Unproven, nil, ""},
		"held without a lock that binds": {func(w *world) {
			w.settings.Mode = providers.Governance
			w.answer = reply(probe.Result{Answer: probe.Unknown, Held: true}, "vault", "shorten")
		}, probe.Unproven, nil, ""},
		"held is about locks alone": {func(w *world) {
			w.answer = reply(probe.Result{Answer: probe.Unknown, Held: true}, "vault", "delete-version")
		}, probe.Unproven, nil, ""},
		"overwrite, no versions":             {func(w *world) { w.unversioned = true; w.answer = permit("overwrite") }, probe.Unprotected, []string{"PutObject"}, "what it lies over is gone"},
		"delete, no versions":                {func(w *world) { w.unversioned = true; w.answer = permit("delete") }, probe.Unprotected, []string{"Delete"}, "gone"},
		"overwrite, store shows no versions": {func(w *world) { w.sight = providers.SightNone; w.answer = permit("overwrite") }, probe.Unprotected, []string{"PutObject"}, "gone"},
		"overwrite, versions not to be seen": {func(w *world) { w.sight = providers.SightDenied; w.answer = permit("overwrite") }, probe.Unproven, nil, "may not list versions"},
		"overwrite, no lock beneath":         {func(w *world) { w.settings.Mode, w.settings.Retention = "", 0; w.answer = permit("overwrite") }, probe.Unprotected, []string{"PutObject"}, "no lock keeps it there"},
		"overwrite, governance beneath":      {func(w *world) { w.settings.Mode = providers.Governance; w.answer = permit("overwrite") }, probe.Unprotected, []string{"PutObject"}, "no lock keeps it there"},
		"governance, everything denied":      {func(w *world) { w.settings.Mode = providers.Governance }, probe.Protected, nil, "the store denied"},
		"no lock, everything denied":         {func(w *world) { w.settings.Mode, w.settings.Retention = "", 0 }, probe.Protected, nil, "the store denied"},
		"overwrite, lock not to be read": {func(w *world) {
			w.lockErr = func(n string) error { return failed(providers.Denied, n) }
			w.answer = permit("overwrite")
		}, probe.Unproven, nil, "could not be read"},
		"overwrite, body not to be read": {func(w *world) { w.readErr = failed(providers.Denied, "x"); w.answer = permit("overwrite") }, probe.Protected, nil, "leaves the locked original"},
		"overwrite, reading fails":       {func(w *world) { w.readErr = failed(providers.Temporary, "x"); w.answer = permit("overwrite") }, probe.Unproven, nil, ""},
		"marker and a rule for what is hidden": {func(w *world) {
			w.settings.Rules = []providers.Rule{{ID: "tidy", Noncurrent: span(7 * day)}}
			w.answer = permit("delete")
		}, probe.Unprotected, []string{"Delete"}, `rule "tidy" removes what was overwritten or hidden after 7 days`},
		"marker and a rule after the lock": {func(w *world) {
			w.settings.Rules = []providers.Rule{{ID: "tidy", Noncurrent: span(60 * day)}}
			w.answer = permit("delete")
		}, probe.Protected, nil, ""},
		"marker and a rule for elsewhere": {func(w *world) {
			w.settings.Rules = []providers.Rule{{ID: "tidy", Prefix: "logs/", Noncurrent: span(0)}}
			w.answer = permit("delete")
		}, probe.Protected, nil, ""},
		"marker and a rule for a room": {func(w *world) {
			w.settings.Rules = []providers.Rule{{ID: "tidy", Prefix: "vaults/one/packs/", Noncurrent: span(0)}}
			w.answer = permit("delete")
		}, probe.Unprotected, []string{"Delete"}, "at once"},
		"a rule alone": {func(w *world) { w.settings.Rules = []providers.Rule{{ID: "tidy", Expire: span(day)}} }, probe.Protected, nil, ""},
		"a rule alone, and no lock": {func(w *world) {
			w.settings = providers.Settings{Versioning: "off", Rules: []providers.Rule{{ID: "tidy", Expire: span(30 * day)}}}
		}, probe.Unproven, nil, `rule "tidy" removes current objects after 30 days`},
		"a rule whose versions stay": {func(w *world) {
			w.settings = providers.Settings{Versioning: "on", Rules: []providers.Rule{{ID: "tidy", Expire: span(30 * day)}}}
		}, probe.Protected, nil, ""},
		"two rules, and no lock": {func(w *world) {
			w.settings = providers.Settings{Versioning: "on", Rules: []providers.Rule{{ID: "tidy", Expire: span(30 * day)}, {ID: "more", Noncurrent: span(day)}}}
		}, probe.Unproven, nil, `rule "more"`},
		"a rule for elsewhere, and no lock": {func(w *world) {
			w.settings = providers.Settings{Versioning: "off", Rules: []providers.Rule{{ID: "tidy", Prefix: "logs/", Expire: span(day)}}}
		}, probe.Protected, nil, ""},
		"settings change":           {func(w *world) { s := w.settings; s.Versioning = "suspended"; w.after = &s }, probe.Unprotected, []string{"the setting of versioning"}, "settings"},
		"settings unreadable later": {func(w *world) { w.after = &providers.Settings{Unknown: map[string]string{"all": "gone"}} }, probe.Protected, nil, ""},
		"the credential does not work": {func(w *world) {
			w.create = func(string, int) probe.Result { return probe.Result{Answer: probe.Denied, Code: "AccessDenied"} }
		}, probe.Unproven, nil, "which says nothing"},
		"the credential is unknown": {func(w *world) { w.create = func(string, int) probe.Result { return unknown } }, probe.Unproven, nil, ""},
		"it stops working in one room": {func(w *world) {
			w.create = func(r string, n int) probe.Result {
				if r == "packs" && n > 1 {
					return unknown
				}
				return probe.Result{}
			}
		}, probe.Unproven, nil, "in packs/"},
		"a broken one that may destroy": {func(w *world) {
			w.create = func(string, int) probe.Result { return unknown }
			w.answer = permit("delete-version")
		}, probe.Unprotected, []string{"DeleteVersion"}, ""},
		"what is created is not there": {func(w *world) { w.vanish = true }, probe.Unproven, nil, ""},
		"it may create statements": {func(w *world) {
			w.create = func(string, int) probe.Result { return probe.Result{Answer: probe.Permitted} }
		}, probe.Protected, nil, "the store denied"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			tt.change(w)
			r := do(t, w, probe.Options{})
			if r.Verdict != tt.want || !slices.Equal(r.Grants, tt.grants) || !strings.Contains(r.Words, tt.says) || !strings.HasPrefix(r.Words, string(r.Verdict)+": ") {
				t.Errorf("%s, grants %q: %s\nwant %s, grants %q, saying %q\n%+v", r.Verdict, r.Grants, r.Words, tt.want, tt.grants, tt.says, r.Findings)
			}
			if proof := r.Expires.Equal(r.Time.Add(day)); proof != (tt.want == probe.Protected) {
				t.Errorf("it counts until %v", r.Expires)
			}
			for _, a := range r.Attempts {
				if a.Property != probe.Control && a.Object != "" && !record.IsCanary(a.Object) {
					t.Errorf("%s was tried on %s", a.Probe, a.Object)
				}
			}
		})
	}
}

// do runs the probe where time is not real.
func do(t *testing.T, w *world, o probe.Options) (r *probe.Report) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o.Now = func() time.Time { return w.now }
		var err error
		if r, err = probe.Run(t.Context(), w, w, o); err != nil {
			t.Fatal(err)
		}
	})
	return r
}

// TestFindings holds what is said of each property.
func TestFindings(t *testing.T) {
	w := newWorld()
	w.answer = permit("overwrite")
	w.settings.Rules = []providers.Rule{{ID: "old", Expire: span(day)}}
	r := do(t, w, probe.Options{})
	want := []struct {
		property probe.Property
		answer   probe.Answer
		says     string
	}{
		{probe.CreateOnly, probe.Permitted, "leaves the locked original beneath it"},
		{probe.NoDestroy, probe.Denied, `rule "old" removes current objects after 1 days`},
		{probe.NoShorten, probe.Denied, "5 of 5 attempts were denied"},
		{probe.NobodyTill, probe.Denied, "not looked at in vault/"},
	}
	for i, tt := range want {
		if f := r.Findings[i]; f.Property != tt.property || f.Answer != tt.answer || !strings.Contains(f.Text, tt.says) {
			t.Errorf("%+v, want %s %s saying %q", f, tt.property, tt.answer, tt.says)
		}
	}
	if !r.Until.Equal(w.now.Add(40 * day)) {
		t.Errorf("until %v", r.Until)
	}
	if !slices.Contains(r.Notes, "a note of the store") {
		t.Errorf("notes %q", r.Notes)
	}
}

// TestNobody holds when it is not claimed that nobody can remove.
func TestNobody(t *testing.T) {
	for name, change := range map[string]func(*world){
		"no lock":    func(w *world) { w.settings.Mode = "" },
		"governance": func(w *world) { w.settings.Mode = providers.Governance },
		"a room unread": func(w *world) {
			w.lockErr = func(n string) error {
				if room(n) == "packs" {
					return failed(providers.Denied, n)
				}
				return nil
			}
		},
		"shortened":         func(w *world) { w.answer = permit("shorten") },
		"nothing created":   func(w *world) { w.create = func(string, int) probe.Result { return unknown } },
		"an original gone":  func(w *world) { w.unversioned = true; w.answer = permit("overwrite") },
		"ended a while ago": func(w *world) { w.settings.Retention = -day },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			change(w)
			r := do(t, w, probe.Options{})
			if f := r.Findings[3]; f.Answer != probe.Unknown || !strings.HasPrefix(f.Text, "not proven: ") || !r.Until.IsZero() {
				t.Errorf("%+v, until %v", f, r.Until)
			}
		})
	}
}

// TestShortLock holds that a lock that ends sooner than the bucket's default says is not enough beneath an overwrite.
func TestShortLock(t *testing.T) {
	for late, want := range map[time.Duration]probe.Verdict{time.Minute: probe.Protected, day: probe.Unprotected} {
		w := newWorld()
		w.answer = permit("overwrite")
		promised := w.settings
		promised.Retention += late
		w.promised = &promised
		if r := do(t, w, probe.Options{}); r.Verdict != want {
			t.Errorf("locks end %v too soon: %s", late, r.Words)
		}
	}
}

// TestCanaries holds that a canary that was only denied is used again, and one that anything else was done to is not.
func TestCanaries(t *testing.T) {
	quiet, loud := newWorld(), newWorld()
	loud.answer = permit("overwrite", "delete")
	few, many := do(t, quiet, probe.Options{}), do(t, loud, probe.Options{})
	// Two controls in four rooms, one each before and after vault's probes, one each around the bucket's.
	if len(few.Canaries) != 12 {
		t.Errorf("%d canaries where everything is denied: %q", len(few.Canaries), few.Canaries)
	}
	// Behind overwrite and behind delete, in four rooms.
	if len(many.Canaries) != 12+8 {
		t.Errorf("%d canaries where two attempts are permitted", len(many.Canaries))
	}
	for _, c := range append(few.Canaries, many.Canaries...) {
		if !record.IsCanary(c) {
			t.Errorf("%q is no canary", c)
		}
	}
}

// TestTemporary holds that a disturbance is met again a few times, and is Unknown in the end.
func TestTemporary(t *testing.T) {
	for failures, want := range map[int]probe.Verdict{2: probe.Protected, 3: probe.Unproven} {
		w, seen := newWorld(), 0
		w.answer = func(_, name string) probe.Result {
			if name != "lifecycle" {
				return probe.Result{}
			}
			if seen++; seen <= failures {
				return probe.Result{Answer: probe.Denied, Temporary: true, Code: "SlowDown"}
			}
			return probe.Result{}
		}
		if r := do(t, w, probe.Options{}); r.Verdict != want {
			t.Errorf("after %d disturbances: %s", failures, r.Words)
		}
	}
}

// TestLimit holds that the whole run ends, whatever the store does, and that what was not reached is unknown.
func TestLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, begin := newWorld(), time.Now()
		slow := &slowed{world: w}
		r, err := probe.Run(t.Context(), w, slow, probe.Options{Limit: time.Minute})
		if err != nil || r.Verdict != probe.Unproven || !strings.Contains(r.Words, "proves nothing") {
			t.Fatalf("%v, %v", r, err)
		}
		if took := time.Since(begin); took > time.Minute+time.Second {
			t.Errorf("it took %v", took)
		}
		ctx, cancel := context.WithTimeoutCause(t.Context(), 5*time.Second, errStop)
		defer cancel()
		if _, err := probe.Run(ctx, w, slow, probe.Options{}); !errors.Is(err, errStop) {
			t.Errorf("a caller who stops got %v", err)
		}
	})
}

var errStop = errors.New("stopped by the test")

// slowed answers no attempt on the bucket before its deadline.
type slowed struct{ *world }

func (s *slowed) Object() []probe.ObjectProbe {
	out := s.world.Object()
	for i := range out {
		out[i].Try = func(ctx context.Context, _ probe.Canary) probe.Result {
			<-ctx.Done()
			return probe.Result{Answer: probe.Unknown, Temporary: true, Text: ctx.Err().Error()}
		}
	}
	return out
}

// TestLook holds what it takes to believe that a canary was created.
func TestLook(t *testing.T) {
	denied := failed(providers.Denied, "x")
	tests := map[string]struct {
		stat, list error
		vanish     bool
		want       probe.Verdict
	}{
		"stat denied, listed":       {denied, nil, false, probe.Protected},
		"stat denied, not listed":   {denied, nil, true, probe.Unproven},
		"not there, listing denied": {nil, denied, true, probe.Unproven},
		"broken":                    {failed(providers.Temporary, "x"), failed(providers.Temporary, "x"), false, probe.Unproven},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.statErr, w.listErr, w.vanish = tt.stat, tt.list, tt.vanish
			if r := do(t, w, probe.Options{}); r.Verdict != tt.want {
				t.Error(r.Words)
			}
		})
	}
	// Without a look at anything, in the rooms where the credential creates: the denials stand.
	w := newWorld()
	w.statErr, w.listErr = denied, denied
	if r := do(t, w, probe.Options{Rooms: []string{"packs", "meta"}}); r.Verdict != probe.Protected || !strings.Contains(r.Attempts[0].Text, "could not be looked at") {
		t.Errorf("%s: %+v", r.Words, r.Attempts[0])
	}
}

// TestRoles holds what other credentials than a writer's are held to.
func TestRoles(t *testing.T) {
	only := func(may ...string) func(string, int) probe.Result {
		return func(room string, _ int) probe.Result {
			if slices.Contains(may, room) {
				return probe.Result{Answer: probe.Permitted}
			}
			return probe.Result{Answer: probe.Denied, Code: "AccessDenied"}
		}
	}
	tests := map[string]struct {
		role string
		may  []string
		want probe.Verdict
	}{
		"auditor":                  {probe.Auditor, []string{"reports"}, probe.Protected},
		"auditor who creates none": {probe.Auditor, nil, probe.Unproven},
		"restorer":                 {probe.Restorer, nil, probe.Protected},
		"owner":                    {probe.Owner, []string{"vault"}, probe.Protected},
		"writer without packs":     {probe.Writer, []string{"meta", "commits", "reports"}, probe.Unproven},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.create = only(tt.may...)
			if r := do(t, w, probe.Options{Role: tt.role}); r.Verdict != tt.want {
				t.Errorf("%s", r.Words)
			}
		})
	}
}

// TestOptions holds that options without a sense are refused before anything is tried.
func TestOptions(t *testing.T) {
	for name, o := range map[string]probe.Options{
		"role": {Role: "king"}, "room": {Rooms: []string{"cellar"}}, "twice": {Rooms: []string{"meta", "meta"}}, "none": {Rooms: []string{}},
	} {
		w := newWorld()
		if _, err := probe.Run(t.Context(), w, w, o); err == nil || len(w.tried) > 0 || w.next > 0 {
			t.Errorf("%s: error %v after %q", name, err, w.tried)
		}
	}
	w := newWorld()
	r := do(t, w, probe.Options{Rooms: []string{"packs", "meta"}})
	if r.Verdict != probe.Protected || !strings.Contains(r.Words, "nothing was tried in commits/, reports/, vault/") {
		t.Error(r.Words)
	}
}

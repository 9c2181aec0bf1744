package probe_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"farshore/agent/probe"
	"farshore/providers"
)

const place = "s3://bucket/vaults/one?region=x"

func TestFresh(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	tests := map[string]struct {
		change func(*probe.Report)
		now    time.Time
		place  string
		who    string
		want   bool
	}{
		"just now":             {nil, now, place, "key one", true},
		"a day less a second":  {nil, now.Add(day - time.Second), place, "key one", true},
		"a day":                {nil, now.Add(day), place, "key one", false},
		"the clock went back":  {nil, now.Add(-time.Second), place, "key one", false},
		"another vault":        {nil, now, place + "2", "key one", false},
		"another principal":    {nil, now, place, "key two", false},
		"no principal":         {func(r *probe.Report) { r.Principal = "" }, now, place, "", false},
		"unproven":             {func(r *probe.Report) { r.Verdict = probe.Unproven }, now, place, "key one", false},
		"unprotected":          {func(r *probe.Report) { r.Verdict = probe.Unprotected }, now, place, "key one", false},
		"it says a year":       {func(r *probe.Report) { r.Expires = now.AddDate(1, 0, 0) }, now.Add(2 * day), place, "key one", false},
		"it says it ended":     {func(r *probe.Report) { r.Expires = now }, now, place, "key one", false},
		"from the far future":  {func(r *probe.Report) { r.Time, r.Expires = now.Add(day), now.Add(2*day) }, now, place, "key one", false},
		"a file without words": {func(r *probe.Report) { *r = probe.Report{} }, now, "", "", false},
	}
	for name, tt := range tests {
		r := &probe.Report{Place: place, Principal: "key one", Verdict: probe.Protected, Time: now, Expires: now.Add(day)}
		if tt.change != nil {
			tt.change(r)
		}
		if got := r.Fresh(tt.now, tt.place, tt.who); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if (*probe.Report)(nil).Fresh(now, place, "key one") {
		t.Error("no report is fresh")
	}
}

func TestSaveAndLoad(t *testing.T) {
	dir := t.TempDir()
	if r, err := probe.Load(dir); r != nil || err != nil {
		t.Fatalf("an empty directory holds %v, %v", r, err)
	}
	r := do(t, newWorld(), probe.Options{})
	for range 2 {
		if err := probe.Save(dir, r); err != nil {
			t.Fatal(err)
		}
	}
	got, err := probe.Load(dir)
	if err != nil || !reflect.DeepEqual(got, r) {
		t.Errorf("saved %+v, loaded %+v, %v", r, got, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Fatalf("the directory has %v, %v", entries, err)
	}
	if info, err := entries[0].Info(); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	for _, garbage := range []string{"", "{", "null", "[]", `{"schema":"farshore.proof/1"}`, `{"schema":"farshore.proof/2","report":{}}`, strings.Repeat(" ", 5<<20)} {
		if err := os.WriteFile(filepath.Join(dir, entries[0].Name()), []byte(garbage), 0o600); err != nil {
			t.Fatal(err)
		}
		if r, err := probe.Load(dir); r != nil || err != nil {
			t.Errorf("%.40q is loaded as %v, %v", garbage, r, err)
		}
	}
	if err := probe.Save(filepath.Join(dir, "nowhere"), r); err == nil {
		t.Error("a directory that is not there took a proof")
	}
}

// TestGuard holds when the vault is asked and when the proof does.
func TestGuard(t *testing.T) {
	w, dir := newWorld(), t.TempDir()
	var o probe.Options
	check := func(what string, probed bool) *probe.Report {
		t.Helper()
		before := len(w.tried)
		o.Now = func() time.Time { return w.now }
		r, err := (&probe.Guard{Store: w, Attacker: w, Options: o, Dir: dir}).Check(t.Context())
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if got := len(w.tried) > before; got != probed {
			t.Errorf("%s: probed is %v", what, got)
		}
		return r
	}
	check("first", true)
	check("again", false)
	w.now = w.now.Add(23 * time.Hour)
	check("23 hours later", false)
	w.now = w.now.Add(2 * time.Hour)
	check("25 hours later", true)
	w.now = w.now.Add(-time.Hour)
	check("the clock back", true)
	w.who = "key two"
	check("another principal", true)
	w.whoErr = errors.New("nobody home")
	check("nobody can tell who", true)
	check("nor now", true)
	w.whoErr = nil
	check("back", true)
	o.Rooms = []string{"packs"}
	check("fewer rooms", false)
	o = probe.Options{Role: probe.Auditor}
	check("another role", true)
	o = probe.Options{}
	w.answer = permit("delete-version")
	w.now = w.now.Add(25 * time.Hour)
	if r := check("a permission more", true); r.Verdict != probe.Unprotected {
		t.Error(r.Words)
	}
	check("which is asked each time", true)
}

// TestWeaker holds that a bucket that was weakened behind the agent's back is noticed, until it is put back or accepted.
func TestWeaker(t *testing.T) {
	for name, change := range map[string]func(*providers.Settings){
		"retention":  func(s *providers.Settings) { s.Retention = day },
		"governance": func(s *providers.Settings) { s.Mode = providers.Governance },
		"no lock":    func(s *providers.Settings) { s.Mode, s.Retention, s.Lock = "", 0, false },
		"versioning": func(s *providers.Settings) { s.Versioning = "suspended" },
	} {
		t.Run(name, func(t *testing.T) {
			w, dir := newWorld(), t.TempDir()
			strong := w.settings
			check := func(accept bool) *probe.Report {
				t.Helper()
				w.now = w.now.Add(25 * time.Hour)
				o := probe.Options{Now: func() time.Time { return w.now }}
				if accept {
					o.Baseline = &w.settings
				}
				r, err := (&probe.Guard{Store: w, Attacker: w, Options: o, Dir: dir}).Check(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				return r
			}
			if r := check(false); r.Verdict != probe.Protected {
				t.Fatal(r.Words)
			}
			change(&w.settings)
			for range 2 {
				if r := check(false); r.Verdict != probe.Unproven || len(r.Weaker) != 1 || !strings.Contains(r.Words, r.Weaker[0]) {
					t.Errorf("weakened: %s, %q", r.Words, r.Weaker)
				}
			}
			weak := w.settings
			w.settings = strong
			if r := check(false); r.Verdict != probe.Protected {
				t.Errorf("put back: %s", r.Words)
			}
			w.settings = weak
			if r := check(true); r.Verdict != probe.Protected {
				t.Errorf("accepted: %s", r.Words)
			}
			if r := check(false); r.Verdict != probe.Protected {
				t.Errorf("after it was accepted: %s", r.Words)
			}
			w.settings = providers.Settings{Unknown: map[string]string{"all": "denied"}}
			if r := check(false); len(r.Weaker) != 0 {
				t.Errorf("what can't be read is called weaker: %q", r.Weaker)
			}
		})
	}
}

// TestGuardAgain holds a long run to a proof that is not old and of the same principal, and asks for no more than that.
func TestGuardAgain(t *testing.T) {
	w := newWorld()
	g := &probe.Guard{Store: w, Attacker: w, Options: probe.Options{Now: func() time.Time { return w.now }}, Dir: t.TempDir()}
	w.answer = func(_, name string) probe.Result {
		if name == "shorten" {
			return probe.Result{Answer: probe.Unknown}
		}
		return probe.Result{}
	}
	last, err := g.Check(t.Context())
	if err != nil || last.Verdict != probe.Unproven {
		t.Fatal(last, err)
	}
	again := func(what string, want bool, verdict probe.Verdict) {
		t.Helper()
		w.tried = nil
		r, err := g.Again(t.Context(), last)
		if err != nil || len(w.tried) > 0 != want || r.Verdict != verdict {
			t.Errorf("%s: tried %d, %v, %v", what, len(w.tried), r, err)
		}
		last = r
	}
	again("at once", false, probe.Unproven)
	w.now = w.now.Add(23 * time.Hour)
	again("after 23 hours", false, probe.Unproven)
	w.answer = nil
	again("before it is due", false, probe.Unproven)
	w.now = w.now.Add(time.Hour)
	again("after 24 hours", true, probe.Protected)
	again("at once", false, probe.Protected)
	w.who = "key two"
	w.answer = func(_, name string) probe.Result {
		if name == "delete-version" {
			return probe.Result{Answer: probe.Permitted}
		}
		return probe.Result{}
	}
	again("another principal", true, probe.Unprotected)
	w.answer, w.whoErr = nil, errors.New("no answer")
	again("nobody knows whose", true, probe.Protected)
	w.who, w.whoErr = "", nil
	w.now = w.now.Add(-time.Minute)
	again("the clock went back", true, probe.Protected)
}

package probe_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"farshore/agent/probe"
	"farshore/providers"
)

// TestAway holds that a store which is away, from the beginning or from some attempt on, does not keep the agent waiting for each attempt, and that one which answered nothing
// is a failure and no report.
func TestAway(t *testing.T) {
	for name, tt := range map[string]struct {
		answers int // so many creates and attempts are answered, then none
		longest time.Duration
		fails   bool
	}{
		"from the beginning": {0, 10 * time.Second, true},
		"from the middle":    {9, 10 * time.Second, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			w, n, begin := newWorld(), 0, time.Now()
			away := func() probe.Result {
				if n++; n <= tt.answers {
					return probe.Result{}
				}
				return probe.Result{Answer: probe.Unknown, Temporary: true, Text: "connection refused"}
			}
			if tt.fails {
				w.listErr = failed(providers.Temporary, "")
			}
			w.create = func(string, int) probe.Result { return away() }
			w.answer = func(string, string) probe.Result { return away() }
			r, err := probe.Run(t.Context(), w, silent{w}, probe.Options{})
			if took := time.Since(begin); took > tt.longest {
				t.Errorf("%s: it took %v", name, took)
			}
			switch {
			case tt.fails && (err == nil || r != nil || !strings.Contains(err.Error(), "answered nothing") || !strings.Contains(err.Error(), "connection refused")):
				t.Errorf("%s: %v, %v", name, r, err)
			case !tt.fails && (err != nil || r.Verdict != probe.Unproven):
				t.Errorf("%s: %v, %v", name, r, err)
			}
		})
	}
}

// silent is a world whose creates may be disturbed, too: the world itself takes a result without an answer for its default.
type silent struct{ *world }

func (s silent) Create(ctx context.Context, name string, body []byte) (string, probe.Result) {
	if r := s.create(room(name), 0); r.Temporary {
		return "", r
	}
	was := s.create
	s.create = nil
	defer func() { s.create = was }()
	return s.world.Create(ctx, name, body)
}

// TestPatience holds that after a while of silence an answer brings back the patience.
func TestPatience(t *testing.T) {
	w, n := newWorld(), 0
	w.answer = func(room, name string) probe.Result {
		switch {
		case room == "meta":
			return probe.Result{Temporary: true, Text: "away"}
		case room == "commits" && name == "delete":
			if n++; n < 3 {
				return probe.Result{Temporary: true, Text: "away"}
			}
		}
		return probe.Result{}
	}
	r := do(t, w, probe.Options{})
	for _, a := range r.Attempts {
		if a.Room == "commits" && a.Probe == "delete" && a.Answer != probe.Denied {
			t.Errorf("%+v", a)
		}
	}
	if r.Verdict != probe.Unproven {
		t.Error(r.Words)
	}
}

// dated is a store that tells when it took each version.
type dated struct{ *world }

func (d dated) History(ctx context.Context, name string) (providers.Name, error) {
	n, err := d.world.History(ctx, name)
	for i := range n.Oldest {
		n.Oldest[i].Modified = d.now
	}
	return n, err
}

// TestForeignClock holds that a lock's length is measured by the store's clock alone: this machine's may be wrong by more than a day.
func TestForeignClock(t *testing.T) {
	for _, off := range []time.Duration{-30 * time.Hour, 0, 30 * time.Hour} {
		w := newWorld()
		w.answer = permit("overwrite")
		o := probe.Options{Now: func() time.Time { return w.now.Add(off) }}
		r, err := probe.Run(t.Context(), dated{w}, w, o)
		if err != nil || r.Verdict != probe.Protected {
			t.Errorf("a clock that is off by %v: %v, %v", off, r.Words, err)
		}
		w.promised = &providers.Settings{Versioning: "on", Lock: true, Mode: providers.Compliance, Retention: 41 * day}
		if r, err = probe.Run(t.Context(), dated{w}, w, o); err != nil || r.Verdict != probe.Unprotected {
			t.Errorf("a clock that is off by %v, and locks that are too short: %v, %v", off, r.Words, err)
		}
	}
}

// TestBypassNamed holds that the permission to bypass locks is named only where the same is not permitted without it.
func TestBypassNamed(t *testing.T) {
	for _, tt := range []struct {
		permitted []string
		want      string
	}{{[]string{"delete-version", "delete-version-bypass"}, "DeleteVersion"}, {[]string{"delete-version-bypass"}, "Bypass"}} {
		w := newWorld()
		w.answer = permit(tt.permitted...)
		r, err := probe.Run(t.Context(), w, bypassing{w}, probe.Options{})
		if err != nil || r.Verdict != probe.Unprotected || strings.Join(r.Grants, " ") != tt.want {
			t.Errorf("%q: %q, %v", tt.permitted, r.Grants, err)
		}
	}
}

// bypassing is a world that can also be asked to delete a version by a bypass.
type bypassing struct{ *world }

func (b bypassing) Object() []probe.ObjectProbe {
	return append(b.world.Object(), b.probe("delete-version-bypass", probe.NoDestroy, probe.Destroys, "Bypass", func(c probe.Canary) { delete(b.versions, c.Name) }))
}

package audit

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"farshore/agent/report"
	"farshore/providers/mem"
)

// crowd is a store whose reads of packs wait until so many are under way.
type crowd struct {
	*mem.Versioned
	want int

	mu        sync.Mutex
	now, most int
	full      chan struct{}
}

func (c *crowd) OpenVersion(ctx context.Context, name, id string, off, n int64) (io.ReadCloser, error) {
	if strings.HasPrefix(name, "packs/") && c.want > 0 {
		if err := c.enter(ctx); err != nil {
			return nil, err
		}
		defer c.leave()
	}
	return c.Versioned.OpenVersion(ctx, name, id, off, n)
}

func (c *crowd) enter(ctx context.Context) error {
	c.mu.Lock()
	if c.now++; c.now > c.most {
		if c.most = c.now; c.most == c.want {
			close(c.full)
		}
	}
	c.mu.Unlock()
	select {
	case <-c.full:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Minute):
		return errors.New("nobody else reads")
	}
}

func (c *crowd) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now--
}

// TestOverlaidTogether looks into names that something lies over as many at a time as there are workers, and no more.
func TestOverlaidTogether(t *testing.T) {
	d := &crowd{Versioned: mem.NewVersioned(), full: make(chan struct{})}
	r := newRig(t, d).fill(6)
	for _, p := range r.packs() {
		d.Set(p, []byte("another"))
	}
	d.want = 3
	o := r.defaults()
	o.Workers = 3
	res := r.run(o)
	if a := res.Audit; a.Verdict != report.VerdictTampered || a.End != report.EndDone || len(a.Damaged) > 0 || d.most != 3 {
		t.Errorf("%s, %s, %+v; %d at a time", a.End, a.Verdict, a.Damaged, d.most)
	}
	r.check(res)

	d.want = 100 // never so many: they wait until the run is stopped
	synctest.Test(t, func(t *testing.T) {
		d.full = make(chan struct{})
		v := r.open(d)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			var err error
			res, err = Run(ctx, v, o)
			done <- err
		}()
		synctest.Wait()
		if d.now != 3 {
			t.Errorf("%d at a time", d.now)
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) || res == nil || res.Audit.End != report.EndInterrupted || res.Name == "" {
			t.Fatalf("%+v, %v", res, err)
		}
	})
	r.sound(r.open(d), res)
	r.check(res)
}

// TestFullOverlaid counts what lies over names once, whoever looked at it.
func TestFullOverlaid(t *testing.T) {
	d := mem.NewVersioned()
	r := newRig(t, d).fill(5)
	packs := r.packs()
	d.Set(packs[1], []byte("another"))
	d.Hide(packs[2])
	v := r.open(d)
	res, err := Full(t.Context(), v, r.defaults())
	must(t, err)
	r.sound(v, res)
	r.check(res)
	a, full := res.Audit, res.Full
	if p := part(t, a, report.PartAll); p.Intact != p.Planned || a.Verdict != report.VerdictTampered || full == nil {
		t.Fatalf("%s, %+v, %+v", a.Verdict, p, full)
	}
	if full.ExtraVersions != 1 || full.Markers != 1 || a.Inventory.ExtraVersions != 1 || a.Inventory.Markers != 1 || full.Objects != a.ReadObjects {
		t.Errorf("%+v, %+v, %d read", full, a.Inventory, a.ReadObjects)
	}
	told := map[string]int{}
	for _, f := range a.Findings {
		told[f.Object]++
	}
	if told[packs[1]] != 1 || told[packs[2]] != 1 {
		t.Errorf("findings: %+v", a.Findings)
	}
}

package audit

import (
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"farshore/agent/report"
	"farshore/providers/mem"
)

// TestRunRival places another audit of the same key, whose clock is ahead and which finds damage, between the reading of one audit and its report.
func TestRunRival(t *testing.T) {
	d := mem.New()
	r := newRig(t, d).fill(4)
	packs := r.packs()
	v := r.open(d)
	x, err := begin(t.Context(), v, r.defaults().withDefaults(), report.ModeSample)
	must(t, err)
	defer x.close()
	must(t, x.commit(t.Context()))
	rerr := x.all(t.Context())
	d.Set(packs[1], flip(d.Objects()[packs[1]]))
	o := r.defaults()
	ahead := r.now.Add(20 * time.Minute)
	o.Now = func() time.Time { return ahead }
	rival := r.run(o).Audit
	if len(rival.Damaged) != 1 {
		t.Fatalf("the rival found %+v", rival.Damaged)
	}
	res, err := x.finish(t.Context(), rerr)
	must(t, err)
	r.sound(v, res)
	a := res.Audit
	if a.Time.Before(rival.Time) {
		t.Errorf("its time %s lies before %s: no reader lets it count", a.Time, rival.Time)
	}
	if len(a.Damaged) != 1 || a.Damaged[0].Object != packs[1] || a.Verdict != report.VerdictDamaged || a.Coverage.Never != 1 {
		t.Errorf("%s: %+v, %+v", a.Verdict, a.Damaged, a.Coverage)
	}
	shelf, err := report.Read(t.Context(), r.open(d))
	must(t, err)
	if len(shelf.Findings) > 0 || len(shelf.Abandoned) > 0 {
		t.Errorf("%+v, %+v", shelf.Findings, shelf.Abandoned)
	}
	r.check(res)
}

// TestRunRivalBefore places another audit between the first look at the reports and the commitment: the draw goes by the newest ledger, so that it can be drawn again.
func TestRunRivalBefore(t *testing.T) {
	r := newRig(t, mem.New()).fill(6)
	o := r.defaults()
	o.Bytes = 6000
	x, err := begin(t.Context(), r.open(r.d), o.withDefaults(), report.ModeSample)
	must(t, err)
	defer x.close()
	r.run(o)
	must(t, x.commit(t.Context()))
	if x.last == nil {
		t.Fatal("the audit that was stored meanwhile is not known")
	}
	res, err := x.finish(t.Context(), x.all(t.Context()))
	must(t, err)
	r.check(res)
}

// dripping is a store that gives one name a byte in five seconds.
type dripping struct {
	*mem.Driver
	name string
}

func (d *dripping) Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	body, err := d.Driver.Open(ctx, name, off, n)
	if err != nil || name != d.name {
		return body, err
	}
	return &drops{body, ctx}, nil
}

type drops struct {
	io.ReadCloser
	ctx context.Context
}

func (d *drops) Read(b []byte) (int, error) {
	select {
	case <-d.ctx.Done():
		return 0, d.ctx.Err()
	case <-time.After(5 * time.Second):
	}
	return d.ReadCloser.Read(b[:min(1, len(b))])
}

// TestRunSlow holds that an object which comes drop by drop holds nothing up for ever, and counts as one that was not given.
func TestRunSlow(t *testing.T) {
	d := mem.New()
	r := newRig(t, d).fill(4)
	slow := &dripping{d, r.packs()[2]}
	synctest.Test(t, func(t *testing.T) {
		v := r.open(slow)
		res, err := Run(t.Context(), v, Options{Scratch: t.TempDir(), Workers: 2})
		must(t, err)
		sound(t, res)
		a := res.Audit
		if p := part(t, a, report.PartPacks); p.Unread != 1 || p.Intact != 3 || a.Verdict != report.VerdictIncomplete || len(a.Damaged) != 0 {
			t.Errorf("%s: %+v, %+v", a.Verdict, p, a.Damaged)
		}
		if a.Coverage.Never == 0 || a.Bounds[0].Failed != 1 {
			t.Errorf("%+v, %+v", a.Coverage, a.Bounds)
		}
	})
}

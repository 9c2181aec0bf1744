package audit

import (
	"context"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"farshore/agent/report"
	"farshore/agent/vault"
	"farshore/providers"
	"farshore/providers/mem"
)

// claim leaves a report by the agent's key that lists a pack as damaged.
func (r *rig) claim(pack, kind string, ahead time.Duration) {
	r.t.Helper()
	o := r.defaults()
	o.Key = nil
	a := r.run(o).Audit
	a.Time, a.Verdict = a.Time.Add(ahead), report.VerdictDamaged
	a.Damaged = []report.Damage{{Object: pack, Kind: kind, Since: a.Time, Items: -1, Remedy: report.RemedyUnknown}}
	a.Seed = nil
	_, _, err := report.Place(r.t.Context(), r.open(r.d), a, r.agent)
	must(r.t, err)
}

// TestFalseClaims has a thief of the agent's key report damage that is none. What an agent can't know, and what is said in the future, is not taken over: nothing would ever
// disprove it. The rest is, until somebody reads the object whole.
func TestFalseClaims(t *testing.T) {
	for _, c := range []struct {
		kind    string
		ahead   time.Duration
		verdict string
	}{
		{report.DamageBytes, 0, report.VerdictDamaged},
		{report.DamageSeal, 0, report.VerdictIntact},
		{report.DamageContent, 0, report.VerdictIntact},
		{report.DamageBytes, 1000 * time.Hour, report.VerdictTampered}, // that it lies in the future is said
	} {
		seen := map[string]bool{}
		for range 12 { // it may be drawn, at about one in ten, and is whole then
			if seen[c.verdict] {
				break
			}
			r := newRig(t, mem.New()).fill(20)
			all := r.packs()
			r.now = r.now.Add(time.Second)
			r.claim(all[len(all)-1], c.kind, c.ahead) // the coverage begins at the other end
			o := r.defaults()
			o.Key, o.Bytes = &r.owner, 1
			for range 3 {
				r.d, r.now = clone(r.d.(*mem.Driver)), r.now.Add(time.Second)
				seen[r.run(o).Audit.Verdict] = true
			}
		}
		if !seen[c.verdict] || c.verdict != report.VerdictDamaged && seen[report.VerdictDamaged] {
			t.Errorf("a claim of %s, %s ahead: %v", c.kind, c.ahead, seen)
		}
	}
}

// TestStaleClaim holds that damage which another signer found, and which is mended, does not come back with each audit because that signer makes no further one.
func TestStaleClaim(t *testing.T) {
	d := mem.New()
	r := newRig(t, d).fill(4)
	pack := r.packs()[0]
	good := d.Objects()[pack]
	d.Set(pack, flip(good))
	by := r.defaults()
	by.Key = &r.owner
	if a := r.run(by).Audit; len(a.Damaged) != 1 {
		t.Fatalf("%+v", a.Damaged)
	}
	d.Set(pack, good)
	r.now = r.now.Add(2 * time.Hour)
	if a := r.run(r.defaults()).Audit; a.Verdict != report.VerdictIntact {
		t.Fatalf("%s: %+v", a.Verdict, a.Damaged)
	}
	o := r.defaults()
	o.Bytes = 1
	for range 5 {
		r.now = r.now.Add(2 * time.Hour)
		if a := r.run(o).Audit; len(a.Damaged) > 0 || a.Verdict != report.VerdictIntact {
			t.Fatalf("%s: %+v", a.Verdict, a.Damaged)
		}
	}
}

// trickling is a store that gives every pack a byte in five seconds, once it is to.
type trickling struct {
	*mem.Driver
	slow bool
}

func (d *trickling) Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	body, err := d.Driver.Open(ctx, name, off, n)
	if err != nil || !d.slow || !strings.HasPrefix(name, "packs/") {
		return body, err
	}
	return &drops{body, ctx}, nil
}

// TestRunTrickling holds that a store which gives nothing in time does not hold an audit up for as long as there are objects: it ends, says why, and leaves its report.
func TestRunTrickling(t *testing.T) {
	d := mem.New()
	r := newRig(t, d).fill(3 * refusals)
	store := &trickling{Driver: d}
	synctest.Test(t, func(t *testing.T) {
		owner := r.owner.Public()
		// An attempt at a large pack takes some minutes, and there are several: that is what the long base stands for.
		v, err := vault.Open(t.Context(), providers.New(store, providers.Options{Attempts: 1, AttemptBase: 2 * slowest}), vault.Options{Owner: &owner})
		must(t, err)
		store.slow = true
		began := time.Now()
		res, err := Run(t.Context(), v, Options{Scratch: t.TempDir(), Workers: 2, Key: &r.agent, Now: func() time.Time { return r.now.Add(time.Since(began)) }})
		if err == nil || res == nil {
			t.Fatalf("%+v, %v", res, err)
		}
		if took := time.Since(began); took > (refusals/2+2)*slowest {
			t.Errorf("it took %s", took)
		}
		if a := res.Audit; a.End != report.EndFailed || a.Why != errSlow.Error() || a.Verdict != report.VerdictIncomplete || res.Name == "" {
			t.Errorf("%s, %q, %s, %q", a.End, a.Why, a.Verdict, res.Name)
		}
	})
}

// TestCheckUntold holds that draws which a signer announced, and told nothing of, are listed with his next audit.
func TestCheckUntold(t *testing.T) {
	r := newRig(t, mem.New()).fill(2)
	for range 2 {
		x, err := begin(t.Context(), r.open(r.d), r.defaults().withDefaults(), report.ModeSample)
		must(t, err)
		must(t, x.commit(t.Context()))
		x.close()
	}
	res := r.run(r.defaults())
	if c := r.checked(res); len(c.Untold) != 2 || c.Untold[0] != report.Name(r.agent.ID(), 1) || !c.OK() {
		t.Errorf("%+v", c)
	}
	if c := r.checked(r.run(r.defaults())); len(c.Untold) != 0 {
		t.Errorf("%+v", c)
	}
}

// pondering is a store that gives no page any more when the audit asks what damage means.
type pondering struct {
	*mem.Driver
	p *Progress
}

func (d *pondering) Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	if d.p.Stage.Load() == StageReport && strings.HasPrefix(name, "meta/") {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return d.Driver.Open(ctx, name, off, n)
}

// TestRunPondering holds that what damage means is not looked for without end: the report is left, and has the damage.
func TestRunPondering(t *testing.T) {
	d := mem.New()
	r := newRig(t, d).fill(3)
	pack := r.packs()[0]
	d.Set(pack, flip(d.Objects()[pack]))
	store := &pondering{d, new(Progress)}
	synctest.Test(t, func(t *testing.T) {
		owner := r.owner.Public()
		v, err := vault.Open(t.Context(), providers.New(store, providers.Options{Attempts: 1, AttemptBase: 2 * meaning}), vault.Options{Owner: &owner})
		must(t, err)
		began := time.Now()
		res, err := Run(t.Context(), v, Options{Scratch: t.TempDir(), Workers: 2, Key: &r.agent, Progress: store.p, Now: func() time.Time { return r.now.Add(time.Since(began)) }})
		must(t, err)
		if a := res.Audit; len(a.Damaged) != 1 || a.Damaged[0].Advice == "" || count(a, "what the damage means") != 1 || a.Verdict != report.VerdictDamaged || a.End != report.EndDone {
			t.Errorf("%s, %s: %+v, %+v", a.Verdict, a.End, a.Damaged, a.NotChecked)
		}
	})
}

package audit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/agent/vault"
	"farshore/agent/verify/census"
	"farshore/agent/verify/draw"
	"farshore/providers"
	"farshore/providers/mem"
)

// liar runs an audit, lets a function change what it says, and stores that.
func (r *rig) liar(o Options, before func(*run), change func(*run, *report.Audit)) *Result {
	r.t.Helper()
	ctx, v := r.t.Context(), r.open(r.d)
	x, err := begin(ctx, v, o.withDefaults(), report.ModeSample)
	must(r.t, err)
	defer x.close()
	if before != nil {
		before(x)
	}
	must(r.t, x.commit(ctx))
	rerr := x.all(ctx)
	key := x.o.Key
	x.o.Key = nil
	res, err := x.finish(ctx, rerr)
	must(r.t, err)
	if change != nil {
		change(x, res.Audit)
	}
	res.Name, res.Stored, err = report.Place(ctx, v, res.Audit, *key)
	must(r.t, err)
	res.Hash = sha256.Sum256(res.Stored)
	return res
}

func partOf(a *report.Audit, name string) *report.Part {
	for i := range a.Parts {
		if a.Parts[i].Part == name {
			return &a.Parts[i]
		}
	}
	return nil
}

func digest(list []census.Object) record.Hash {
	var d draw.Digest
	for _, o := range list {
		d.Add(o)
	}
	return d.Sum()
}

func TestCheckFindsLies(t *testing.T) {
	made := map[scene]*rig{}
	for _, of := range []scene{sampled, whole, hurt, kept} { // without a lie it holds
		made[of] = of.vault(t)
		r, o := of.begin(t, made[of])
		r.check(r.liar(o, nil, nil))
	}
	for _, c := range slices.Concat(liesOfDraw(), liesOfItems(), liesOfLocks(), liesOfVerdict(), liesOfBytes()) {
		t.Run(c.name, func(t *testing.T) {
			r, o := c.of.begin(t, made[c.of])
			got := r.checked(r.liar(o, nil, c.change))
			if got.OK() || !strings.Contains(strings.Join(got.Lies, "\n"), c.want) {
				t.Errorf("lies: %q, want one about %q", got.Lies, c.want)
			}
		})
	}
	r, o := sampled.begin(t, made[sampled])
	r.check(r.liar(o, nil, func(_ *run, a *report.Audit) { a.Bounds[0].Upper95 -= 1e-9 })) // another machine may round otherwise
}

// lie is a change of an honest report, and what is found of it.
type lie struct {
	name   string
	of     scene
	change func(x *run, a *report.Audit)
	want   string
}

// scene is what an audit finds, before somebody lies of it.
type scene int

const (
	sampled scene = iota // some of each part is read, and nothing is damaged
	whole                // everything is read
	hurt                 // everything, and one of the packs, which have different sizes, is damaged
	kept                 // everything, and the store does not give that one
)

// vault makes the vault.
func (s scene) vault(t *testing.T) *rig {
	t.Helper()
	d := mem.New()
	r := newRig(t, d).fill(6)
	if s == hurt || s == kept {
		r.src.All["large"] = noise(100_000)
		r.fill(2)
	}
	if bad := r.packs()[1]; s == hurt {
		d.Set(bad, flip(d.Objects()[bad]))
	}
	return r
}

// begin makes a copy of the vault, and the options of its audit.
func (s scene) begin(t *testing.T, of *rig) (*rig, Options) {
	t.Helper()
	r := *of
	r.t, r.d = t, clone(of.d.(*mem.Driver))
	o := r.defaults()
	switch bad := r.packs()[1]; s {
	case sampled:
		o.Bytes = 4000
	case kept:
		r.d = &withholding{r.d, func(name string) bool { return name == bad }}
	}
	return &r, o
}

// noise is content that does not compress.
func noise(n int) string {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{7}).Read(b)
	return string(b)
}

// liesOfDraw are about what was drawn, and what came of it.
func liesOfDraw() []lie {
	return []lie{
		{"another seed", sampled, func(_ *run, a *report.Audit) { a.Seed[3] ^= 1 }, "seed"},
		{"an object was left out", sampled, func(x *run, a *report.Audit) {
			p := partOf(a, report.PartPages)
			p.Digest = digest(x.plan.Pages[1:])
			p.Checked, p.Intact, p.Planned = p.Checked-1, p.Intact-1, p.Planned-1
			p.Bytes -= x.plan.Pages[0].Size
		}, "part pages"},
		{"another object in its place", sampled, func(x *run, a *report.Audit) {
			p := partOf(a, report.PartPacks)
			list := append([]census.Object(nil), x.plan.Packs...)
			list[0] = x.plan.Pages[0]
			p.Digest = digest(list)
		}, "part packs"},
		{"another digest of the coverage", sampled, func(_ *run, a *report.Audit) { partOf(a, report.PartCoverage).Digest[0] ^= 1 }, "part coverage"},
		{"another sweep", sampled, func(_ *run, a *report.Audit) {
			partOf(a, report.PartCoverage).Sweeps = []report.Sweep{{From: "0000000000000000", Only: report.SweepAll}}
		}, "coverage goes over"},
		{"a part left out", sampled, func(_ *run, a *report.Audit) { a.Parts = a.Parts[1:]; a.Bounds = a.Bounds[1:] }, "left out"},
		{"another bound", sampled, func(_ *run, a *report.Audit) { a.Bounds[0].Upper95 /= 2 }, "bounds"},
		{"another population", sampled, func(_ *run, a *report.Audit) { a.Population.Packs++; a.Inventory.Present++ }, "how many objects"},
		{"another budget", sampled, func(_ *run, a *report.Audit) { a.Budget.Bytes++ }, "budget"},
		{"other heads", sampled, func(x *run, a *report.Audit) {
			k := x.chains[0].Commits[2]
			a.Heads = []report.Head{{Chain: k.Chain, Seq: k.Seq, Hash: k.Hash}}
		}, "heads of the commitment"},
		{"another time", sampled, func(_ *run, a *report.Audit) { a.Started = a.Started.Add(-time.Minute) }, "time of the commitment"},
		{"a ledger that claims more", sampled, func(_ *run, a *report.Audit) {
			a.Ledger.Arcs = []report.Arc{{From: "0000000000000000", Time: a.Started, Position: 0}}
		}, "the ledger"},
		{"a coverage that claims more", sampled, func(_ *run, a *report.Audit) {
			a.Coverage.Verified, a.Coverage.Never = a.Coverage.Verified+a.Coverage.Never, 0
			a.Coverage.NeverSince = time.Time{}
		}, "coverage"},
		{"no commitment", sampled, func(_ *run, a *report.Audit) { a.Commitment = nil }, "no commitment"},
		{"a part without end", sampled, func(_ *run, a *report.Audit) {
			p := partOf(a, report.PartBytes)
			const n = 1 << 51
			p.Planned, p.Checked, p.Intact, p.Failed, a.Verdict = 2*n, 2*n, n, n, report.VerdictDamaged
		}, "part bytes"},
		{"another's commitment", sampled, func(_ *run, a *report.Audit) { a.Commitment = &record.Hash{1} }, "has no commitment"},
	}
}

// TestCheckBackdated has a thief of the agent's key commit, after an audit, as if it had been before: that makes no liar of the auditor.
func TestCheckBackdated(t *testing.T) {
	d := mem.New()
	r := newRig(t, d).fill(2)
	r.now = r.now.Add(2 * time.Hour)
	o := r.defaults()
	o.Key = &r.owner
	res := r.run(o)
	h := res.Audit.Heads[0]
	r.forge(d, record.CommitName(h.Chain, h.Seq), func(c *record.Commit) {
		c.Seq, c.Prev, c.Packs, c.Meta, c.Adopted = c.Seq+1, &h.Hash, nil, nil, nil
	})
	r.d = &lately{d, record.CommitName(h.Chain, h.Seq+1), r.now.Add(time.Hour)}
	got := r.checked(res)
	if !got.OK() || len(got.Undecided) != 1 || !strings.Contains(got.Undecided[0], "that the store had it then is not known") {
		t.Errorf("lies: %q, undecided: %q", got.Lies, got.Undecided)
	}
}

// lately is a store that has one name since a time.
type lately struct {
	*mem.Driver
	name  string
	since time.Time
}

func (d *lately) Stat(ctx context.Context, name string) (providers.Info, error) {
	info, err := d.Driver.Stat(ctx, name)
	if name == d.name {
		info.Modified = d.since
	}
	return info, err
}

// TestCheckStale holds that heads which leave out commits made long before are a lie: whoever chooses what there is to draw from chooses the draw.
func TestCheckStale(t *testing.T) {
	r := newRig(t, mem.New()).fill(4)
	r.now = r.now.Add(2 * time.Hour)
	res := r.liar(r.defaults(), func(x *run) {
		k := x.chains[0].Commits[1]
		heads := []report.Head{{Chain: k.Chain, Seq: k.Seq, Hash: k.Hash}}
		must(t, x.census.Close())
		var err error
		x.census, err = census.TakeAsOf(t.Context(), x.v, x.chains, heads, census.Options{})
		must(t, err)
		x.a.Heads, x.a.Population = x.census.Heads(), x.census.Population()
	}, nil)
	if got := r.checked(res); got.OK() || !strings.Contains(strings.Join(got.Lies, "\n"), "leaves out commit") {
		t.Errorf("lies: %q", got.Lies)
	}
}

// TestCheckLate stores the commitment behind the audit, as somebody does who has drawn until he liked it.
func TestCheckLate(t *testing.T) {
	r := newRig(t, mem.New()).fill(2)
	ctx, v := t.Context(), r.open(r.d)
	x, err := begin(ctx, v, r.defaults().withDefaults(), report.ModeSample)
	must(t, err)
	defer x.close()
	must(t, x.throw())
	c := &report.Commitment{Vault: x.a.Vault, Time: x.a.Started, Statement: 1, Seed: sha256.Sum256(x.seed[:]), Heads: x.a.Heads, Budget: x.a.Budget}
	stored, err := report.Sign(v, c, r.agent)
	must(t, err)
	hash := record.Hash(sha256.Sum256(stored))
	x.a.Commitment = &hash
	rerr := x.all(ctx)
	x.o.Key = nil
	res, err := x.finish(ctx, rerr)
	must(t, err)
	res.Audit.Time = res.Audit.Started
	res.Name, _, err = report.Place(ctx, v, res.Audit, r.agent)
	must(t, err)
	_, _, err = v.Bucket().Create(ctx, report.Name(r.agent.ID(), 2), io.NewSectionReader(bytes.NewReader(stored), 0, int64(len(stored))), hash)
	must(t, err)
	if got := r.checked(res); got.OK() {
		t.Errorf("nothing was found: %q", got.Recomputed)
	}
}

// TestCheckTwice reports one draw twice.
func TestCheckTwice(t *testing.T) {
	r := newRig(t, mem.New()).fill(2)
	res := r.run(r.defaults())
	v := r.open(r.d)
	var err error
	res.Name, _, err = report.Place(t.Context(), v, res.Audit, r.agent)
	must(t, err)
	if got := r.checked(res); got.OK() {
		t.Errorf("nothing was found: %q", got.Recomputed)
	}
}

// TestCheckRevoked holds that what can't be computed any more, because the owner revoked a commit since or lets it count again, is undecided and no lie; and that a lie about the
// population stays one where nothing was revoked since.
func TestCheckRevoked(t *testing.T) {
	r := newRig(t, mem.New()).fill(4)
	before := r.run(r.defaults())
	chains, err := r.open(r.d).Chains(t.Context())
	must(t, err)
	hash := []record.Hash{chains[0].Commits[2].Hash}
	r.declare(vault.RevokeCommits(hash))
	behind := r.run(r.defaults())
	liar := r.liar(r.defaults(), nil, func(_ *run, a *report.Audit) { a.Population.Commits++ })
	r.check(behind)
	if got := r.checked(liar); got.OK() {
		t.Errorf("a lie about the population: %q", got.Undecided)
	}
	r.undecided("revoked since", before)
	r.declare(func(st *record.Statement) error { st.Revoked = nil; return nil })
	r.undecided("counts again", behind)
	r.check(before)
	r.check(r.run(r.defaults()))
}

// undecided holds that a report can't be drawn again, and is called no lie.
func (r *rig) undecided(what string, res *Result) {
	r.t.Helper()
	if got := r.checked(res); !got.OK() || len(got.Undecided) != 1 || !strings.Contains(got.Undecided[0], "revoked 1") {
		r.t.Errorf("%s: lies %q, undecided %q", what, got.Lies, got.Undecided)
	}
}

// TestDisputed has somebody with the agent's key state another size of a pack than the commit before.
func TestDisputed(t *testing.T) {
	d := mem.New()
	r := newRig(t, d).fill(4)
	chains, err := r.open(d).Chains(t.Context())
	must(t, err)
	packs, _, err := r.open(d).Added(t.Context(), chains[0].Commits[1])
	must(t, err)
	h := chains[0].Head()
	r.forge(d, record.CommitName(h.Chain, h.Seq), func(c *record.Commit) {
		c.Packs = append(c.Packs, record.Ref{Name: packs[0].Name, Size: packs[0].Size + 1})
		slices.SortFunc(c.Packs, func(a, b record.Ref) int { return slices.Compare(a.Name[:], b.Name[:]) })
	})
	for name, audit := range map[string]func(context.Context, *vault.Vault, Options) (*Result, error){"sample": Run, "full": Full} {
		res, err := audit(t.Context(), r.open(d), r.defaults())
		must(t, err)
		sound(t, res)
		said := slices.ContainsFunc(res.Audit.Findings, func(f report.AuditFinding) bool {
			return f.Severity == string(vault.Tampering) && strings.Contains(f.Text, "different sizes of 1 object")
		})
		if !said || res.Audit.Verdict == report.VerdictIntact {
			t.Errorf("%s: %s, %+v", name, res.Audit.Verdict, res.Audit.Findings)
		}
		r.check(res)
	}
}

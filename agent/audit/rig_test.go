package audit

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"farshore/agent"
	"farshore/agent/internal/small"
	"farshore/agent/report"
	"farshore/agent/vault"
	"farshore/crypto/seal"
	"farshore/crypto/sign"
	"farshore/providers"
)

// tamper is what the stores of tests can do beyond a Driver.
type tamper interface {
	providers.Driver
	Objects() map[string][]byte
}

// rig is a vault on a store, which the agent writes to, and a clock for audits.
type rig struct {
	t        *testing.T
	d        tamper
	owner    sign.PrivateKey
	agent    sign.PrivateKey
	options  agent.SessionOptions
	recovery age.Identity
	metadata age.Identity
	now      time.Time
	src      *small.Source
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newRig(t *testing.T, d tamper) *rig {
	t.Helper()
	r := &rig{t: t, d: d, now: time.Now(), src: &small.Source{Name: "a bucket", All: map[string]string{}}}
	var err error
	r.owner, err = sign.Generate()
	must(t, err)
	r.agent, err = sign.Generate()
	must(t, err)
	text, recovery, err := seal.GenerateX25519()
	must(t, err)
	r.recovery, err = seal.ParseIdentity(text)
	must(t, err)
	text, metadata, err := seal.GenerateX25519()
	must(t, err)
	r.metadata, err = seal.ParseIdentity(text)
	must(t, err)
	_, err = vault.Create(t.Context(), r.bucket(d), vault.CreateOptions{Owner: r.owner, Recovery: []string{recovery}, Metadata: metadata, Agent: r.agent.Public(), Time: time.Now()})
	must(t, err)
	r.options = agent.SessionOptions{Owner: r.owner.Public(), Recipients: []string{recovery}, Identities: []age.Identity{r.metadata}, Key: r.agent, State: filepath.Join(t.TempDir(), "state")}
	return r
}

func (r *rig) bucket(d providers.Driver) *providers.Bucket {
	return providers.New(d, providers.Options{Attempts: 1})
}

// fill makes so many commits, each with one more item in a pack of its own.
func (r *rig) fill(n int) *rig {
	r.t.Helper()
	s, err := agent.Open(r.t.Context(), r.bucket(r.d), r.options)
	must(r.t, err)
	for range n {
		i := len(r.src.All)
		r.src.All[fmt.Sprintf("item %03d", i)] = fmt.Sprintf("%8d %s", i, strings.Repeat(fmt.Sprint("text ", i), 200))
		_, err = s.Replicate(r.t.Context(), r.src, nil, nil, agent.Options{})
		must(r.t, err)
	}
	must(r.t, s.Close())
	return r
}

func (r *rig) open(d providers.Driver, ids ...age.Identity) *vault.Vault {
	r.t.Helper()
	owner := r.owner.Public()
	v, err := vault.Open(r.t.Context(), r.bucket(d), vault.Options{Owner: &owner, Identities: ids})
	must(r.t, err)
	return v
}

// defaults are the options of an audit by the agent, whose clock advances a second with each look.
func (r *rig) defaults() Options {
	return Options{Key: &r.agent, Program: "farshore test", Scratch: r.t.TempDir(), Workers: 2, Now: func() time.Time {
		r.now = r.now.Add(time.Millisecond)
		return r.now
	}}
}

// run audits, and holds the result to what any audit has to hold to.
func (r *rig) run(o Options, ids ...age.Identity) *Result {
	r.t.Helper()
	v := r.open(r.d, ids...)
	res, err := Run(r.t.Context(), v, o)
	must(r.t, err)
	r.sound(v, res)
	return res
}

// packs are the names of stored packs, in order.
func (r *rig) packs() (names []string) {
	for name := range r.d.Objects() {
		if strings.HasPrefix(name, "packs/") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// sound holds a result to what any audit has to hold to: that the report which was stored is the one that is returned and counts, and that no number says more than another allows.
func (r *rig) sound(v *vault.Vault, res *Result) {
	r.t.Helper()
	sound(r.t, res)
	if res.Name == "" {
		return
	}
	shelf, err := report.Read(r.t.Context(), v)
	must(r.t, err)
	e, err := report.Find(shelf, res.Name)
	must(r.t, err)
	if e.Hash != res.Hash || e.Audit == nil || e.Audit.Verdict != res.Audit.Verdict || !e.Audit.Time.Equal(res.Audit.Time) {
		r.t.Errorf("the report that was stored is another than the one returned")
	}
}

func sound(t *testing.T, res *Result) {
	t.Helper()
	a := res.Audit
	all := a.Population.Packs + a.Population.Pages
	wrong := func(format string, args ...any) { t.Helper(); t.Errorf(format, args...) }
	if a.Coverage.Verified+a.Coverage.Never != all && a.Mode != report.ModeDrill && (a.End == report.EndDone || a.Coverage.Verified > 0) {
		wrong("coverage: %d verified and %d never, of %d", a.Coverage.Verified, a.Coverage.Never, all)
	}
	read := int64(0)
	for _, p := range a.Parts {
		if p.Intact+p.Failed+p.Unread != p.Checked || p.Checked > p.Planned {
			wrong("part %s: %+v", p.Part, p)
		}
		if p.Part != report.PartBytes {
			read = max(read, p.Intact+p.Failed)
		}
	}
	if n := count(a, "objects that were not read whole"); n > all-read || n < 0 {
		wrong("%d objects were not read, and %d of %d were", n, read, all)
	}
	for _, b := range a.Bounds {
		if packs := a.Bounds[0]; b.Unit == report.UnitBytes && b.Method == report.MethodCensus {
			if packs.Unit != report.UnitPacks || packs.Sampled != a.Population.Packs || (b.Failed != 0) != (packs.Failed != 0) || (b.Failed == b.Sampled) != (packs.Failed == packs.Sampled) {
				wrong("every byte counts as dealt with, %+v, and of packs %+v", b, packs)
			}
			continue
		}
		for _, p := range a.Parts {
			if p.Part == b.Unit && (b.Sampled != p.Checked || b.Failed != p.Failed+p.Unread) {
				wrong("bound %+v of part %+v", b, p)
			}
		}
		if b.Upper95 > b.Upper99 || b.Sampled == 0 && b.Upper95 < 1 && b.Population > 0 {
			wrong("bound %+v", b)
		}
	}
	if a.Verdict == report.VerdictIntact && (len(a.Damaged) > 0 || a.Short()) {
		wrong("verdict intact: %+v", a)
	}
	if len(res.Findings) != len(a.Findings) {
		wrong("%d findings here, %d in the report", len(res.Findings), len(a.Findings))
	}
	for _, f := range a.Findings {
		if strings.Contains(f.Text, "a bucket") || strings.Contains(f.Text, "item 0") || strings.Contains(f.Text, "mem://") {
			wrong("a finding has a name: %q", f.Text)
		}
	}
}

// count is how many of something an audit says that it did not check.
func count(a *report.Audit, what string) int64 {
	for _, n := range a.NotChecked {
		if n.What == what {
			return n.Count
		}
	}
	return 0
}

// part returns one part of an audit.
func part(t *testing.T, a *report.Audit, name string) report.Part {
	t.Helper()
	for _, p := range a.Parts {
		if p.Part == name {
			return p
		}
	}
	t.Fatalf("there is no part %s: %+v", name, a.Parts)
	return report.Part{}
}

// check draws the report again, which must hold.
func (r *rig) check(res *Result) *Checked {
	r.t.Helper()
	c := r.checked(res)
	if !c.OK() || len(c.Undecided) > 0 {
		r.t.Errorf("an honest report does not hold: %q, undecided %q", c.Lies, c.Undecided)
	}
	return c
}

func (r *rig) checked(res *Result) *Checked {
	r.t.Helper()
	v := r.open(r.d)
	shelf, err := report.Read(r.t.Context(), v)
	must(r.t, err)
	e, err := report.Find(shelf, res.Name)
	must(r.t, err)
	c, err := Check(r.t.Context(), v, e, CheckOptions{Scratch: r.t.TempDir()})
	must(r.t, err)
	return c
}

func containsSecret(text string) bool { return strings.Contains(text, "secret") }

// declare places the owner's next statement.
func (r *rig) declare(edit vault.Edit) {
	r.t.Helper()
	v := r.open(r.d)
	d, err := v.Draft(r.t.Context(), time.Now(), "a test", edit)
	must(r.t, err)
	_, stored, err := d.Sign(r.owner)
	must(r.t, err)
	_, err = v.Place(r.t.Context(), stored)
	must(r.t, err)
}

package audit

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/agent/vault"
	"farshore/providers"
	"farshore/providers/faults"
	"farshore/providers/mem"
)

// counted is a store that calls a function before each operation.
type counted struct {
	providers.Driver
	n    atomic.Int64
	each func(n int64) error
}

func (c *counted) op() error { return c.each(c.n.Add(1)) }

func (c *counted) Create(ctx context.Context, name string, body *io.SectionReader, sum [32]byte) (providers.Info, error) {
	if err := c.op(); err != nil {
		return providers.Info{}, err
	}
	return c.Driver.Create(ctx, name, body, sum)
}

func (c *counted) Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	if err := c.op(); err != nil {
		return nil, err
	}
	return c.Driver.Open(ctx, name, off, n)
}

func (c *counted) Stat(ctx context.Context, name string) (providers.Info, error) {
	if err := c.op(); err != nil {
		return providers.Info{}, err
	}
	return c.Driver.Stat(ctx, name)
}

func (c *counted) List(ctx context.Context, prefix, after string, limit int) ([]providers.Info, bool, error) {
	if err := c.op(); err != nil {
		return nil, false, err
	}
	return c.Driver.List(ctx, prefix, after, limit)
}

// clone is a store with the same objects.
func clone(d *mem.Driver) *mem.Driver {
	out := mem.New()
	for name, b := range d.Objects() {
		out.Set(name, b)
	}
	return out
}

// operations is how many operations an audit makes on the store.
func (r *rig) operations(base *mem.Driver, o Options) int64 {
	r.t.Helper()
	f := faults.New(clone(base))
	v := r.open(f)
	before := f.Ops()
	_, err := Run(r.t.Context(), v, o)
	must(r.t, err)
	return int64(f.Ops() - before)
}

// left says what an audit left in a store: a report that counts and holds, or none and a commitment that is shown as open.
func (r *rig) left(d *mem.Driver, res *Result) (audits, commitments int) {
	r.t.Helper()
	r.d = d
	v := r.open(d)
	shelf, err := report.Read(r.t.Context(), v)
	must(r.t, err)
	if len(shelf.Findings) > 0 {
		r.t.Errorf("the shelf: %+v", shelf.Findings)
	}
	for _, e := range shelf.Entries {
		switch {
		case e.Audit != nil:
			audits++
			c, err := Check(r.t.Context(), v, e, CheckOptions{Scratch: r.t.TempDir()})
			must(r.t, err)
			if !c.OK() {
				r.t.Errorf("%s: %q", e.Audit.End, c.Lies)
			}
			sound(r.t, &Result{Audit: e.Audit, Findings: res.Findings})
		case e.Commitment != nil:
			commitments++
		}
	}
	if open := len(shelf.Abandoned); open != commitments-audits {
		r.t.Errorf("%d commitments, %d audits, and %d open", commitments, audits, open)
	}
	return audits, commitments
}

// TestRunCancelled stops an audit before each of its operations: what was verified is kept, and a report never says more.
func TestRunCancelled(t *testing.T) {
	base := mem.New()
	r := newRig(t, base).fill(3)
	o := r.defaults()
	total := r.operations(base, o)
	ends := map[string]int{}
	for k := int64(1); k <= total; k++ {
		d := clone(base)
		ctx, cancel := context.WithCancel(t.Context())
		c := &counted{Driver: d, each: func(int64) error { return nil }}
		v := r.open(c)
		from := c.n.Load()
		c.each = func(n int64) error {
			if n == from+k {
				cancel()
			}
			return nil
		}
		res, err := Run(ctx, v, o)
		cancel()
		if res == nil {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("operation %d: %v", k, err)
			}
			r.left(d, &Result{})
			continue
		}
		audits, _ := r.left(d, res)
		if audits != 1 || res.Unplaced != nil {
			t.Fatalf("operation %d: %d audits, unplaced %v, %v", k, audits, res.Unplaced, err)
		}
		ends[res.Audit.End]++
		if res.Audit.End == report.EndInterrupted && (res.Audit.Verdict == report.VerdictIntact || !errors.Is(err, context.Canceled)) {
			t.Errorf("operation %d: interrupted, and %s: %v", k, res.Audit.Verdict, err)
		}
	}
	t.Logf("%d operations: %v", total, ends)
	if ends[report.EndInterrupted] == 0 {
		t.Error("none was interrupted")
	}
}

// TestRunStoreFails lets each operation of an audit fail, once and for good.
func TestRunStoreFails(t *testing.T) {
	base := mem.New()
	r := newRig(t, base).fill(3)
	o := r.defaults()
	total := r.operations(base, o)
	for _, lasts := range []bool{false, true} {
		seen := map[string]int{}
		for k := int64(1); k <= total; k++ {
			d := clone(base)
			c := &counted{Driver: d, each: func(int64) error { return nil }}
			v := r.open(c)
			from := c.n.Load()
			c.each = func(n int64) error {
				if n == from+k || lasts && n > from+k {
					return &providers.Error{Kind: providers.Temporary, Op: "any", Name: "packs/x", Err: errors.New("https://secret.example/bucket is away")}
				}
				return nil
			}
			res, err := Run(t.Context(), v, o)
			if res == nil {
				if err == nil {
					t.Fatalf("operation %d: no result and no error", k)
				}
				seen["none"]++
				r.left(d, &Result{})
				continue
			}
			seen[res.Audit.End]++
			audits, commitments := r.left(d, res)
			if placed := res.Unplaced == nil; placed != (audits == 1) && !lasts {
				t.Errorf("operation %d: placed %v, %d audits of %d commitments", k, placed, audits, commitments)
			}
			if res.Audit.End == report.EndFailed && (res.Audit.Why == "" || res.Audit.Verdict == report.VerdictIntact || err == nil) {
				t.Errorf("operation %d: failed, %q, %s, %v", k, res.Audit.Why, res.Audit.Verdict, err)
			}
			for _, text := range append([]string{res.Audit.Why}, textsOf(res.Audit)...) {
				if containsSecret(text) {
					t.Errorf("the report names a place: %q", text)
				}
			}
		}
		t.Logf("lasts %v: %v", lasts, seen)
		if seen[report.EndFailed] == 0 || seen["none"] == 0 {
			t.Errorf("lasts %v: %v", lasts, seen)
		}
	}
}

// TestRunDies ends the process behind each operation: what is left is a report that holds, or an open commitment.
func TestRunDies(t *testing.T) {
	base := mem.New()
	r := newRig(t, base).fill(2)
	o := r.defaults()
	total := r.operations(base, o)
	for k := int64(1); k <= total; k++ {
		d := clone(base)
		f := faults.New(d)
		v := r.open(f)
		f.DieAfter(f.Ops() + int(k))
		res, _ := Run(t.Context(), v, o)
		if res == nil {
			res = &Result{}
		}
		audits, commitments := r.left(d, res)
		if audits > commitments {
			t.Errorf("operation %d: %d audits of %d commitments", k, audits, commitments)
		}
	}
}

func textsOf(a *report.Audit) (out []string) {
	for _, f := range a.Findings {
		out = append(out, f.Text, f.Object)
	}
	for _, n := range a.NotChecked {
		out = append(out, n.Why)
	}
	return out
}

// TestRunTime ends an audit by its time: what was asked for by then counts, and the report says what was not reached. It is incomplete where it had bytes to read, and not where the time
// was its whole budget.
func TestRunTime(t *testing.T) {
	for bytes, want := range map[int64]string{1 << 40: report.VerdictIncomplete, 0: report.VerdictIntact} {
		runTime(t, bytes, want)
	}
}

func runTime(t *testing.T, bytes int64, want string) {
	r := newRig(t, mem.New()).fill(6)
	o := r.defaults()
	o.Duration, o.Bytes = time.Second, bytes
	o.Now = func() time.Time {
		r.now = r.now.Add(30 * time.Millisecond)
		return r.now
	}
	res := r.run(o)
	a := res.Audit
	if a.End != report.EndTime || a.Verdict != want {
		t.Errorf("%d bytes: end %s, verdict %s, %+v", bytes, a.End, a.Verdict, a.Parts)
	}
	for _, p := range a.Parts {
		if p.Unread > 0 || p.Part == report.PartPacks && p.Checked == 0 {
			t.Errorf("part %+v", p)
		}
	}
	if count(a, "objects that were not read whole") == 0 {
		t.Errorf("not checked: %+v", a.NotChecked)
	}
	r.check(res)
}

// TestRunClockBack holds that a clock that was set back makes no report that readers ignore.
func TestRunClockBack(t *testing.T) {
	r := newRig(t, mem.New()).fill(2)
	first := r.run(r.defaults()).Audit
	r.now = r.now.Add(-30 * time.Minute)
	second := r.run(r.defaults())
	if second.Audit.Time.Before(first.Time) || second.Audit.Started.Before(first.Time) {
		t.Errorf("the second says %s, the first %s", second.Audit.Time, first.Time)
	}
	r.check(second)
	r.now = r.now.Add(-30 * day)
	_, err := Run(t.Context(), r.open(r.d), r.defaults())
	if !errors.Is(err, ErrClock) {
		t.Errorf("a month back: %v", err)
	}
}

// TestRunAhead has a report of the agent's key bear a time to come, as a wrong clock writes it, or who has the key: the agent's audits say which it is, and what to do; its passes go on, and
// so do the audits of others, in which the report is told.
func TestRunAhead(t *testing.T) {
	r := newRig(t, mem.New()).fill(2)
	future, now := r.defaults(), time.Now()
	future.Now = func() time.Time { now = now.Add(time.Millisecond); return now.Add(400 * day) }
	res, err := Run(t.Context(), r.open(r.d), future)
	must(t, err)
	for _, audit := range []func(context.Context, *vault.Vault, Options) (*Result, error){Run, Full} {
		_, err := audit(t.Context(), r.open(r.d), r.defaults())
		for _, want := range []string{res.Name, record.FormatTime(res.Audit.Time), "have the owner", "or wait"} {
			if !errors.Is(err, ErrClock) || !strings.Contains(err.Error(), want) {
				t.Errorf("it does not say %q: %v", want, err)
			}
		}
	}
	if _, err := LeaveDrill(t.Context(), r.open(r.d), report.Drill{}, r.defaults()); !errors.Is(err, ErrClock) {
		t.Errorf("a drill: %v", err)
	}
	r.fill(1)
	o := r.defaults()
	o.Key = &r.owner
	other := r.run(o)
	r.check(other)
	if a := other.Audit; a.Population.Packs != 3 || a.Coverage.Never != 0 || !slices.ContainsFunc(a.Findings, func(f report.AuditFinding) bool { return f.Object == res.Name }) {
		t.Errorf("%+v, %+v", a.Population, a.Findings)
	}
}

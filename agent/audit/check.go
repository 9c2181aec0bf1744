package audit

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/agent/vault"
	"farshore/agent/verify/census"
	"farshore/agent/verify/draw"
)

// headSlack is how much older than a commitment a commit may be that its heads do not have yet: it is stored a while after its time was taken, and clocks differ.
const headSlack = time.Hour

// ErrNoAudit says that a report is no audit, so that there is nothing to draw again.
var ErrNoAudit = errors.New("the report is no audit")

// Check draws an audit again from what it reveals, and says where it says something else than comes out: that its commitment was stored before it and has the hash of its seed, that it
// goes by the heads that there were, that it read what the seed decides and no other, and that bounds, ledger, coverage and verdict follow from its numbers. It can't say whether
// what was read was as the report says: Claims are what stands on the signer's word. It believes nothing that the report says, reads commits and reports alone, and changes nothing. The error is why it could not be
// checked at all.
func Check(ctx context.Context, v *vault.Vault, entry *report.Entry, o CheckOptions) (*Checked, error) {
	if entry == nil || entry.Audit == nil {
		return nil, ErrNoAudit
	}
	c := &checker{v: v, o: o, Checked: &Checked{}}
	var err error
	if c.shelf, err = report.Read(ctx, v); err != nil {
		return nil, err
	}
	if c.e, err = c.whole(ctx, entry); err != nil {
		return nil, err
	}
	c.a = c.e.Audit
	c.numbers()
	c.claims()
	if c.a.Mode == report.ModeDrill {
		c.unsure("a drill draws nothing: that it was made can't be computed again")
		return c.Checked, nil
	}
	return c.Checked, c.all(ctx)
}

// checker is a check under way.
type checker struct {
	*Checked
	v      *vault.Vault
	o      CheckOptions
	shelf  *report.Shelf
	e      *report.Entry
	a      *report.Audit
	last   *report.Audit // the signer's before, nil at first
	chains []*vault.Chain
	census *census.Census
	plan   *draw.Plan
}

func (c *checker) ok(format string, args ...any) {
	c.Recomputed = append(c.Recomputed, fmt.Sprintf(format, args...))
}

func (c *checker) lie(format string, args ...any) {
	c.Lies = append(c.Lies, fmt.Sprintf(format, args...))
}

func (c *checker) claim(format string, args ...any) {
	c.Claims = append(c.Claims, fmt.Sprintf(format, args...))
}

func (c *checker) unsure(format string, args ...any) {
	c.Undecided = append(c.Undecided, fmt.Sprintf(format, args...))
}

// same says of what was computed again whether the report has it.
func (c *checker) same(what string, says, comes any) {
	a, b := text(says), text(comes)
	if a != "" && a == b {
		c.ok("%s", what)
		return
	}
	c.lie("%s: the report says %.300s, and it comes to %.300s", what, a, b)
}

// text is a part of a report as JSON, which has what pointers point to; "" where it has none.
func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(b)
}

// whole is the entry with all its lists.
func (c *checker) whole(ctx context.Context, e *report.Entry) (*report.Entry, error) {
	if !e.Trimmed {
		return e, nil
	}
	whole, _, err := report.Load(ctx, c.v, e)
	return whole, err
}

func (c *checker) all(ctx context.Context) error {
	for _, e := range report.Dropped(c.shelf.Entries, c.e) {
		if len(c.Untold) < MaxUntold {
			c.Untold = append(c.Untold, e.Name)
		}
	}
	before := c.e.Hash
	if c.a.Mode == report.ModeSample {
		commitment, err := c.commitment(ctx)
		if err != nil || commitment == nil {
			return err
		}
		before = commitment.Hash
	}
	if e := lastBefore(c.shelf, c.e.Signer, before); e != nil {
		e, err := c.whole(ctx, e)
		if err != nil {
			return err
		}
		c.last = e.Audit
	}
	if known, err := c.population(ctx); err != nil || !known {
		return err
	}
	defer c.census.Close()
	if c.a.Mode == report.ModeFull {
		if err := c.everything(ctx); err != nil {
			return err
		}
	} else if err := c.parts(ctx); err != nil {
		return err
	}
	return c.coverage(ctx)
}

// commitment finds what bound the audit before it drew, and holds the audit to it. Nil: there is nothing to go on with.
func (c *checker) commitment(ctx context.Context) (*report.Entry, error) {
	a := c.a
	if a.Commitment == nil || a.Seed == nil {
		c.lie("it has no commitment: nothing shows that nobody chose what it drew")
		return nil, nil
	}
	var found *report.Entry
	for _, e := range c.shelf.Entries {
		if e.Signer != c.e.Signer {
			continue
		}
		if e.Audit != nil && e.Hash != c.e.Hash && e.Audit.Commitment != nil && *e.Audit.Commitment == *a.Commitment {
			c.lie("%s reveals the same commitment: one draw was reported twice", e.Name)
		}
		if e.Hash == *a.Commitment {
			found = e
		}
	}
	if found == nil || found.Commitment == nil {
		c.lie("its signer has no commitment %s", *a.Commitment)
		return nil, nil
	}
	found, err := c.whole(ctx, found)
	if err != nil {
		return nil, err
	}
	k := found.Commitment
	if found.Seq >= c.e.Seq {
		c.lie("its commitment %s was stored behind it", found.Name)
	} else {
		c.ok("its commitment %s was stored before it", found.Name)
	}
	if record.Hash(sha256.Sum256(a.Seed[:])) != k.Seed {
		c.lie("its seed does not have the hash that its commitment states")
	} else {
		c.ok("its seed has the hash that its commitment states")
	}
	c.same("heads of the commitment", a.Heads, k.Heads)
	c.same("budget of the commitment", a.Budget, k.Budget)
	c.same("time of the commitment, from which the draw is reckoned", a.Started, k.Time)
	return found, nil
}

// population takes the census of the heads again. It reports whether there is one to go on with.
func (c *checker) population(ctx context.Context) (bool, error) {
	chains, err := c.v.Chains(ctx)
	if err != nil {
		return false, err
	}
	c.chains = chains
	if err := c.stale(ctx, chains); err != nil {
		return false, err
	}
	c.census, err = census.TakeAsOf(ctx, c.v, chains, c.a.Heads, census.Options{Dir: c.o.Scratch, Progress: c.o.Progress})
	if errors.Is(err, census.ErrHead) {
		c.unsure("what it drew from: %v", err)
		return false, nil
	}
	if err != nil {
		return false, err
	}
	says, comes := c.a.Population, c.census.Population()
	says.Items, says.ItemBytes = 0, 0 // stated holds these to the commits
	if n := c.revoked(chains); n > 0 {
		c.unsure("what it drew from: of the commits up to its heads, the owner has revoked %d since the statement that it goes by, or lets them count again", n)
		return false, c.census.Close()
	}
	c.same("how many objects the commits up to its heads name", says, comes)
	if says != comes {
		return false, c.census.Close() // nothing else can follow from it, and what it claims may take for ever to reckon with
	}
	c.stated()
	return true, nil
}

// revoked counts the commits up to the heads that one of the statement that the audit goes by and the newest has as revoked, and the other has not. A report may state any
// statement: then it is undecided, which is no word for right.
func (c *checker) revoked(chains []*vault.Chain) (n int64) {
	if c.census.Revoked() == 0 && !slices.ContainsFunc(c.v.Statements(), func(s vault.Stated) bool { return len(s.Revoked) > 0 }) {
		return 0
	}
	then := map[record.Hash]bool{}
	for _, s := range c.v.Statements() {
		for _, r := range s.Revoked {
			if s.N == c.a.Statement && r.Commit != nil {
				then[*r.Commit] = true
			}
		}
	}
	heads := headsOf(c.a.Heads)
	for _, x := range chains {
		for _, k := range x.Commits {
			if k.Seq <= heads[x.ID] && k.Revoked != then[k.Hash] {
				n++
			}
		}
	}
	return n
}

// headsOf are the numbers of the newest commits, by chain.
func headsOf(heads []report.Head) map[string]int64 {
	out := map[string]int64{}
	for _, h := range heads {
		out[h.Chain] = h.Seq
	}
	return out
}

// maxStale is how many chains are told of whose heads leave something out.
const maxStale = 20

// stale looks for commits that were there before the audit began, and that its heads leave out. When a commit was made is what its signer says, who may have a stolen key and want the
// auditor to look like a liar: the store's own time of it has to say the same.
func (c *checker) stale(ctx context.Context, chains []*vault.Chain) error {
	heads := headsOf(c.a.Heads)
	stale, before := 0, c.a.Started.Add(-headSlack)
	for _, x := range chains {
		i := slices.IndexFunc(x.Commits, func(k *vault.Commit) bool { return k.Seq > heads[x.ID] && k.Time.Before(before) })
		if i < 0 {
			continue
		}
		if heads[x.ID] == 0 && len(heads) >= maxChains {
			c.unsure("whether its heads leave out what there was: they are as many as a report lists, and there are more chains")
			return nil
		}
		if stale++; stale > maxStale {
			c.unsure("whether its heads leave out what there was: of more than %d chains they lack commits that call themselves older than it", maxStale)
			return nil
		}
		k := x.Commits[i]
		n, err := c.v.Bucket().History(ctx, record.CommitName(x.ID, k.Seq))
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err == nil && !n.Modified.IsZero() && n.Modified.Before(before) {
			c.lie("it leaves out commit %d of chain %s, which was made on %s, before it began", k.Seq, x.ID, record.FormatTime(k.Time))
			continue
		}
		c.unsure("whether its heads leave out what there was: they lack commit %d of chain %s, which says that it was made on %s, before the audit began; that the store had it then is not known",
			k.Seq, x.ID, record.FormatTime(k.Time))
	}
	if stale == 0 {
		c.ok("its heads leave out no commit that is more than %s older than it", headSlack)
	}
	return nil
}

// parts draws again, and holds each part to it.
func (c *checker) parts(ctx context.Context) error {
	var err error
	if c.plan, err = draw.Draw(ctx, c.input()); err != nil {
		return err
	}
	if c.a.End != report.EndDone && len(c.a.Parts) == 0 {
		c.ok("it ended before it drew, and says so")
		return nil
	}
	lists := map[string][]census.Object{report.PartPacks: c.plan.Packs, report.PartPages: c.plan.Pages, report.PartBytes: c.plan.Bytes, report.PartRisk: c.plan.Risk}
	seen, lies := map[string]bool{}, len(c.Lies)
	for i := range c.a.Parts {
		p := &c.a.Parts[i]
		seen[p.Part] = true
		objects, planned := each(lists[p.Part]), int64(len(lists[p.Part]))
		if p.Part == report.PartCoverage {
			objects, planned = draw.Swept(ctx, c.input(), c.plan.Sweeps), c.plan.SweepObjects
			c.same("what part coverage goes over", p.Sweeps, c.plan.Sweeps)
		}
		if p.Planned != planned {
			c.lie("part %s: the report says that %d objects were drawn, and it comes to %d", p.Part, p.Planned, planned)
			continue
		}
		if err := c.part(p, objects); err != nil {
			return err
		}
	}
	for _, name := range []string{report.PartPacks, report.PartPages, report.PartBytes, report.PartRisk} {
		if len(lists[name]) > 0 && !seen[name] {
			c.lie("part %s is left out: %d objects were drawn", name, len(lists[name]))
		}
	}
	if len(c.plan.Sweeps) > 0 && !seen[report.PartCoverage] {
		c.lie("part coverage is left out")
	}
	if len(c.Lies) > lies {
		return nil // bounds of numbers that are made up say nothing, and may take for ever to reckon
	}
	return c.bounds(ctx)
}

func (c *checker) input() draw.Input { return inputOf(c.a, c.last, c.census, c.before()) }

// part recomputes the digest and the bytes of the objects that a part says were checked.
func (c *checker) part(p *report.Part, objects iter.Seq2[census.Object, error]) error {
	digest, n, bytes, err := digestOf(objects, p.Checked)
	if err != nil {
		return err
	}
	if n != p.Checked || digest != p.Digest || bytes != p.Bytes {
		c.lie("part %s: the %d objects that it says were checked are not the first of those that were drawn", p.Part, p.Checked)
		return nil
	}
	c.ok("part %s: what was drawn, of which it dealt with the first %d of %d", p.Part, p.Checked, p.Planned)
	return nil
}

// digestOf is the digest of the first so many objects, and how many bytes they have.
func digestOf(objects iter.Seq2[census.Object, error], most int64) (sum record.Hash, n, bytes int64, err error) {
	var d draw.Digest
	for o, err := range objects {
		if err != nil {
			return sum, n, bytes, err
		}
		if n == most {
			break
		}
		d.Add(o)
		n, bytes = n+1, bytes+o.Size
	}
	return d.Sum(), n, bytes, nil
}

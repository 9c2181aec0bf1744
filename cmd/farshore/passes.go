package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"farshore/agent"
	"farshore/agent/config"
	"farshore/agent/probe"
	"farshore/agent/record"
	"farshore/agent/source"
	"farshore/agent/source/bucket"
	"farshore/agent/vault"
)

// runReplicate makes the passes, one source behind the other. One that fails does not stop the others.
func runReplicate(ctx context.Context, e *env, o replicateOptions) (result, error) {
	r := replicateResult{DryRun: o.dryRun, Sources: []passResult{}}
	var failed []error
	var t *teller // nobody is told of a dry run
	missed := o.sources
	one := func(s config.Source, make func(source.Source, *config.Filter) (passResult, error)) {
		if ctx.Err() != nil {
			return
		}
		t.begin(ctx, s.Name)
		res, err := e.withSource(ctx, o.config, s, make)
		if res.Source != "" {
			r.Sources = append(r.Sources, res)
		}
		if err == nil {
			err = res.verdict(s.Name, s.Accept)
			t.pass(ctx, s.Name, &res, err)
		} else {
			alarm := res.verdictOnSuspicion(s.Name)
			if alarm != nil {
				failed = append(failed, fmt.Errorf("source %s: %w", s.Name, alarm))
			}
			t.pass(ctx, s.Name, &res, errors.Join(alarm, err))
		}
		missed = missed[1:]
		if err != nil && !(ctx.Err() != nil && errors.Is(err, context.Canceled)) {
			failed = append(failed, fmt.Errorf("source %s: %w", s.Name, err))
		}
	}
	if o.dryRun {
		for _, s := range o.sources {
			one(s, func(src source.Source, f *config.Filter) (passResult, error) {
				return e.planOne(ctx, o.config, s, src, f)
			})
		}
		r.promise(o.config.Vault)
		return r, worst(interrupted(ctx, failed))
	}
	t = e.teller(o.config)
	err := e.withSession(ctx, o.config, o.sources, func(session *agent.Session, g *custody) error {
		t.vault(session.Vault.ID())
		defer func() { r.Protection = g.protection }()
		for _, s := range o.sources {
			one(s, func(src source.Source, f *config.Filter) (passResult, error) {
				return e.replicateOne(ctx, session, g, s, src, f, o.accept)
			})
		}
		return nil
	})
	t.session(ctx, o.sources, missed, r.Protection, err)
	r.Told = t.close(ctx)
	if err != nil {
		failed = append(failed, err)
	}
	if r.Protection != nil && r.Protection.Verdict == probe.Unproven {
		failed = append(failed, &failure{exit: exitIncomplete, code: codeUnproven, err: fmt.Errorf("replicated, but it is not proven that the agent's credential is append-only: %s", r.Protection.Words),
			hint: "`farshore probe` says what was tried and what came back; " + policyHint(probe.Writer)})
	}
	return r, worst(interrupted(ctx, failed))
}

// interrupted adds to the failures that the command was interrupted, if it was.
func interrupted(ctx context.Context, failed []error) []error {
	if ctx.Err() == nil {
		return failed
	}
	return append(failed, fmt.Errorf("the pass did not reach its end: %w", ctx.Err()))
}

// worst returns the failures as one, with the exit code of the gravest: damage, then a failure, then suspicion, then incompleteness.
func worst(failed []error) error {
	if len(failed) == 0 {
		return nil
	}
	rank := func(err error) int {
		f := classify(context.Background(), err)
		if f.code == codeSuspicious {
			return 1
		}
		return slices.Index([]int{exitIncomplete, -1, exitUsage, exitFailed, exitDamage}, f.exit)
	}
	slices.SortStableFunc(failed, func(a, b error) int { return rank(b) - rank(a) })
	all := errors.Join(failed...)
	var named *failure
	if errors.As(failed[0], &named) || errors.Is(failed[0], context.Canceled) {
		return all
	}
	gravest := classify(context.Background(), failed[0]) // a milder one behind it would be found before it
	return &failure{exit: gravest.exit, code: gravest.code, hint: gravest.hint, err: all}
}

// withSource opens a source and its patterns.
func (e *env) withSource(ctx context.Context, c *config.Config, s config.Source, do func(source.Source, *config.Filter) (passResult, error)) (passResult, error) {
	filter, err := config.NewFilter(s.Include, s.Exclude)
	if err != nil {
		return passResult{}, err
	}
	src, err := e.openSource(ctx, c, s)
	if err != nil {
		return passResult{}, err
	}
	return do(src, filter)
}

func (e *env) replicateOne(ctx context.Context, session *agent.Session, g *custody, s config.Source, src source.Source, f *config.Filter, accept int64) (passResult, error) {
	if err := g.check(ctx); err != nil { // the source before may have taken days
		return passResult{}, err
	}
	p, c := cmp.Or(e.progress, new(agent.Progress)), g.c
	bar := e.follow(s.Name, func() (int64, int64, int64, int64) {
		done := p.New.Load() + p.Changed.Load() + p.Renewed.Load() + p.Mended.Load() + p.Unchanged.Load() + p.Deleted.Load()
		back := p.RestoredBytes.Load() // read back from the vault: work as well
		return done, p.ReadBytes.Load() + back, 0, p.PlannedBytes.Load() + back
	})
	defer bar.Done()
	counted := tallied(src, f.Match)
	if counted != nil {
		src = counted
	}
	limits := c.TripwireOf(&s)
	rate, common := e.readRate(c, &s)
	sum, err := session.Replicate(ctx, src, s.Include, s.Exclude, agent.Options{
		Match: f.Match, Allow: g.check, CommitEvery: c.Commit.Every, CommitBytes: c.Commit.Bytes, Progress: p, ReadRate: rate, Reads: common,
		Tripwire: &limits, Accept: accept, Finish: e.finishWithin(),
	})
	if sum == nil {
		return passResult{}, err
	}
	r := passOf(s.Name, sum)
	r.tell(counted, false)
	if b, ok := src.(*bucket.Source); ok {
		r.Notices = append(r.Notices, notesOf(b.Notes())...)
	}
	return r, err
}

// notesOf says what a bucket's pass saw and no record has.
func notesOf(n bucket.Notes) []string {
	var out []string
	add := func(count int64, text string) {
		if count > 0 {
			out = append(out, plural(count, "object")+": "+text)
		}
	}
	add(n.TagsDenied, "tags could not be read, and are not stored: the credential lacks s3:GetObjectTagging")
	add(n.MetadataMissing, "the store says that it has metadata that it can't send")
	add(n.Misnamed, "the listing shows a name that may not be the object's own: this store does not encode control characters")
	return out
}

// passOf turns a summary into a result.
func passOf(name string, s *agent.Summary) passResult {
	r := passResult{
		Source: name, Complete: s.Complete, Commits: s.Commits, Listed: s.Listed, Excluded: s.Excluded,
		New: s.New, Changed: s.Changed, Renewed: s.Renewed, Mended: s.Mended, Deleted: s.Deleted, Gone: s.Gone,
		ReadBytes: s.CapturedBytes, StoredBytes: s.StoredBytes, StoredPacks: s.StoredPacks, Unreadable: s.Unreadable, Seconds: s.Duration.Seconds(),
	}
	r.Suspicious, r.Accepted, r.Good = s.Suspicious, s.Accepted, s.Good
	if k := s.ReadBack; k.OfItems > 0 {
		r.ReadBack = &readBackResult{k.Items, k.Bytes, k.OfItems, k.OfBytes}
	}
	if s.Head != nil {
		r.at = s.Head.Time
		r.Chain, r.Seq, r.Head = s.Head.Chain, s.Head.Seq, fmt.Sprintf("%d:%s", s.Head.Seq, s.Head.Hash)
	}
	for _, x := range s.Examples {
		r.Examples = append(r.Examples, unreadResult{pathJSON: jsonPath(x.Path), Reason: x.Reason, Detail: x.Detail, path: x.Path})
	}
	for _, n := range s.Notices {
		r.Notices = append(r.Notices, n.Object+": "+n.Text)
		r.alarm = r.alarm || n.Severity != vault.Notice
	}
	return r
}

// tell takes over what a pass over repositories says of them; nil for a pass over a bucket.
func (r *passResult) tell(t *tally, dryRun bool) {
	if t == nil {
		return
	}
	r.tally, r.Repositories = t, t.counts(dryRun)
	r.Examples = t.examples()
}

// verdict is the failure that a pass without an error still means: unreadable items for reasons that the configuration does not accept.
func (r *passResult) verdict(name string, accept []string) error {
	if r.alarm {
		return damagef("the vault's own objects show damage or tampering").with("`farshore verify` says more")
	}
	if err := r.verdictOnSuspicion(name); err != nil {
		return err
	}
	if r.tally != nil {
		return r.verdictOnRepositories(name, accept)
	}
	var n int64
	for reason, count := range r.Unreadable {
		if !slices.Contains(accept, reason) {
			n += count
		}
	}
	if n > 0 {
		return incompletef("%s could not be read", plural(n, "item")).with("they are recorded as unreadable, with their last good content where there is one; `accept:` in the configuration lists reasons that are no failure")
	}
	return nil
}

// verdictOnRepositories is verdict for a source of repositories.
func (r *passResult) verdictOnRepositories(name string, accept []string) error {
	n, reasons := r.tally.unaccepted(accept)
	if n == 0 {
		return nil
	}
	f := incompletef("%s could not be captured, or not all of it", plural(n, "repository"))
	local := strings.Contains(r.tally.Place().Place, "+file:")
	if c := r.Repositories; !local && c.Listed > 0 && c.Unreadable[record.ReasonDenied] == c.Listed {
		return f.with("none of them may be read: %s", credentialHint)
	}
	command := "farshore source set " + name
	for _, reason := range slices.Concat(accept, reasons) {
		command += " --accept " + reason
	}
	return f.with("all others are in the snapshot, and what was captured of these before stays restorable. The lines above say what to mend; where it shall stay so, `%s` makes it no failure", command)
}

// planOne says what a pass over one source would do and cost. It stores nothing, and needs no lock on the local state.
func (e *env) planOne(ctx context.Context, c *config.Config, s config.Source, src source.Source, f *config.Filter) (passResult, error) {
	o, err := e.sessionOptions(c)
	if err != nil {
		return passResult{}, err
	}
	begin := time.Now()
	var est *agent.Estimate
	var held int64
	counted := tallied(src, f.Match)
	if counted != nil {
		src = counted
	}
	a := &access{url: c.Vault, owner: &o.Owner, identities: o.Identities, limits: c.Limits}
	err = e.withVault(ctx, a, func(v *vault.Vault) error {
		chains, err := v.Chains(ctx)
		if err != nil {
			return err
		}
		for _, c := range chains {
			for _, k := range c.Commits {
				held += k.AddedBytes
			}
		}
		snap, err := newestOf(ctx, v, chains, s.Name, o.Key.ID())
		if err != nil {
			return err
		}
		p := new(agent.Progress)
		bar := e.follow(s.Name, func() (int64, int64, int64, int64) { return p.Listed.Load(), 0, 0, 0 })
		defer bar.Done()
		est, err = agent.Plan(ctx, snap, src, f.Match, p)
		return err
	})
	if est == nil || err != nil {
		return passResult{}, err
	}
	r := passResult{
		Source: s.Name, Complete: true, Listed: est.Listed, Excluded: est.Excluded, New: est.New, Changed: est.Changed, Deleted: est.Deleted,
		ReadBytes: est.ReadBytes, Seconds: time.Since(begin).Seconds(), Requests: est.Lists + est.Gets, Puts: est.Puts,
	}
	r.held = held
	r.tell(counted, true)
	r.Costs, r.Unpriced = costsOf(c.Vault, &s, est)
	return r, nil
}

// costsOf prices an estimate at the source, which bills listing, reading and egress, and at the vault, which bills creating and keeping. Where the
// prices are not known, it says of which side.
func costsOf(vaultURL string, s *config.Source, est *agent.Estimate) (costs []cost, unpriced []string) {
	if s.RepositoryKind() != "" {
		return nil, nil // a listing does not tell how much there is to read and to store
	}
	for _, side := range []struct {
		name, url string
		demand    demand
	}{
		{"source", s.URL, demand{Puts: est.Lists, Gets: est.Gets, Egress: est.ReadBytes}},
		{"vault", vaultURL, demand{Puts: est.Puts, Stored: est.ReadBytes}},
	} {
		if p, ok := priceOf(side.url); ok {
			costs = append(costs, costOf(p, side.demand))
		} else if !strings.HasPrefix(side.url, "file:") {
			unpriced = append(unpriced, side.name)
		}
	}
	return costs, unpriced
}

// newestOf opens the newest snapshot of the agent's chain for a source; nil when there is none.
func newestOf(ctx context.Context, v *vault.Vault, chains []*vault.Chain, name, signer string) (*vault.Snapshot, error) {
	var best *vault.Commit
	for _, c := range chains {
		if c.Source.Name != name || c.Head() == nil || c.Retired() || c.Commits[0].Signer != signer {
			continue
		}
		if k := c.Newest(); k != nil && (best == nil || k.Time.After(best.Time)) {
			best = k
		}
	}
	if best == nil {
		return nil, nil
	}
	return v.Snapshot(ctx, best)
}

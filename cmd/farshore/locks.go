package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"farshore/agent/config"
	"farshore/agent/record"
	"farshore/agent/vault"
)

func locksCommand(e *env) *cobra.Command {
	return e.reads(&cobra.Command{
		Use:   "locks [SOURCE]",
		Short: "Show until when the store keeps what the newest snapshots need",
		Long: `Ask the store for the locks (Object Lock, retention) of the objects that the newest snapshot of each source needs, and the newest one
that is not suspicious, and of their commits: when the first one runs out, and which it is. Up to 2,000 objects are all asked for; of more, as many are drawn at random. It needs no key, and a
credential that may read locks (S3: s3:GetObjectRetention).

It reads only. Where a configuration has min_lock_left, a lock that ends before it warns.

Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 the store does not tell of some or all, 4 something needed is missing.`,
		Example: "  farshore locks\n  farshore locks shop --json\n  farshore locks --vault 's3://offsite/vault?region=eu-west-3' --identity recovery.key",
		Args:    arguments(0, 1, "at most one SOURCE"),
	}, func(ctx context.Context, args []string) (result, error) {
		a, err := e.access()
		if err != nil {
			return nil, err
		}
		name := ""
		if len(args) == 1 {
			name = args[0]
		}
		return runLocks(ctx, e, a, name)
	})
}

// locksResult is the result of locks.
type locksResult struct {
	VaultID string `json:"vault_id"`
	// Time is when the store was asked.
	Time time.Time `json:"time"`
	// MinLockLeft is the configuration's, such as "30d"; empty where it has none.
	MinLockLeft string             `json:"min_lock_left,omitempty"`
	Bucket      *keepsResult       `json:"bucket"`
	Sources     []sourceLockResult `json:"sources"`

	left time.Duration
}

// sourceLockResult is the newest snapshot of one chain.
type sourceLockResult struct {
	Chain  string `json:"chain"`
	Source string `json:"source,omitempty"`
	Seq    int64  `json:"seq"`
	Time   string `json:"time"`
	vault.Locks

	// namesake is true where another chain is of a source of the same name.
	namesake bool
}

// title is what people call it: a source's name alone where no other chain has it.
func (s *sourceLockResult) title() string {
	name := or(s.Source, s.Chain)
	if s.namesake {
		name += " " + s.Chain
	}
	return fmt.Sprintf("%s@%d", name, s.Seq)
}

func runLocks(ctx context.Context, e *env, a *access, name string) (result, error) {
	r := &locksResult{Time: e.now().UTC(), Sources: []sourceLockResult{}}
	if a.config != nil && a.config.MinLockLeft > 0 {
		r.left, r.MinLockLeft = a.config.MinLockLeft, config.FormatDays(a.config.MinLockLeft)
	}
	err := e.withVault(ctx, a, func(v *vault.Vault) error {
		r.VaultID = v.ID()
		s, err := v.Bucket().Settings(ctx)
		if err != nil {
			return fmt.Errorf("ask how the vault's store keeps objects: %w", err)
		}
		r.Bucket = keepsOf(s)
		return r.survey(ctx, e, v, name)
	})
	if err != nil {
		return nil, err
	}
	return r, r.verdict(e)
}

// survey asks for the locks of each chain's newest snapshot.
func (r *locksResult) survey(ctx context.Context, e *env, v *vault.Vault, name string) error {
	chains, err := e.chains(ctx, v)
	if err == nil {
		err = e.refuse(v, chains, name)
	}
	if err != nil {
		return err
	}
	var others []string
	for _, c := range chains {
		if c.ID == "" || c.Head() == nil {
			continue
		}
		if name != "" && c.ID != name && c.Source.Name != name {
			others = append(others, or(c.Source.Name, c.ID))
			continue
		}
		e.warnFindings(c.Findings)
		current := c.Current()
		if len(current) == 0 {
			e.warn("chain %s has no snapshot that counts", c.ID)
		}
		for _, k := range current {
			locks, err := v.Locks(ctx, c, k, vault.MaxLocks, r.Time)
			if err != nil {
				return fmt.Errorf("%s: %w", or(c.Source.Name, c.ID), err)
			}
			r.Sources = append(r.Sources, sourceLockResult{Chain: c.ID, Source: c.Source.Name, Seq: k.Seq, Time: record.FormatTime(k.Time), Locks: *locks})
		}
	}
	if name != "" && len(r.Sources) == 0 {
		return e.noSource(v, name, others)
	}
	for i := range r.Sources {
		for j := range r.Sources {
			r.Sources[i].namesake = r.Sources[i].namesake || i != j && r.Sources[i].Source != "" && r.Sources[i].Source == r.Sources[j].Source
		}
	}
	return nil
}

// verdict warns of locks that end too soon, and is the failure that objects which are missing, or of which the store does not tell, mean.
func (r *locksResult) verdict(e *env) error {
	var failed []error
	for i := range r.Sources {
		s := &r.Sources[i]
		for _, c := range []*vault.LockCount{&s.Contents, &s.Commits} {
			if err := s.countVerdict(c); err != nil {
				failed = append(failed, err)
			}
		}
		if r.left > 0 && s.Contents.Asked > s.Contents.Unknown && (s.Contents.Locked < s.Contents.Asked-s.Contents.Unknown || s.Contents.First.Before(r.Time.Add(r.left))) {
			e.warn("%s: not all that it needs is locked for min_lock_left (%s): %s", s.title(), r.MinLockLeft, r.firstText(&s.Contents))
		}
	}
	return worst(failed)
}

func (s *sourceLockResult) countVerdict(c *vault.LockCount) error {
	switch {
	case c.Missing > 0:
		return damagef("%s: %s that it needs %s not there as stored", s.title(), plural(c.Missing, "object"), are(c.Missing)).with("`farshore verify` says which")
	case c.Unknown > 0:
		return incompletef("%s: of %s the store does not tell the lock: %s", s.title(), plural(c.Unknown, "object"), c.Why).
			with("let the credential read locks (S3: s3:GetObjectRetention); on a store that knows no locks, what keeps the vault is the credential alone")
	}
	return nil
}

// are is the verb for a number of things.
func are(n int64) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

// firstText says when the first lock ends.
func (r *locksResult) firstText(c *vault.LockCount) string {
	switch {
	case c.Asked == c.Unknown:
		return "not known"
	case c.First.IsZero():
		return "nothing has a lock that binds"
	}
	left := "over"
	if d := c.First.Sub(r.Time); d > 0 {
		left = strconv.FormatFloat(d.Hours()/24, 'f', 1, 64) + " days left"
	}
	return fmt.Sprintf("the first lock ends %s (%s): %s", record.FormatTime(c.First), left, c.FirstObject)
}

func (r *locksResult) text(p *printer) {
	r.Bucket.text(p)
	if len(r.Sources) == 0 {
		p.line("no snapshots yet")
	}
	for i := range r.Sources {
		s := &r.Sources[i]
		p.line("")
		p.line("%s, of %s", s.title(), s.Time)
		for _, part := range []struct {
			name string
			c    *vault.LockCount
		}{{"packs and pages", &s.Contents}, {"commits and statements", &s.Commits}} {
			p.line("  %s: %s", part.name, countText(part.c))
			p.line("    %s", r.firstText(part.c))
		}
	}
}

// countText says how many there are, how many were asked for, and what came back.
func countText(c *vault.LockCount) string {
	about := ""
	if c.Estimated {
		about = "about "
	}
	out := []string{fmt.Sprintf("%s%s needed, %s asked", about, formatCount(c.Needed), formatCount(c.Asked))}
	for _, x := range []struct {
		n    int64
		what string
	}{
		{c.Locked, "locked"}, {c.Liftable, "under a lock that can be lifted"}, {c.Expired, "whose lock is over"}, {c.Unlocked, "without a lock"},
		{c.Missing, "MISSING"}, {c.Unknown, "not told"},
	} {
		if x.n > 0 {
			out = append(out, formatCount(x.n)+" "+x.what)
		}
	}
	return strings.Join(out, ", ")
}

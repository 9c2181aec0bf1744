package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"farshore/agent/record"
	"farshore/agent/vault"
)

// withVault opens the vault for reading, as long as do takes.
func (e *env) withVault(ctx context.Context, a *access, do func(*vault.Vault) error) error {
	seen, err := e.newSight(a)
	if err != nil {
		return err
	}
	e.sight = seen
	return e.withStore(ctx, a.url, a.limits, func(s *store) error {
		e.proven = e.provenSoFar(a, s.Bucket.Traits().Place)
		v, err := e.openVault(ctx, s, a, seen)
		if err != nil {
			return err
		}
		for _, f := range v.Findings() {
			e.warn("%s: %s: %s", f.Severity, f.Object, f.Text)
		}
		err = do(v)
		e.sightings(v)
		return err
	})
}

// chosen is a snapshot that a command was asked for.
type chosen struct {
	chain  *vault.Chain
	commit *vault.Commit
}

// choose finds the snapshot of a source, by its name or its chain's id, as of a point in time. It refuses a source of which less is there than was seen.
func (e *env) choose(ctx context.Context, v *vault.Vault, name string, at when) (*chosen, error) {
	chains, err := e.chains(ctx, v)
	if err != nil {
		return nil, err
	}
	if err := e.refuse(v, chains, name); err != nil {
		return nil, err
	}
	var mine []*vault.Chain
	var names []string
	for _, c := range chains {
		switch {
		case c.ID == "" || c.Head() == nil:
			continue
		case c.ID == name || c.Source.Name == name:
			mine = append(mine, c)
			e.warnFindings(c.Findings)
		case c.Source.Name != "":
			names = append(names, c.Source.Name)
		}
	}
	if len(mine) == 0 {
		return nil, e.noSource(v, name, names)
	}
	best, err := pick(mine, name, at)
	if err != nil {
		return nil, err
	}
	if best == nil {
		return nil, noSnapshot(mine, name, at)
	}
	e.warnIncomplete(best, mine)
	e.warnSuspicious(best, mine, at)
	return best, nil
}

func (e *env) warnFindings(findings []vault.Finding) {
	for _, f := range findings {
		e.warn("%s: %s: %s", f.Severity, f.Object, f.Text)
	}
}

func (e *env) noSource(v *vault.Vault, name string, names []string) error {
	if !v.CanOpen() {
		return fmt.Errorf("the name of source %q is sealed in the vault: %w", name, vault.ErrLocked)
	}
	f := usagef("the vault has no source named %q", name)
	if len(names) == 0 {
		return f.with("no source's name could be read: is the identity that of this vault? `farshore snapshots` lists the chains")
	}
	slices.Sort(names)
	return f.with("it has %s", strings.Join(slices.Compact(names), ", "))
}

// pick returns the newest snapshot of the chains that the point in time allows, or nil. Where none was given, that is the newest complete one that is not suspicious, and
// only where there is none the newest of all.
func pick(chains []*vault.Chain, name string, at when) (*chosen, error) {
	if best := newestBy(chains, (*vault.Chain).NewestGood); best != nil && at.newest() {
		return best, nil
	}
	var best *chosen
	for _, c := range chains {
		var k *vault.Commit
		switch {
		case at.Number > 0:
			k = c.Number(at.Number)
		case at.newest():
			k = c.Newest()
		default:
			k = c.AsOf(at.Time)
		}
		if k == nil {
			continue
		}
		if at.Number > 0 && best != nil {
			return nil, usagef("source %q has several chains with a commit %d", name, at.Number).with("name the chain in place of the source: %s for that of %s, or %s for that of %s",
				best.chain.ID, record.FormatTime(best.commit.Time), c.ID, record.FormatTime(k.Time))
		}
		if best == nil || k.Time.After(best.commit.Time) {
			best = &chosen{c, k}
		}
	}
	return best, nil
}

func noSnapshot(chains []*vault.Chain, name string, at when) error {
	if at.Number > 0 {
		head := chains[len(chains)-1].Head()
		return usagef("source %q has no snapshot %d", name, at.Number).with("its newest is %d; `farshore snapshots %s` lists them", head.Seq, name)
	}
	return incompletef("source %q has no complete snapshot not later than %s", name, at).with("`farshore snapshots %s` lists those there are; an incomplete one can be named by its number", name)
}

// warnIncomplete says when what is taken is not complete, and what would be.
func (e *env) warnIncomplete(c *chosen, chains []*vault.Chain) {
	if c.commit.Complete {
		return
	}
	text := "there is no complete one before it"
	if best := newestComplete(chains, c.commit.Time); best != nil {
		text = fmt.Sprintf("the newest complete one is %d of %s", best.commit.Seq, record.FormatTime(best.commit.Time))
		if best.chain != c.chain {
			text += ", in chain " + best.chain.ID
		}
	}
	e.warn("snapshot %d of %s is incomplete, because its pass did not reach the end: what it did not reach is as it was before; %s", c.commit.Seq, c.chain.Source.Name, text)
}

// newestComplete returns the newest complete snapshot of the chains that is not later than a time, or nil.
func newestComplete(chains []*vault.Chain, not time.Time) *chosen {
	var best *chosen
	for _, c := range chains {
		if k := c.AsOf(not); k != nil && (best == nil || k.Time.After(best.commit.Time)) {
			best = &chosen{c, k}
		}
	}
	return best
}

// snapshot opens what was chosen.
func (c *chosen) snapshot(ctx context.Context, v *vault.Vault) (*vault.Snapshot, error) {
	s, err := v.Snapshot(ctx, c.commit)
	if errors.Is(err, vault.ErrLocked) {
		return nil, fmt.Errorf("the snapshot's records are sealed: %w", err)
	}
	return s, err
}

// findingsOf turns findings into a result's.
func findingsOf(findings ...[]vault.Finding) []findingResult {
	out := []findingResult{}
	for _, fs := range findings {
		for _, f := range fs {
			out = append(out, findingResult{string(f.Severity), f.Object, f.Text})
		}
	}
	return out
}

// alarming returns the failure that damage or tampering among the findings means, or nil.
func alarming(findings []findingResult) error {
	n, damaged := 0, false
	for _, f := range findings {
		if f.Severity != string(vault.Notice) {
			n++
			damaged = damaged || f.Severity != string(vault.Tampering)
		}
	}
	if n == 0 {
		return nil
	}
	f := damagef("%s of damage or tampering", plural(int64(n), "finding"))
	if !damaged {
		return f.with("somebody changed what is in the store: find out with which credential, and take it away. What a line says was read from beneath is whole and can be restored; " +
			"docs/operate.md says what the other lines mean")
	}
	return f.with("`farshore restore` restores all the same what is whole, and lists the rest; look for older versions of damaged or missing objects at the provider")
}

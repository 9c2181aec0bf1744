package main

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"time"

	"farshore/agent/audit"
	"farshore/agent/config"
	"farshore/agent/report"
	"farshore/agent/restore"
	"farshore/agent/restore/repos"
	"farshore/agent/vault"
)

// rehearsal is the result of verify --drill.
type rehearsal struct {
	VaultID string       `json:"vault_id"`
	Source  string       `json:"source"`
	To      string       `json:"to"`
	Drill   report.Drill `json:"drill"`
	// Report and Hash are of the report that was left; Signer signed it. Unplaced says why one that was to be left was not.
	Report   string `json:"report,omitempty"`
	Hash     string `json:"report_hash,omitempty"`
	Signer   string `json:"signer,omitempty"`
	Unplaced string `json:"unplaced,omitempty"`
	// Failed are items that could not be restored, with why.
	Failed  []failedResult `json:"failed,omitempty"`
	Notices []string       `json:"notices,omitempty"`
	// Told says what came of telling channels; absent where the configuration has none.
	Told *toldResult `json:"told,omitempty"`

	noun  string
	whole bool // all that the snapshot has is at the destination now, and nothing was there before
}

func (r *rehearsal) text(p *printer) {
	d := r.Drill
	whole := "restored whole"
	if !r.whole {
		whole = "NOT restored whole"
	}
	p.line("drill: snapshot %d of %s, %s to %s", d.Seq, r.Source, whole, r.To)
	p.line("  %s (%s) in %s", plural(d.Items, r.noun), formatBytes(d.Bytes), formatDuration(seconds64(d.Seconds)))
	target := formatDuration(seconds(d.TargetSeconds))
	switch {
	case d.Met == nil:
		p.line("  no recovery_time is configured to compare that with")
	case *d.Met:
		p.line("  within the recovery time of %s", target)
	case d.Seconds > float64(d.TargetSeconds):
		p.line("  NOT within the recovery time of %s", target)
	default:
		p.line("  the recovery time of %s is NOT met: not everything was restored", target)
	}
	if d.Failed > 0 {
		p.line("  %s NOT restored", plural(d.Failed, r.noun))
	}
	for _, f := range r.Failed {
		p.line("  %s: %s", printable(f.path), lines(f.Error))
	}
	switch {
	case r.Report != "":
		p.line("  signed by %s and stored as %s", r.Signer, r.Report)
	case r.Unplaced != "":
		p.line("  NO REPORT was left: %s", r.Unplaced)
	default:
		p.line("  NO REPORT was left in the vault: there is no key here to sign it with, or --no-report says so")
	}
}

// seconds64 is a number of seconds as a time.
func seconds64(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// runVerifyDrill restores the newest good snapshot of a source whole, and says how long that took.
func runVerifyDrill(ctx context.Context, e *env, o verifyOptions) (result, error) {
	ro := restoreOptions{access: o.access, source: o.source, to: o.drill, as: repos.AsRepository}
	if err := ro.check(); err != nil {
		return nil, err
	}
	if err := emptyPlace(o.drill); err != nil {
		return nil, err
	}
	var r *rehearsal
	err := e.withVault(ctx, o.access, func(v *vault.Vault) error {
		if !o.access.recovers(v) {
			return usagef("a drill restores contents, which are sealed to the recovery keys").with("give the recovery key with --identity, on a machine that is no agent's")
		}
		if err := e.entitled(v, &o); err != nil {
			return err
		}
		c, err := e.choose(ctx, v, o.source, when{})
		if err != nil {
			return err
		}
		r = &rehearsal{VaultID: v.ID(), Source: o.source, To: o.drill}
		sum, err := e.rehearse(ctx, v, c, ro, r)
		if sum == nil {
			r = nil
			return err
		}
		err = explained(ro, sum, true, err)
		r.whole = err == nil && sum.Equal.Items == 0 && !sum.Damage() && !sum.Incomplete()
		r.aim(o, c.chain.Source.Name, err)
		return errors.Join(drillFailure(r, sum, ro, err), e.leaveDrill(ctx, v, o, r, sum, err))
	})
	if r == nil {
		return nil, err
	}
	return r, err
}

// emptyPlace refuses a directory that has something in it: what is there already would not be restored, and the time say nothing.
func emptyPlace(to string) error {
	if strings.Contains(to, "://") {
		return nil
	}
	entries, err := os.ReadDir(to)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case errors.Is(err, syscall.ENOTDIR):
		return usagef("--drill %s is no directory", to).with("a drill restores everything anew: name a new directory")
	case err != nil:
		return usagef("--drill %s: %w", to, err)
	case len(entries) > 0:
		return usagef("--drill %s: the directory is not empty", to).with("a drill restores everything anew: name a new directory")
	}
	return nil
}

// rehearse restores, and fills in what came of it.
func (e *env) rehearse(ctx context.Context, v *vault.Vault, c *chosen, ro restoreOptions, r *rehearsal) (*restore.Summary, error) {
	begin := time.Now()
	started := e.now().UTC()
	snap, err := c.snapshot(ctx, v)
	if err != nil {
		return nil, err
	}
	p := new(restore.Progress)
	bar := e.follow("drill", func() (int64, int64, int64, int64) {
		return p.Done.Load(), max(p.DoneBytes.Load(), p.Read.Load()), p.Planned.Load(), p.PlannedBytes.Load()
	})
	defer bar.Done()
	sum, err := restoreItems(ctx, v, snap, ro, p)
	bar.Done()
	r.Notices = e.sightings(v)
	if sum == nil {
		return nil, err
	}
	r.noun = "item"
	into := "directory"
	switch {
	case holdsRepositories(snap):
		r.noun, into = "repository", "repositories"
	case strings.Contains(ro.to, "://"):
		into = "bucket"
	}
	r.Drill = report.Drill{
		Chain: c.chain.ID, Seq: c.commit.Seq, Into: into, Started: started, Seconds: time.Since(begin).Seconds(),
		Items: sum.Restored.Items, Bytes: sum.Restored.Bytes, Failed: sum.Damaged.Items + sum.Failed.Items,
	}
	if into == "repositories" {
		r.Drill.Repositories = sum.Restored.Items
	}
	r.Failed = restoreOf(ro, c, sum, r.noun).Failed
	return sum, err
}

// drillFailure is the failure that a drill's result means, or nil.
func drillFailure(r *rehearsal, sum *restore.Summary, ro restoreOptions, err error) error {
	switch {
	case err != nil:
		return err
	case sum.Equal.Items+sum.Differs.Items > 0:
		return incompletef("%s at %s already: the drill restored not everything, and its time says nothing", plural(sum.Equal.Items+sum.Differs.Items, r.noun), ro.to).with("drill into an empty place")
	}
	if bad := verdictOf(sum, r.noun, nil, nil); bad != nil {
		return bad
	}
	if met := r.Drill.Met; met != nil && !*met {
		return incompletef("the restore took longer than the recovery time that is configured")
	}
	return nil
}

// aim compares the time with the recovery time that is configured for the source, or for all: a verifier's configuration need not name any.
func (r *rehearsal) aim(o verifyOptions, source string, failed error) {
	c := o.access.config
	if c == nil {
		return
	}
	s := c.Source(source)
	if s == nil {
		s = new(config.Source)
	}
	if target := c.GoalsOf(s).RecoveryTime; target > 0 {
		met := r.Drill.Seconds <= target.Seconds() && r.Drill.Failed == 0 && failed == nil
		r.Drill.TargetSeconds, r.Drill.Met = int64(target.Seconds()), &met
	}
}

// leaveDrill puts the drill on record, also one in which everything was damaged. One that was cut short, or that found something in its place, is no drill; nor is one whose destination
// did not take everything, where nothing is damaged: on record it would say that the vault is.
func (e *env) leaveDrill(ctx context.Context, v *vault.Vault, o verifyOptions, r *rehearsal, sum *restore.Summary, failed error) error {
	var damage *failure
	if errors.As(failed, &damage) && damage.exit == exitDamage && sum.Damaged.Items > 0 {
		failed = nil
	}
	switch {
	case o.key == nil:
		return nil
	case failed != nil:
		r.Unplaced = "the drill was cut short, so that its time says nothing"
		return nil
	case sum.Equal.Items+sum.Differs.Items > 0:
		r.Unplaced = "something was at the destination already, so that the time says nothing"
		return nil
	case sum.Failed.Items > 0 && sum.Damaged.Items == 0:
		r.Unplaced = "the destination did not take everything, which says nothing of the vault"
		return nil
	}
	res, err := audit.LeaveDrill(ctx, v, r.Drill, e.auditOptions(ctx, o, true))
	if err == nil && res.Unplaced != nil {
		err = res.Unplaced
	}
	if err != nil {
		r.Unplaced = err.Error()
		return incompletef("the report could not be placed: %w", err)
	}
	r.Report, r.Hash, r.Signer = res.Name, res.Hash.String(), o.key.ID()
	return nil
}

package main

import (
	"context"

	"github.com/spf13/cobra"

	"farshore/agent/audit"
	"farshore/agent/report"
	"farshore/agent/vault"
)

func reportCheckCommand(e *env) *cobra.Command {
	var scratch string
	cmd := &cobra.Command{
		Use:   "check [ID]",
		Short: "Recompute what a report says that can be computed again",
		Long: `Recompute an audit from what is in the vault, without any key and without believing its signer: that its commitment was stored
before it, that the random bytes which it reveals have the hash that was committed to, that its heads are commits that count,
that what it says to have drawn is what these bytes draw, that its bounds, ledger and coverage follow from its numbers, and that these
agree with each other: what failed with what is listed, items, locks and bytes with their sums, and all of it with the verdict. So
nobody can report another draw than the one that he committed to. That he threw these bytes, and did not pick them before he
committed, can't be computed; draws that he announced and told nothing of are listed. It does not read the objects again: that they
were whole, that items were restored and what the store said is the signer's word, which is listed as such, and another signer's
audit checks it.
Without ID it is the newest audit that is no drill. ID is a report's name, SIGNER/NUMBER, or the first
digits of its hash.

Exit codes: 0 the report is what it says as far as that was computed, 1 failed, 2 usage or configuration, 3 not all could be
computed, 4 the report says something else than comes out.`,
		Example: "  farshore report check\n  farshore report check 5f0c2e81a7b3",
		Args:    arguments(0, 1, "at most one ID"),
	}
	cmd.Flags().StringVar(&scratch, "scratch", "", "`DIRECTORY` for what does not fit into memory (default: that for temporary files)")
	return e.reads(cmd, func(ctx context.Context, args []string) (result, error) {
		id := "" // the newest that can be computed again
		if len(args) == 1 {
			id = args[0]
			if id == "" {
				return nil, usagef("the ID is empty").with("`farshore report` lists the reports")
			}
		}
		if err := scratchThere(scratch); err != nil {
			return nil, err
		}
		a, err := e.access()
		if err != nil {
			return nil, err
		}
		return e.checkReport(ctx, a, id, scratch)
	})
}

// checkedReport is the result of report check.
type checkedReport struct {
	reportLine
	*audit.Checked

	end   string // how the audit ended
	drill bool
}

// exitOf is the exit code of a verification that came to a verdict, where it follows: one that failed says itself why.
func exitOf(verdict, end string) (code int, known bool) {
	switch {
	case verdict == report.VerdictDamaged || verdict == report.VerdictTampered:
		return exitDamage, true
	case verdict == report.VerdictIntact:
		return exitDone, true
	case end == report.EndInterrupted:
		return exitInterrupted, true
	}
	return exitIncomplete, verdict == report.VerdictIncomplete && end != report.EndFailed
}

func (r *checkedReport) text(p *printer) {
	p.line("%s of %s by the %s (key %s)", r.Name, toTheSecond(r.Time), r.Role, r.Signer)
	p.line("  says: %s", r.Line)
	for _, s := range r.Recomputed {
		p.line("  recomputed: %s", lines(s))
	}
	if code, known := exitOf(r.Checked.Verdict, r.end); known && !r.drill {
		p.line("  comes to: %s, with which such a run ends with exit code %d", r.Checked.Verdict, code)
	}
	for _, s := range r.Claims {
		p.line("  the signer's word: %s", lines(s))
	}
	for _, s := range r.Undecided {
		p.line("  not decided: %s", lines(s))
	}
	for _, s := range r.Untold {
		p.line("  NOT TOLD: %s announced a draw of the same signer, and no report tells what came of it", s)
	}
	for _, s := range r.Lies {
		p.line("  NOT AS IT SAYS: %s", lines(s))
	}
}

// checkReport checks a report.
func (e *env) checkReport(ctx context.Context, a *access, id, scratch string) (result, error) {
	var r *checkedReport
	err := e.withVault(ctx, a, func(v *vault.Vault) error {
		entry, err := checkable(ctx, v, id)
		if err != nil {
			return err
		}
		bar := e.follow("check", nil)
		defer bar.Done()
		c, err := audit.Check(ctx, v, entry, audit.CheckOptions{Scratch: scratch})
		if err != nil {
			return err
		}
		r = &checkedReport{lineOf(entry), c, entry.Audit.End, entry.Audit.Drill != nil}
		switch {
		case !c.OK():
			return damagef("the report is not what it says: %s", plural(int64(len(c.Lies)), "contradiction")).with("do not rely on it, nor on other reports by key %s: find out who holds the key", entry.Signer)
		case len(c.Untold) > 0:
			return incompletef("before this audit its signer announced others and told nothing of them: %s", plural(int64(len(c.Untold)), "draw")).with(
				"a run that died leaves this behind, and so does somebody who draws until he likes what he finds: find out which, or have another key audit")
		case len(c.Undecided) > 0:
			return incompletef("not all that the report says could be computed again")
		}
		return nil
	})
	if r == nil {
		return nil, err
	}
	return r, err
}

// checkable finds the audit that is to be checked: of ID, or the newest that is no drill.
func checkable(ctx context.Context, v *vault.Vault, id string) (*report.Entry, error) {
	if id == "" {
		shelf, err := report.Read(ctx, v)
		if err != nil {
			return nil, err
		}
		for _, entry := range shelf.Entries {
			if entry.Audit != nil && entry.Audit.Mode != report.ModeDrill {
				return entry, nil
			}
		}
		return nil, usagef("there is no audit yet that could be checked").with("`farshore verify` leaves one")
	}
	_, entry, _, err := findReport(ctx, v, id)
	switch {
	case err != nil:
		return nil, err
	case entry.Commitment != nil:
		return nil, usagef("%s is the commitment of an audit", entry.Name).with("check the audit itself: `farshore report` lists them")
	case entry.Audit == nil:
		return nil, usagef("%s is no audit: there is nothing to draw again", entry.Name)
	}
	return entry, nil
}

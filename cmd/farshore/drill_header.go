package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"filippo.io/age"
	"github.com/spf13/cobra"

	"farshore/agent/config"
	"farshore/agent/drill"
	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/agent/vault"
	"farshore/crypto/keyring"
	"farshore/crypto/sign"
)

// drillOptions are what drill header was asked for.
type drillOptions struct {
	access     *access
	identities []age.Identity
	count      int
	// owner signs the result; zero for none.
	owner sign.PrivateKey
	// out is the file that takes the result in place of the vault, "" for none.
	out string
}

func drillHeaderCommand(e *env) *cobra.Command {
	var o drillOptions
	var owner string
	cmd := &cobra.Command{
		Use:   "header",
		Short: "Open the headers of some packs with the recovery key, and nothing else",
		Long: `Draw packs at random, read the first 16 KiB of each, and try whether the recovery identity unwraps the key of the file. No content is
read or decrypted. Run it on a machine of the owner's, never on the agent's host: it takes the real recovery key, which
agents and auditors don't have, so that nothing else shows that packs are sealed to it.

With --owner the result is signed by the vault's owner and placed below reports/, for which the credential must be allowed to
create there; with --out it is written to a file, to be placed later with drill place. Without --owner it is only printed, and
written to --out without a signature.

What it proves: each header of the sample gives up its key to this identity. It does not tell whether the rest of a pack is whole
(verify does), nor whether another recovery key opens it: drill with each. A header with a recipient too many is a finding.

Exit codes: 0 all opened, 1 failed, 2 usage or configuration, 3 some headers could not be read, the report could not be placed, or there
is no pack yet, 4 a header does not open or has a recipient too many, 130 interrupted.`,
		Example: "  farshore drill header --vault gs://offsite/vault --identity recovery.key --owner owner.key\n  farshore drill header --vault gs://offsite/vault --identity recovery.key --count 200 --owner owner.key --out drill.report",
		Args:    arguments(0, 0, ""),
	}
	f := cmd.Flags()
	f.IntVar(&o.count, "count", drill.DefaultCount, "`NUMBER` of packs to draw")
	f.StringVar(&owner, "owner", "", "`FILE` with the owner's signing key, owner.key of the recovery kit: signs the result")
	f.StringVar(&o.out, "out", "", "new `FILE` for the result, in place of the vault")
	return e.reads(cmd, func(ctx context.Context, args []string) (result, error) {
		var err error
		if o.count < 1 || o.count > drill.MaxCount {
			return nil, usagef("--count is 1 to %s", formatCount(drill.MaxCount))
		}
		if o.out != "" {
			if _, err := os.Lstat(o.out); !errors.Is(err, os.ErrNotExist) {
				return nil, usagef("%s exists already, or can't be looked at", o.out).with("name a new file with --out")
			}
		}
		if o.identities, err = e.recoveryIdentities(); err != nil {
			return nil, err
		}
		if owner != "" {
			if o.owner, err = keyring.ReadOwnerKey(owner); err != nil {
				return nil, &failure{exit: exitUsage, code: codeUsage, err: err}
			}
		}
		if o.access, err = e.access(); err != nil {
			return nil, err
		}
		return runDrillHeader(ctx, e, o)
	})
}

// drillResult is the result of drill header.
type drillResult struct {
	VaultID string `json:"vault_id"`
	Time    string `json:"time"`
	// Population is how many packs the commits name, Drawn how many of them were drawn.
	Population int64 `json:"population"`
	Drawn      int64 `json:"drawn"`
	Opened     int64 `json:"opened"`
	Failed     int64 `json:"failed"`
	Unread     int64 `json:"unread"`
	// Recovery is how many recovery recipients the owner's newest statement names.
	Recovery int64          `json:"recovery_recipients"`
	Findings []drillFinding `json:"findings"`
	// Omitted findings were counted and not kept.
	Omitted int64       `json:"omitted_findings,omitempty"`
	Heads   []chainHead `json:"heads"`
	// Signer is the id of the key that signed the result, Report where it was placed, File where it was written.
	Signer  string   `json:"signer,omitempty"`
	Report  string   `json:"report,omitempty"`
	File    string   `json:"file,omitempty"`
	Notices []string `json:"notices,omitempty"`
}

// drillFinding is what is wrong with a pack.
type drillFinding struct {
	Pack   string `json:"pack"`
	Kind   string `json:"kind"`
	Detail string `json:"detail,omitempty"`
}

func (r *drillResult) text(p *printer) {
	p.line("vault %s", r.VaultID)
	p.line("  %s drawn at random, of %s that commits name", plural(r.Drawn, "pack"), formatCount(r.Population))
	p.line("  %s opened by the recovery identity, %s not, %s could not be read", plural(r.Opened, "header"), formatCount(r.Failed), formatCount(r.Unread))
	for _, f := range r.Findings {
		p.line("  %s: %s: %s", f.Pack, f.Kind, lines(f.Detail))
	}
	if r.Omitted > 0 {
		p.line("  %s not listed", plural(r.Omitted, "more finding"))
	}
	switch {
	case r.Report != "":
		p.line("  signed by %s and placed as %s", r.Signer, r.Report)
	case r.Signer != "" && r.File != "":
		p.line("  signed by %s and written to %s: `farshore drill place %s` places it", r.Signer, r.File, r.File)
	case r.File != "":
		p.line("  written to %s, NOT SIGNED: it can't be placed in the vault", r.File)
	case r.Signer == "" && r.Drawn == 0:
		p.line("  NOT SIGNED, and not on record: there was nothing to try")
	case r.Signer == "":
		p.line("  NOT SIGNED, and not on record: --owner FILE signs it")
	}
}

// runDrillHeader drills.
func runDrillHeader(ctx context.Context, e *env, o drillOptions) (result, error) {
	var r *drillResult
	err := e.withVault(ctx, o.access, func(v *vault.Vault) error {
		now := e.now()
		if !o.owner.IsZero() {
			if err := report.Entitled(v, o.owner.ID(), now, report.TypeHeaderDrill); err != nil {
				return usagef("--owner: %w", err)
			}
		}
		chains, err := e.chains(ctx, v)
		if err != nil {
			return err
		}
		if err := e.refuse(v, chains, ""); err != nil {
			return err
		}
		e.warnStranger(v, o.identities)
		progress := new(drill.Progress)
		bar := e.follow("drill", func() (int64, int64, int64, int64) { return progress.Headers.Load(), 0, progress.Planned.Load(), 0 })
		defer bar.Done()
		d, err := drill.Headers(ctx, v, chains, drill.Options{Identities: o.identities, Count: o.count, Now: now, Progress: progress})
		bar.Done()
		if err != nil {
			return err
		}
		r = drillOf(d, e.headsOf(v, chains, ""))
		err = errors.Join(drillVerdict(d), e.deliver(ctx, v, d, o, r))
		r.Notices = e.sightings(v)
		return err
	})
	if r == nil {
		return nil, err
	}
	return r, err
}

func drillOf(d *report.HeaderDrill, heads []chainHead) *drillResult {
	r := &drillResult{
		VaultID: d.Vault.String(), Time: record.FormatTime(d.Time), Population: d.Population, Drawn: d.Drawn, Opened: d.Opened, Failed: d.Failed, Unread: d.Unread,
		Recovery: d.Recovery, Findings: []drillFinding{}, Omitted: d.Omitted, Heads: heads,
	}
	for _, f := range d.Findings {
		r.Findings = append(r.Findings, drillFinding{record.PackName(f.Pack), f.Kind, f.Detail})
	}
	return r
}

// drillVerdict returns the failure that a drill's result means, or nil.
func drillVerdict(d *report.HeaderDrill) error {
	switch {
	case d.Drawn == 0:
		return incompletef("the vault has no pack yet: there is nothing to try the recovery key on").with("drill again after the first `farshore replicate`")
	case d.Opened == 0 && d.Failed > 0:
		return damagef("the recovery identity opened none of %s: it is the wrong key, or they were never sealed to it", plural(d.Drawn, "header")).
			with("compare its recipient with those that `farshore vault show` lists; if it is the right key, what the agent stores can't be restored: stop it, and find out who changed it")
	case d.Failed > 0:
		return damagef("the recovery identity does not open %s of %s", formatCount(d.Failed), plural(d.Drawn, "header")).
			with("these packs can't be restored with it: `farshore verify` says what needs them")
	case d.Alarming():
		f := damagef("every header opens, but there %s", thereIs(int64(len(d.Findings))+d.Omitted, "other finding"))
		if !slices.ContainsFunc(d.Findings, func(f report.Finding) bool { return f.Kind != report.Hidden && f.Kind != report.Unread }) {
			return f.with("somebody overwrote or hid these packs, and the right version of each was read from beneath: `farshore verify` says when and by whom")
		}
		return f.with("a recipient too many can read the pack: the agent that stored it does not hold to the owner's statement")
	case d.Unread > 0:
		return incompletef("%s of %s could not be read", formatCount(d.Unread), plural(d.Drawn, "header")).with("the findings say why; the credential must be allowed to read packs/")
	}
	return nil
}

// thereIs counts things as a sentence goes on behind "there".
func thereIs(n int64, what string) string { return are(n) + " " + plural(n, what) }

// deliver signs the result and places it, or writes it to a file. A drill that drew nothing is no proof of anything, and is not put on record.
func (e *env) deliver(ctx context.Context, v *vault.Vault, d *report.HeaderDrill, o drillOptions, r *drillResult) error {
	switch {
	case d.Drawn == 0:
		return nil
	case o.owner.IsZero():
		return writeUnsigned(d, o.out, r)
	case o.out != "":
		return signTo(ctx, v, d, o, r)
	}
	name, stored, err := report.Place(ctx, v, d, o.owner)
	if err == nil {
		r.Signer, r.Report = o.owner.ID(), name
		return nil
	}
	if stored == nil {
		return incompletef("the result could not be signed: %w", err).with("it follows the owner's reports below reports/, which must be readable")
	}
	file := keptReport(d)
	if werr := writeNew(file, stored); werr != nil {
		return errors.Join(incompletef("the report could not be placed: %w", err).with("run it again with --out FILE, and place that later with `farshore drill place FILE`"), werr)
	}
	r.Signer, r.File = o.owner.ID(), file
	return incompletef("the report could not be placed: %w", err).with("it is kept in %s: `farshore drill place %s` places it with a credential that may create below reports/", file, file)
}

// keptReport names the file, in the working directory, of a report that could not be placed.
func keptReport(d *report.HeaderDrill) string {
	return "header-drill-" + d.Time.UTC().Format("20060102T150405.000000000Z") + ".report"
}

func writeUnsigned(d *report.HeaderDrill, out string, r *drillResult) error {
	if out == "" {
		return nil
	}
	body, err := report.EncodeHeaderDrill(d)
	if err != nil {
		return err
	}
	r.File = out
	return writeNew(out, append(body, '\n'))
}

func signTo(ctx context.Context, v *vault.Vault, d *report.HeaderDrill, o drillOptions, r *drillResult) (err error) {
	if d.Prev, err = report.Last(ctx, v, o.owner.ID()); err != nil {
		return fmt.Errorf("read the owner's reports, which this one follows: %w", err)
	}
	stored, err := report.Sign(v, d, o.owner)
	if err != nil {
		return err
	}
	if err := writeNew(o.out, stored); err != nil {
		return err
	}
	r.Signer, r.File = o.owner.ID(), o.out
	return nil
}

// warnStranger warns where the identity is none that the owner named, or lies on an agent's host.
func (e *env) warnStranger(v *vault.Vault, ids []age.Identity) {
	a := e.sight.access
	if own := (&access{identities: ids}); !own.recovers(v) && own.tells() {
		e.sight.notice(e, "the identity is none of the vault's recovery identities, as the owner's newest statement names them")
	}
	if a.config == nil {
		return
	}
	if _, err := os.Stat(a.config.KeyPath(config.AgentKey, e.getenv)); err == nil {
		e.sight.notice(e, "an agent's key lies on this machine: whoever takes the machine now has the recovery key as well. Drill on a machine of the owner's")
	}
}

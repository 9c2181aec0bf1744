package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"farshore/agent/audit"
	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/agent/report/page"
	"farshore/agent/vault"
	"farshore/agent/verify"
	"farshore/crypto/seal"
)

// verifyResult is the result of verify.
type verifyResult struct {
	VaultID string `json:"vault_id"`
	Owner   string `json:"owner"`
	Pinned  bool   `json:"pinned"`
	// Verdict is intact, incomplete, damaged or tampered, of what was checked; Line says it in a line.
	Verdict string `json:"verdict"`
	Line    string `json:"line"`
	// Report is the name of the report that was left, Hash the hash of its stored bytes, Signer the id of the key that signed it; empty where none was left, and Unplaced
	// says why where one was to be. File has one that could not be placed.
	Report   string `json:"report,omitempty"`
	Hash     string `json:"report_hash,omitempty"`
	Signer   string `json:"signer,omitempty"`
	Unplaced string `json:"unplaced,omitempty"`
	File     string `json:"file,omitempty"`
	// Audit is the report's body, as docs/report.schema.json describes it, and Names what it seals, where they are known here.
	Audit *report.Audit `json:"audit"`
	Names *report.Names `json:"names,omitempty"`
	// Full is what --full came to, beyond what the report has.
	Full *verify.Result `json:"full,omitempty"`
	// Findings are those of the audit with the names of items, and what is wrong with earlier reports.
	Findings []findingResult `json:"findings"`
	// Reports are about the newest header drill on record.
	reported
	// Protection is what is known here of the agent's credential, where there is a configuration.
	Protection *protection `json:"protection,omitempty"`
	// Heads are the newest commits of the chains, to be kept elsewhere.
	Heads   []chainHead `json:"heads"`
	Notices []string    `json:"notices,omitempty"`
	// Told says what came of telling channels; absent where the configuration has none.
	Told *toldResult `json:"told,omitempty"`

	packsDenied bool   // and nothing else was left out
	shown       string // the report as text
	unwanted    bool   // that no report was left is how it was asked for
}

func (r *verifyResult) text(p *printer) {
	p.line("%s", strings.TrimRight(r.shown, "\n"))
	p.line("")
	switch {
	case r.Report != "":
		p.line("signed by %s and stored as %s", r.Signer, r.Report)
		p.line("`farshore report show %s` shows all of it, with --format html as a page", brief(r.Hash))
	case r.File != "":
		p.line("signed by %s, and NOT STORED: %s", r.Signer, r.Unplaced)
		p.line("it is kept in %s: `farshore drill place %s` places it", r.File, r.File)
	case r.Unplaced != "":
		p.line("NO REPORT was left: %s", r.Unplaced)
	case r.unwanted:
		p.line("NO REPORT was left in the vault, as --no-report says")
	default:
		p.line("NO REPORT was left in the vault: there is no key here to sign it with; --key names one")
	}
	if !r.Pinned {
		p.line("UNPINNED: the owner's key was taken from the vault itself")
	}
	if r.Protection != nil {
		p.line("the agent's credential: %s", r.Protection)
	}
	p.line("%s", r.line())
	printHeads(p, r.Heads)
	printFindings(p, r.Findings)
}

// brief is the beginning of a report's hash, as report show takes it.
func brief(hash string) string { return hash[:min(len(hash), 12)] }

// runVerify verifies a sample, or everything.
func runVerify(ctx context.Context, e *env, o verifyOptions) (result, error) {
	if err := o.scratchThere(); err != nil {
		return nil, err
	}
	var r *verifyResult
	err := e.withVault(ctx, o.access, func(v *vault.Vault) error {
		chains, err := e.known(ctx, v, o.source)
		if err != nil {
			return err
		}
		if o.access.strange(v) {
			return usagef("no identity of --identity was ever one of this vault's: nothing would be restored").with(
				"name recovery.key of this vault's kit, or leave --identity out: what the stored bytes are is verified without any key; `farshore vault show` lists the vault's recipients")
		}
		if err := e.entitled(v, &o); err != nil {
			return err
		}
		o.begins()
		opts := e.auditOptions(ctx, o, o.access.recovers(v))
		bar := e.follow("verify", auditPoll(opts.Progress, o.full))
		defer bar.Done()
		run := audit.Run
		if o.full {
			run = audit.Full
		}
		res, err := run(ctx, v, opts)
		bar.Done()
		if res == nil {
			return errors.Join(e.refuse(v, chains, o.source), err)
		}
		r = e.auditResult(ctx, v, o, res, chains)
		return e.auditVerdict(ctx, v, r, res, chains, o, err)
	})
	if r == nil {
		return nil, err
	}
	return r, err
}

// auditPoll tells how far an audit is.
func auditPoll(p *audit.Progress, full bool) poll {
	if full {
		return func() (int64, int64, int64, int64) {
			return p.Verify.Objects.Load() + p.Verify.Items.Load(), p.Verify.Bytes.Load(), 0, p.Verify.PlannedBytes.Load()
		}
	}
	return func() (int64, int64, int64, int64) {
		if planned := p.PlannedBytes.Load(); planned > 0 {
			return p.Objects.Load() + p.Items.Items.Load(), p.Bytes.Load() + p.Items.Bytes.Load(), 0, planned
		}
		return p.Census.Objects.Load() + p.Census.Listed.Load(), 0, 0, 0
	}
}

// auditResult is what an audit came to, for people and programs.
func (e *env) auditResult(ctx context.Context, v *vault.Vault, o verifyOptions, res *audit.Result, chains []*vault.Chain) *verifyResult {
	a := res.Audit
	r := &verifyResult{
		VaultID: v.ID(), Owner: v.Owner().String(), Pinned: v.Pinned(), Verdict: a.Verdict, Line: a.Line(), Report: res.Name, Audit: a, Names: res.Names, Full: res.Full, Protection: e.proven,
		Findings: findingsOf(res.Findings), Heads: e.headsOf(v, chains, o.source), Notices: e.told(v),
	}
	r.unwanted, r.packsDenied = o.noReport, res.PacksDenied
	if o.key != nil {
		r.Signer = o.key.ID()
	}
	if res.Name != "" {
		r.Hash = res.Hash.String()
	}
	if res.Unplaced != nil {
		r.Unplaced = res.Unplaced.Error()
		r.File = e.keepReport(a, res.Stored)
	}
	entry := &report.Entry{Time: a.Time, Kind: report.TypeAudit, Audit: a}
	var history []*report.Entry
	shelf, err := report.Read(context.WithoutCancel(ctx), v)
	if err != nil {
		r.Unknown = err.Error()
	} else {
		history = shelf.Entries
		if shelf.Drill != nil {
			r.Drill = recordOf(shelf.Drill)
		}
		if stored, err := report.Find(shelf, res.Name); err == nil && res.Name != "" {
			entry = stored
		}
	}
	r.shown = e.pageText(page.NewView(entry, res.Names, history), page.Brief)
	return r
}

// pageText renders a view for this terminal, as page.Text or page.Brief.
func (e *env) pageText(view *page.View, write func(io.Writer, *page.View, int, bool) error) string {
	var b strings.Builder
	w := bufio.NewWriter(&b)
	if err := write(w, view, e.stdoutColumns(), e.stdoutColumns() > 0 && e.getenv("NO_COLOR") == ""); err != nil {
		return err.Error() // a builder takes everything
	}
	_ = w.Flush()
	return b.String()
}

// stdoutColumns is the width of the terminal that stdout is, 0 for what is none.
func (e *env) stdoutColumns() int {
	f, ok := e.stdout.(*os.File)
	if !ok {
		return 0
	}
	return columns(f)
}

// keepReport keeps a signed report that could not be placed; "" where that is not possible either.
func (e *env) keepReport(a *report.Audit, stored []byte) string {
	if len(stored) == 0 {
		return ""
	}
	file := "audit-" + a.Time.UTC().Format("20060102T150405.000000000Z") + ".report"
	if err := writeNew(file, stored); err != nil {
		e.warn("the report could not be kept either: %v", err)
		return ""
	}
	return file
}

// auditVerdict is the failure that an audit's result means, or nil.
func (e *env) auditVerdict(ctx context.Context, v *vault.Vault, r *verifyResult, res *audit.Result, chains []*vault.Chain, o verifyOptions, err error) error {
	if err != nil {
		kept := "what was verified until then is in no report"
		if r.Report != "" {
			kept = "what was verified until then is kept in " + r.Report
		}
		err = fmt.Errorf("not everything was checked, and %s: %w", kept, err)
		if o.full && r.Report != "" {
			err = fullStopped(ctx, err)
		}
	}
	if bad := cmp.Or(e.refuse(v, chains, o.source), auditAlarm(res.Audit), alarming(r.Findings)); bad != nil {
		return errors.Join(bad, err)
	}
	switch {
	case err != nil:
		return err
	case res.Unplaced != nil:
		return incompletef("the report could not be placed: %w", res.Unplaced).with("%s", unplacedHint(r.File))
	case res.Audit.Verdict == report.VerdictIncomplete && o.packless && res.PacksDenied:
		return nil
	case res.Audit.Verdict == report.VerdictIncomplete:
		return incompletef("not all that was to be checked could be checked: the report says what, and why")
	}
	return nil
}

// fullStopped says of an error that ended verify --full and left a report what goes on from there, where it was a signal.
func fullStopped(ctx context.Context, err error) error {
	if f := classify(ctx, err); f.exit == exitInterrupted {
		return f.with("nothing that is in the vault is lost: a sample (without --full) goes on from there, and --full begins anew")
	}
	return err
}

func unplacedHint(file string) string {
	if file == "" {
		return "the credential must be allowed to create below reports/; --no-report does without"
	}
	return fmt.Sprintf("it is kept in %s: `farshore drill place %s` places it with a credential that may create below reports/", file, file)
}

// auditAlarm is the failure that an audit's verdict means by itself: it may count what no finding lists.
func auditAlarm(a *report.Audit) error {
	switch a.Verdict {
	case report.VerdictDamaged:
		return damagef("%s", a.Line()).with("the report says what is hit, and what can make it good: `farshore report show` shows it again, where one was left. An earlier snapshot may have the same items")
	case report.VerdictTampered:
		return damagef("%s", a.Line()).with("somebody changed what is in the store: find out with which credential, and take it away")
	}
	return nil
}

// seconds of a report as a time.
func seconds(n int64) time.Duration { return time.Duration(n) * time.Second }

// known reads the chains, and refuses a source, or a chain's id, that the vault does not have. "" is all of them.
func (e *env) known(ctx context.Context, v *vault.Vault, name string) ([]*vault.Chain, error) {
	chains, err := e.chains(ctx, v)
	if err != nil || name == "" {
		return chains, err
	}
	var names []string
	for _, c := range chains {
		if c.ID == name || e.sourceOf(v, c) == name {
			return chains, nil
		}
		if c.Source.Name != "" {
			names = append(names, c.Source.Name)
		}
	}
	return nil, e.noSource(v, name, names)
}

// recovers reports whether an identity at hand is one of the vault's recovery identities.
func (a *access) recovers(v *vault.Vault) bool {
	for _, id := range a.identities {
		mine, err := seal.RecipientOf(id)
		if err != nil {
			continue
		}
		for _, r := range v.Statement().Recipients {
			if r.Role == record.RoleRecovery && r.Recipient == mine {
				return true
			}
		}
	}
	return false
}

// strange reports whether identities were named, and none of them is, or ever was, one that the owner had the vault sealed to.
func (a *access) strange(v *vault.Vault) bool {
	for _, id := range a.identities[:a.named] {
		mine, err := seal.RecipientOf(id)
		if err != nil {
			return false // it does not tell
		}
		for _, st := range v.Statements() {
			if slices.ContainsFunc(st.Recipients, func(r record.Recipient) bool { return r.Recipient == mine }) {
				return false
			}
		}
	}
	return a.named > 0
}

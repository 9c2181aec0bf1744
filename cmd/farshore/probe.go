package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"farshore/agent/config"
	"farshore/agent/probe"
	"farshore/providers"
)

func probeCommand(e *env) *cobra.Command {
	var role string
	var accept bool
	cmd := &cobra.Command{
		Use:   "probe",
		Short: "Try to destroy, on canaries alone, and say what the credential may do",
		Long: `Prove, or fail to prove, that the credential in use can only add to the vault. In each room of the vault a canary is
created, then everything is tried on it that a thief of the credential would: overwriting, deleting, hiding, shortening
locks; at the bucket, changes of its settings in a form that can't take effect; and a canary is created again. Only a
denial by the store proves anything. Nothing but objects named <room>/canary/… is touched, so that it is safe at any time,
with any credential; the canaries stay, and every reader ignores them.

Protected means: nothing that this credential may do destroys, and either it can't replace a name, or what it hides stays
beneath, locked. It holds for this credential, these rooms, this moment; the agent proves it anew when it is 24 hours old.

The bucket's settings are held to the strongest that were seen from this machine: where versioning, the default lock or its days
were weakened since, nothing is proven until they are put back, or accepted with --accept.

Exit codes: 0 protected, 1 failed, 2 usage or configuration, 3 not provable, 4 something destructive is permitted, 130
interrupted.`,
		Example: "  farshore probe\n  farshore probe --vault s3://offsite/vault?profile=writer --json",
		Args:    arguments(0, 0, ""),
	}
	cmd.Flags().StringVar(&role, "role", probe.Writer, "`ROLE` that the credential is held to: writer, auditor, restorer or owner")
	cmd.Flags().BoolVar(&accept, "accept", false, "take the bucket's settings as they are now, though it kept more before")
	return e.does(cmd, func(ctx context.Context, args []string) (result, error) {
		if !slices.Contains([]string{probe.Writer, probe.Auditor, probe.Restorer, probe.Owner}, role) {
			return nil, usagef("--role: %q is none of writer, auditor, restorer and owner", role)
		}
		return runProbe(ctx, e, role, accept)
	})
}

// runProbe probes, whatever was proven before, and keeps the proof of the agent's own credential where the configuration says. The bucket is held to what it kept
// when it was strongest, unless the owner accepts what it keeps now.
func runProbe(ctx context.Context, e *env, role string, accept bool) (result, error) {
	c, err := e.readerConfig()
	if err != nil {
		return nil, err
	}
	address, state, limits := e.flags.vault, e.flags.state, config.Limits{}
	if c != nil {
		address, state, limits = or(address, c.Vault), or(state, c.State), c.Limits
	}
	if err := config.CheckVault(address); err != nil {
		return nil, usagef("vault: %w", err)
	}
	own := c != nil && c.Vault == address && role == probe.Writer
	if accept && !own {
		return nil, usagef("--accept is about the agent's own vault, as the role writer: there is nothing to accept elsewhere")
	}
	leave, err := e.turnToProbe(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	var r *probe.Report
	err = e.withStore(ctx, address, limits, func(s *store) error {
		o := e.probeOptions(role)
		if own && !accept {
			o.Baseline = probe.Kept(state, s.Bucket.Traits().Place)
		}
		r, err = e.probeStore(ctx, address, s, o)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("probe: %w", err)
	}
	if own {
		if err := keepProof(state, r); err != nil {
			e.warn("the proof is not kept, and the agent will make one of its own: %v", err)
		}
		t := e.teller(c)
		t.credential(ctx, protectionOf(c, r))
		t.close(ctx)
	}
	return probeResult{r}, probeVerdict(r)
}

// keepProof keeps a report in the local state, which may not be there yet.
func keepProof(state string, r *probe.Report) error {
	if err := os.MkdirAll(state, 0o700); err != nil {
		return err
	}
	return probe.Save(state, r)
}

// probeStore runs the probe, and tells on the way what was tried.
func (e *env) probeStore(ctx context.Context, address string, s *store, o probe.Options) (*probe.Report, error) {
	a, err := e.openAttacker(ctx, address)
	if err != nil {
		return nil, err
	}
	defer closeIfCloser(a)
	if err := answers(ctx, s.Bucket); err != nil {
		return nil, err
	}
	return probe.Run(ctx, s.Bucket, a, o)
}

// answers asks the vault's store for a name. A store that can't be reached, a bucket that is not there and a credential that the store does not know are failures of their own:
// each attempt of the probe would only say the same again, and prove nothing. A denial is none: what else the credential may do is what shall be tried.
func answers(ctx context.Context, b *providers.Bucket) error {
	for _, err := range b.List(ctx, "vault/", "") {
		switch providers.KindOf(err) {
		case providers.Unauthenticated, providers.NotFound, providers.Temporary, providers.Throttled:
			return fmt.Errorf("ask the vault's store whether it answers: %w", err)
		}
		break
	}
	return ctx.Err()
}

func (e *env) probeOptions(role string) probe.Options {
	return probe.Options{Role: role, Now: e.now, Progress: func(a probe.Attempt) {
		e.detail("%s: %s", strings.TrimPrefix(a.Room+" "+a.Probe, " "), joined(string(a.Answer), joined(a.Code, lines(a.Text))))
	}}
}

// closeIfCloser releases what an attacker holds. Its error is of no interest: nothing of the vault depends on it.
func closeIfCloser(a any) {
	if c, ok := a.(io.Closer); ok {
		_ = c.Close()
	}
}

// probeVerdict is the failure that a verdict means: none, not provable, or a destructive permission.
func probeVerdict(r *probe.Report) error {
	switch r.Verdict {
	case probe.Protected:
		return nil
	case probe.Unprotected:
		return &failure{exit: exitDamage, code: codeUnprotected, err: errors.New("UNPROTECTED: this credential may destroy what the vault holds"), hint: policyHint(r.Role)}
	}
	f := &failure{exit: exitIncomplete, code: codeUnproven, err: errors.New("it is not proven that this credential can destroy nothing"), hint: policyHint(r.Role)}
	// What the role is not to create, and is denied, is as it should be.
	if slices.ContainsFunc(r.Attempts, func(a probe.Attempt) bool {
		return a.Property == probe.Control && a.Harm != probe.Excess && a.Answer == probe.Denied
	}) {
		return f.with("it may not do what the role %s must, or it is another credential than is meant (AWS_PROFILE, ?profile=): %s; --role probes those of other roles", r.Role, policyHint(r.Role))
	}
	if len(r.Weaker) > 0 {
		return f.with("put the bucket's settings back and find out who changed them; if it was you, `farshore probe --accept` takes them as they are")
	}
	return f
}

// why is a report's sentence without the verdict before it.
func why(r *probe.Report) string { return strings.TrimPrefix(r.Words, string(r.Verdict)+": ") }

// Codes of what the probe found.
const (
	codeUnprotected = "unprotected"
	codeUnproven    = "unproven"
)

// policyHint says where it is written what a role's credential should be allowed.
func policyHint(role string) string {
	return "`farshore policy --role " + role + "` prints what the store should allow this credential"
}

// unprotected is the failure that a destructive permission means, with the grants to take away.
func unprotected(r *probe.Report) *failure {
	f := &failure{exit: exitDamage, code: codeUnprotected, err: fmt.Errorf("UNPROTECTED: %s", why(r)), hint: policyHint(r.Role)}
	if grants := strings.Join(r.Grants, ", "); grants != "" && !strings.Contains(r.Words, grants) {
		f.hint = "take away " + grants + "; " + f.hint
	}
	return f
}

// probeResult is the result of probe.
type probeResult struct{ *probe.Report }

func (r probeResult) text(p *printer) {
	p.line("%s: %s", verdictWord(r.Verdict), why(r.Report))
	p.line("")
	p.line("  vault       %s", r.Place)
	p.line("  credential  %s", or(r.Principal, "whose it is, the store does not tell"))
	p.line("  held to     the role %s, in %s", r.Role, strings.Join(r.Rooms, ", "))
	if at := r.Time.UTC().Format(time.RFC3339); r.Verdict == probe.Protected {
		p.line("  at          %s, holds until %s", at, r.Expires.UTC().Format(time.RFC3339))
	} else {
		p.line("  at          %s", at)
	}
	for i, means := range keepsOf(r.Settings).Means {
		p.line("  %-10s  %s", map[bool]string{true: "bucket"}[i == 0], means)
	}
	p.line("")
	rows := [][]string{{"PROPERTY", "ANSWER", "WHY"}}
	for _, f := range r.Findings {
		rows = append(rows, []string{string(f.Property), propertyWord(f), f.Text})
	}
	p.table(rows)
	p.line("")
	p.table(attemptRows(r.Attempts))
	r.details(p)
	for _, n := range r.Notes {
		p.line("note: %s", n)
	}
	p.line("%s created, which stay and which every reader ignores", plural(int64(len(r.Canaries)), "canary"))
}

// verdictWord is the verdict as people read it.
func verdictWord(v probe.Verdict) string {
	switch v {
	case probe.Protected:
		return "PROTECTED"
	case probe.Unprotected:
		return "UNPROTECTED"
	}
	return "NOT PROVEN"
}

// propertyWord says what came of one property.
func propertyWord(f probe.Finding) string {
	switch f.Answer {
	case probe.Denied:
		return "proven"
	case probe.Permitted:
		return "not held"
	}
	return "not proven"
}

// attemptRows are what was tried, a line each, with a column for each room.
func attemptRows(attempts []probe.Attempt) [][]string {
	var rooms, probes []string
	cells := map[[2]string]probe.Attempt{}
	for _, a := range attempts {
		room := or(a.Room, "bucket")
		if !slices.Contains(rooms, room) {
			rooms = append(rooms, room)
		}
		if !slices.Contains(probes, a.Probe) {
			probes = append(probes, a.Probe)
		}
		cells[[2]string{a.Probe, room}] = a
	}
	rows := [][]string{append([]string{"TRIED"}, rooms...)}
	for _, name := range probes {
		row := []string{name}
		for _, room := range rooms {
			row = append(row, or(string(cells[[2]string{name, room}].Answer), "-"))
		}
		rows = append(rows, row)
	}
	return rows
}

// detail is what came back from one probe, in the rooms where it was the same.
type detail struct {
	probes, rooms []string
	first         probe.Attempt
}

// details says what came back where that was no denial: once for all probes and rooms that had the same answer.
func (r probeResult) details(p *printer) {
	var said []*detail
	byProbe := map[[3]string]*detail{}
	for _, a := range r.Attempts {
		if a.Answer == probe.Denied || a.Property == probe.Control && a.Answer == probe.Permitted {
			continue
		}
		k := [3]string{a.Probe, a.Code, string(a.Answer)}
		if byProbe[k] == nil {
			byProbe[k] = &detail{probes: []string{a.Probe}, first: a}
			said = append(said, byProbe[k])
		}
		if room := or(a.Room, "bucket"); !slices.Contains(byProbe[k].rooms, room) {
			byProbe[k].rooms = append(byProbe[k].rooms, room)
		}
	}
	if len(said) > 0 {
		p.line("")
	}
	for _, d := range merged(said) {
		p.line("%s %s", strings.Join(d.probes, ", "), d)
	}
}

// String is what came back, and where.
func (d *detail) String() string {
	text := lines(d.first.Text)
	if d.first.Code != "" {
		text = joined(d.first.Code, text)
	}
	if g := d.first.Grant; g != "" && d.first.Answer == probe.Permitted {
		text += " (granted by " + g + ")"
	}
	return fmt.Sprintf("%s in %s: %s", d.first.Answer, strings.Join(d.rooms, ", "), text)
}

// merged puts together the probes with the same answer in the same rooms.
func merged(said []*detail) []*detail {
	var out []*detail
	for _, d := range said {
		same := slices.IndexFunc(out, func(o *detail) bool { return o.String() == d.String() })
		if same < 0 {
			out = append(out, d)
			continue
		}
		out[same].probes = append(out[same].probes, d.probes...)
	}
	return out
}

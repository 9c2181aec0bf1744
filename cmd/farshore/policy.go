package main

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"farshore/agent/config"
	"farshore/agent/policy"
)

// policyFlags are what policy was asked for.
type policyFlags struct {
	provider, format, document string
	roles, admins, principals  []string
	retention, ceiling         string
	readBack                   bool
}

// Formats of policy.
const (
	formatText      = "text"
	formatJSON      = "json"
	formatTerraform = "terraform"
	formatCLI       = "cli"
)

func policyCommand(e *env) *cobra.Command {
	var f policyFlags
	cmd := &cobra.Command{
		Use:   "policy --vault URL --role ROLE [--provider NAME] [--format json|terraform|cli]",
		Short: "Write the smallest credential of a role, in the provider's own words",
		Long: `Write the exact policy that a role of the vault needs at a provider, the bucket's settings, and the commands or the Terraform that make them. It says
in plain words what the provider can't enforce. Nothing is sent anywhere and nothing is changed: read what it prints, and run it with an administrator's
credential that the agent never sees.

Roles: writer is the agent, auditor verifies from elsewhere, restorer reads, steward extends locks, owner places the owner's statements. None may delete.
Providers: ` + strings.Join(policy.Names(), ", ") + `; without --provider, the one that the
vault's address names for sure.

Format text (the default) is for reading; json is the documents alone, by their names, or the one that --document names; terraform and cli are complete
and have the limits as comments. A store that grants in the bucket's policy (ceph, hetzner, scaleway, versity) needs all roles in one call.

Exit codes: 0 done, 2 usage, 3 the provider can't keep the writer's credential from destroying.`,
		Example: "  farshore policy --role writer --vault s3://offsite/vault?region=eu-central-1 --admin arn:aws:iam::123456789012:role/break-glass\n" +
			"  farshore policy --role writer --role auditor --vault gs://offsite/vault --format terraform\n" +
			"  farshore policy --provider minio --role writer --vault s3://offsite/vault?endpoint=https://minio.example.com --format json --document writer.json",
		Args: arguments(0, 0, ""),
	}
	f.define(cmd)
	return e.does(cmd, func(context.Context, []string) (result, error) {
		r, err := f.run(e.flags.vault)
		if err != nil {
			return nil, err
		}
		if f.format == formatJSON && !e.flags.json && !e.flags.quiet {
			e.say("%s", r.Words)
			for _, l := range slices.Concat(r.Limits, r.Notes) {
				e.say("- %s", l)
			}
		}
		if r.Strength == policy.Nothing {
			return r, incompletef("%s", r.Words).with("choose another provider for the vault: `farshore policy --help` lists them, and docs/policies.md says what each can keep")
		}
		return r, nil
	})
}

func (f *policyFlags) define(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringVar(&f.provider, "provider", "", "`NAME` of the vault's provider (default: the one that the vault's address names for sure)")
	fs.StringArrayVar(&f.roles, "role", nil, "`ROLE` that the credential is for: writer, auditor, restorer, steward or owner; may be repeated")
	fs.StringVar(&f.format, "format", formatText, "`FORMAT`: text, json, terraform or cli")
	fs.StringVar(&f.document, "document", "", "`NAME` of the one document to print, with --format json")
	fs.StringVar(&f.retention, "retention", "", "`DAYS` for which each object is locked when it is stored, such as 45d (default 45d)")
	fs.StringVar(&f.ceiling, "ceiling", "", "`DAYS` ahead that the steward may lock at most (default 120d, or twice the retention)")
	fs.BoolVar(&f.readBack, "read-back", false, "let the writer read packs/, so that it can compare what it stored")
	fs.StringArrayVar(&f.admins, "admin", nil, "`ARN` of an AWS role or user that may still administer the bucket; may be repeated")
	fs.StringArrayVar(&f.principals, "principal", nil, "`ROLE=ID` of a role's account, for stores that grant in the bucket's policy; may be repeated")
}

// run writes what the flags ask for.
func (f *policyFlags) run(address string) (*policyResult, error) {
	req, err := f.request(address)
	if err != nil {
		return nil, err
	}
	made, err := policy.Make(req)
	if err != nil {
		return nil, usagef("%w", err).with("run `farshore policy --help` for an example")
	}
	r := &policyResult{Result: made, format: f.format, document: f.document}
	return r, r.check()
}

// request turns the flags into what policy asks for.
func (f *policyFlags) request(address string) (policy.Request, error) {
	none := policy.Request{}
	switch {
	case address == "":
		return none, usagef("policy needs --vault: where the vault is, or shall be").with("run `farshore policy --help` for an example")
	case !slices.Contains([]string{formatText, formatJSON, formatTerraform, formatCLI}, f.format):
		return none, usagef("--format: there is no format %q: text, json, terraform and cli are known", f.format)
	case f.document != "" && f.format != formatJSON:
		return none, usagef("--document needs --format json")
	}
	if err := config.CheckVault(address); err != nil {
		return none, usagef("--vault: %w", err)
	}
	v, err := policy.ParseVault(address)
	if err != nil {
		return none, usagef("--vault: %w", err)
	}
	req := policy.Request{Provider: policy.Provider(f.provider), Vault: v, ReadBack: f.readBack, Admins: f.admins, Principals: map[policy.Role]string{}}
	if f.provider == "" {
		guess, sure := v.Guess()
		if !sure {
			return none, usagef("the vault's address does not say whose store it is").with("name it with --provider: %s", strings.Join(policy.Names(), ", "))
		}
		req.Provider = guess
	}
	return req, f.complete(&req)
}

// complete adds the flags that are lists and periods.
func (f *policyFlags) complete(req *policy.Request) (err error) {
	for _, r := range f.roles {
		req.Roles = append(req.Roles, policy.Role(r))
	}
	for _, p := range f.principals {
		role, id, ok := strings.Cut(p, "=")
		if !ok || id == "" {
			return usagef("--principal: %q is not of the form ROLE=ID", p)
		}
		req.Principals[policy.Role(role)] = id
	}
	if req.RetentionDays, err = daysFlag("retention", f.retention); err != nil {
		return err
	}
	req.CeilingDays, err = daysFlag("ceiling", f.ceiling)
	return err
}

// daysFlag reads a number of days that was given, 0 for none.
func daysFlag(name, text string) (int, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(strings.TrimSuffix(text, "d"))
	if err != nil || n < 1 {
		return 0, usagef("--%s: %q is no number of days: write 45d", name, text)
	}
	return n, nil
}

// policyResult is the result of policy.
type policyResult struct {
	*policy.Result
	format, document string
}

// check refuses a document that is not there.
func (r *policyResult) check() error {
	var names []string
	for _, d := range r.Documents {
		names = append(names, d.Name)
	}
	if r.document != "" && !slices.Contains(names, r.document) {
		return usagef("--document: there is no document %q here", r.document).with("there are %s", strings.Join(names, ", "))
	}
	return nil
}

func (r *policyResult) text(p *printer) {
	switch r.format {
	case formatCLI:
		p.line("%s", r.CLI)
	case formatTerraform:
		p.line("%s", r.Terraform)
	case formatJSON:
		r.documents(p)
	default:
		r.read(p)
	}
}

// documents prints the one document that was asked for, or all of them by their names.
func (r *policyResult) documents(p *printer) {
	all := make(map[string]policy.Raw, len(r.Documents))
	for _, d := range r.Documents {
		if d.Name == r.document {
			p.line("%s", d.Body)
			return
		}
		all[d.Name] = d.Body
	}
	var b bytes.Buffer
	text, err := marshal(all)
	if err == nil {
		err = json.Indent(&b, text, "", "  ")
	}
	if err != nil && p.err == nil {
		p.err = err
	}
	p.line("%s", &b)
}

// read prints all of it for people.
func (r *policyResult) read(p *printer) {
	p.line("%s: %s", r.Provider, r.Words)
	p.line("")
	for _, s := range r.Settings {
		p.line("setting   %s: %s (%s)", s.Name, s.Value, s.Why)
	}
	for _, l := range r.Limits {
		p.line("limit     %s", l)
	}
	for _, n := range r.Notes {
		p.line("note      %s", n)
	}
	p.line("checked   %s", r.Checked)
	for _, d := range r.Documents {
		p.line("")
		p.line("%s: %s", d.Name, d.What)
		p.line("%s", d.Body)
	}
	p.line("")
	p.line("The commands that make all this: --format cli, or --format terraform.")
}

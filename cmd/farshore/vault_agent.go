package main

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"farshore/agent/record"
	"farshore/agent/vault"
	"farshore/crypto/sign"
)

// vaultAgentCommand is the group of commands about who may sign.
func vaultAgentCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "agent",
		Short:   "Draft a statement that names, retires or revokes an agent or auditor",
		Long:    "Draft a statement that names a new agent or auditor, ends one that is no longer needed, or takes out of force what one has signed.\n\nExit codes: 0 done, 1 failed, 2 usage or configuration, 4 damage or tampering.",
		Example: "  farshore vault agent add --request join.request --sources shop,wiki\n  farshore vault agent revoke 0123456789abcdef0123456789abcdef --whole",
	}
	group(cmd)
	cmd.AddCommand(vaultAgentAddCommand(e), vaultAgentRetireCommand(e), vaultAgentRevokeCommand(e), vaultAgentKeyCommand(e))
	return cmd
}

// addOptions are what `vault agent add` was asked for.
type addOptions struct {
	draftOptions
	request, key, metadata, name, role string
	sources                            []string
}

func vaultAgentAddCommand(e *env) *cobra.Command {
	var o addOptions
	cmd := &cobra.Command{
		Use:   "add (--request FILE | --key KEY --metadata RECIPIENT) --sources NAMES",
		Short: "Draft a statement that names a new agent or auditor",
		Long: `Draft a statement that names a new agent: with the request that ` + "`farshore init --join`" + ` wrote on its host, or with its keys. Compare the fingerprint
with the one that the host shows, by voice: whoever holds the key makes snapshots that count.

An auditor has a signing key alone, which ` + "`farshore vault agent key`" + ` makes, and signs nothing but reports.

Exit codes: 0 done, 1 failed, 2 usage or configuration, 4 damage.`,
		Example: "  farshore vault agent add --request join.request --sources shop,wiki\n  farshore vault agent add --role auditor --key ed25519:…",
		Args:    arguments(0, 0, ""),
	}
	f := cmd.Flags()
	f.StringVar(&o.request, "request", "", "`FILE` that init --join wrote")
	f.StringVar(&o.key, "key", "", "public `KEY` to name, ed25519:…")
	f.StringVar(&o.metadata, "metadata", "", "age `RECIPIENT` of the agent's metadata identity")
	f.StringSliceVar(&o.sources, "sources", nil, "`NAMES` of the sources that it may commit for, with commas, or * for all (an agent needs it)")
	f.StringVar(&o.name, "name", "", "`NAME` of the agent, noted in the vault for anyone who can read the store")
	f.StringVar(&o.role, "role", record.RoleAgent, "`ROLE` of the key: agent or auditor")
	o.flags(cmd)
	return e.does(cmd, func(ctx context.Context, args []string) (result, error) { return o.run(ctx, e) })
}

// run makes the draft. What a request says of the vault must be this one.
func (o *addOptions) run(ctx context.Context, e *env) (result, error) {
	vaultID, err := o.takeRequest()
	if err != nil {
		return nil, err
	}
	edit, fingerprint, err := o.edit()
	if err != nil {
		return nil, err
	}
	res, err := e.draft(ctx, o.draftOptions, func(_ context.Context, v *vault.Vault) (vault.Edit, error) {
		if vaultID != "" && vaultID != v.ID() {
			return nil, usagef("%s asks for vault %s, and this is %s", o.request, vaultID, v.ID()).with("--vault or --config names another vault than the new agent's")
		}
		return edit, nil
	})
	if r, ok := res.(draftResult); ok && r.Nothing == "" {
		r.Fingerprint = fingerprint
		res = r
	}
	return res, err
}

// takeRequest fills in what the request says, and returns the vault that it is for.
func (o *addOptions) takeRequest() (vaultID string, err error) {
	if o.request == "" {
		return "", nil
	}
	if o.key != "" || o.metadata != "" || o.role != record.RoleAgent {
		return "", usagef("--request and --key, --metadata or --role exclude each other: the request has the keys of an agent")
	}
	data, err := readSmall("--request", o.request, vault.MaxDraft)
	if err != nil {
		return "", err
	}
	r, err := vault.DecodeRequest(data)
	if err != nil {
		return "", usagef("%s: %w", o.request, err)
	}
	o.key, o.metadata, o.name = r.Key.String(), r.Metadata, or(o.name, r.Name)
	return r.VaultID, nil
}

// edit returns what the draft changes, and the new agent's fingerprint.
func (o *addOptions) edit() (edit vault.Edit, fingerprint string, err error) {
	if o.key == "" {
		return nil, "", usagef("vault agent add needs --request, or --key").with("`farshore init --join` on the new host writes a request")
	}
	key, err := sign.ParsePublic(o.key)
	if err != nil {
		return nil, "", usagef("--key: %w", err)
	}
	if err := vault.CheckName(o.name); err != nil {
		return nil, "", usagef("--name: %w", err)
	}
	if o.name != "" && o.note == "" {
		o.note = o.role + " " + key.ID() + " is " + o.name
	}
	switch {
	case o.role == record.RoleAuditor && (o.metadata != "" || len(o.sources) > 0):
		return nil, "", usagef("an auditor has neither --metadata nor --sources: it opens nothing and commits nothing")
	case o.role == record.RoleAuditor:
		return vault.AddAuditor(key), vault.Fingerprint(o.key, ""), nil
	case o.role != record.RoleAgent:
		return nil, "", usagef("--role %s is neither agent nor auditor", o.role)
	case o.metadata == "":
		return nil, "", usagef("an agent needs --metadata: it could not read what it stored")
	case len(o.sources) == 0:
		return nil, "", usagef("an agent needs --sources: the names of those that it may commit for, or * for all").with("after the loss of a host, those that the agent before had: `farshore snapshots` lists them where a key opens their names")
	}
	return vault.AddAgent(key, o.metadata, o.sources), vault.Fingerprint(o.key, o.metadata), nil
}

func vaultAgentRetireCommand(e *env) *cobra.Command {
	var o draftOptions
	cmd := &cobra.Command{
		Use:   "retire KEYID",
		Short: "Draft a statement that ends an agent or auditor that is no longer needed",
		Long: `Draft a statement that ends a key as of now: what it signed goes on to count, and pages are no longer sealed to its metadata identity. It is for a
host that is taken out of service and whose key nobody else has. One that may be stolen must be revoked.

Exit codes: 0 done, or nothing to do, 1 failed, 2 usage or configuration, 4 damage.`,
		Example: "  farshore vault agent retire 0123456789abcdef0123456789abcdef",
		Args:    arguments(1, 1, "KEYID"),
	}
	o.flags(cmd)
	return e.does(cmd, func(ctx context.Context, args []string) (result, error) {
		return e.draft(ctx, o, func(context.Context, *vault.Vault) (vault.Edit, error) { return vault.RetireSigner(args[0]), nil })
	})
}

// revokeOptions are what `vault agent revoke` was asked for.
type revokeOptions struct {
	draftOptions
	whole          bool
	after, commits []string
}

func vaultAgentRevokeCommand(e *env) *cobra.Command {
	var o revokeOptions
	cmd := &cobra.Command{
		Use:   "revoke KEYID (--whole | --after CHAIN:NUMBER... | --commit HASH...)",
		Short: "Draft a statement that takes out of force what an agent signed",
		Long: `Draft a statement that takes commits out of force. Nothing is deleted: a later statement can put them back.

  --whole   all commits of the key, in every chain, and ends it
  --after   the commits after a number, and ends the key. Each chain that the key has written must be named: what was stored up to there is
            still restorable. CHAIN:0 takes all of a chain. Chains that a thief begins with the key later do not count either
  --commit  single commits, by their hash or as CHAIN:NUMBER; the key goes on

After a theft, find the last commit from before it with ` + "`farshore snapshots`" + `, revoke after it, and enrol a new agent with ` + "`farshore init --join`" + `.

Exit codes: 0 done, or nothing to do, 1 failed, 2 usage or configuration, 4 damage.`,
		Example: "  farshore vault agent revoke 0123456789abcdef0123456789abcdef --whole\n  farshore vault agent revoke 0123456789abcdef0123456789abcdef --after fedcba9876543210fedcba9876543210:17",
		Args:    arguments(1, 1, "KEYID"),
	}
	f := cmd.Flags()
	f.BoolVar(&o.whole, "whole", false, "revoke all commits of the key")
	f.StringSliceVar(&o.after, "after", nil, "revoke the commits after `CHAIN:NUMBER`; may be repeated")
	f.StringSliceVar(&o.commits, "commit", nil, "revoke the commit with the `HASH`, or CHAIN:NUMBER; may be repeated")
	o.flags(cmd)
	return e.does(cmd, func(ctx context.Context, args []string) (result, error) {
		if n := len(o.after) + len(o.commits); o.whole && n > 0 || len(o.after) > 0 && len(o.commits) > 0 || !o.whole && n == 0 {
			return nil, usagef("vault agent revoke needs exactly one of --whole, --after and --commit").with("run `farshore vault agent revoke --help`")
		}
		return e.draft(ctx, o.draftOptions, func(ctx context.Context, v *vault.Vault) (vault.Edit, error) { return o.edit(ctx, v, args[0]) })
	})
}

// edit returns what the draft revokes.
func (o *revokeOptions) edit(ctx context.Context, v *vault.Vault, id string) (vault.Edit, error) {
	if o.whole {
		return vault.RevokeSigner(id), nil
	}
	all, err := v.Chains(ctx)
	if err != nil {
		return nil, err
	}
	mine := map[string]*vault.Chain{}
	for _, c := range all {
		if c.Head() != nil && c.Commits[0].Signer == id {
			mine[c.ID] = c
		}
	}
	if len(o.after) > 0 {
		return afterPoints(mine, id, o.after)
	}
	return theseCommits(mine, id, o.commits)
}

// afterPoints takes the points apart, and demands one for each chain of the signer: one that is forgotten would stay in force.
func afterPoints(mine map[string]*vault.Chain, id string, texts []string) (vault.Edit, error) {
	var points []vault.Point
	named := map[string]bool{}
	for _, text := range texts {
		p, c, err := pointIn(mine, id, text, 0)
		if err != nil {
			return nil, err
		}
		if named[c.ID] {
			return nil, usagef("chain %s is named twice", c.ID)
		}
		named[c.ID] = true
		points = append(points, p)
	}
	for _, chain := range sortedKeys(mine) {
		if !named[chain] {
			c := mine[chain]
			return nil, usagef("key %s has also written %s, up to number %d", id, joined("chain "+chain, c.Source.Name), c.Head().Seq).
				with("add --after %s:NUMBER for the last commit that you trust of it, or %s:0 for none", chain, chain)
		}
	}
	return vault.RevokeAfter(id, points), nil
}

// pointIn reads CHAIN:NUMBER, which must be a commit of the signer's, or 0 where that is allowed.
func pointIn(mine map[string]*vault.Chain, id, text string, least int64) (vault.Point, *vault.Chain, error) {
	chain, number, found := strings.Cut(text, ":")
	seq, err := strconv.ParseInt(number, 10, 64)
	if !found || err != nil || seq < least {
		return vault.Point{}, nil, usagef("%q is no CHAIN:NUMBER", text).with("`farshore snapshots` lists chains and numbers")
	}
	c := mine[chain]
	if c == nil {
		return vault.Point{}, nil, usagef("key %s has no chain %.40q with commits that count", id, chain).with("it has %s", or(strings.Join(sortedKeys(mine), ", "), "none"))
	}
	if seq > c.Head().Seq {
		return vault.Point{}, nil, usagef("chain %s ends at number %d: there is no %d", chain, c.Head().Seq, seq)
	}
	return vault.Point{Chain: chain, Seq: seq}, c, nil
}

// theseCommits finds single commits of the signer's.
func theseCommits(mine map[string]*vault.Chain, id string, texts []string) (vault.Edit, error) {
	known := map[record.Hash]bool{}
	for _, c := range mine {
		for _, k := range c.Commits {
			known[k.Hash] = true
		}
	}
	var hashes []record.Hash
	for _, text := range texts {
		if strings.Contains(text, ":") {
			p, c, err := pointIn(mine, id, text, 1)
			if err != nil {
				return nil, err
			}
			hashes = append(hashes, c.Commits[p.Seq-1].Hash)
			continue
		}
		h, err := record.ParseHash(text)
		if err != nil {
			return nil, usagef("--commit: %w", err)
		}
		if !known[h] {
			return nil, usagef("key %s has no commit %s that counts", id, h).with("`farshore snapshots` lists chains and numbers: CHAIN:NUMBER names a commit, too")
		}
		hashes = append(hashes, h)
	}
	slices.SortFunc(hashes, func(a, b record.Hash) int { return strings.Compare(a.String(), b.String()) })
	return vault.RevokeCommits(slices.Compact(hashes)), nil
}

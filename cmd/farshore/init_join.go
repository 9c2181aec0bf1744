package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"farshore/agent/config"
	"farshore/agent/record"
	"farshore/agent/vault"
	"farshore/crypto/keyring"
	"farshore/crypto/seal"
	"farshore/crypto/sign"
)

// joinOptions are what init was asked for where it enrols an agent in a vault that there is.
type joinOptions struct {
	initOptions
	join bool
	// metadata is a file with the metadata identity of the agent that this one replaces, or empty for a new one.
	metadata string
}

// flags defines those of init that are about joining.
func (o *joinOptions) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&o.join, "join", false, "enrol a new agent in the vault that there is")
	cmd.Flags().StringVar(&o.metadata, "metadata", "", "with --join, `FILE` with the metadata key of the agent that this one replaces, where it is at hand and not stolen")
}

// requestFile is what a new agent asks of the owner, beside its configuration.
const requestFile = "join.request"

// run enrols an agent: it makes its keys, a configuration that pins what the owner signed, and a request to the owner.
func (o *joinOptions) run(ctx context.Context, e *env) (result, error) {
	a, err := o.access(e)
	if err != nil {
		return nil, err
	}
	l := newJoinLayout(o)
	if err := l.checkAll(); err != nil {
		return nil, err
	}
	var r *joinResult
	err = e.withVault(ctx, a, func(v *vault.Vault) error {
		k, err := o.makeKeys(v)
		if err != nil {
			return err
		}
		if r, err = l.build(v, o, k); err != nil {
			return errors.Join(err, l.undo())
		}
		r.Sources, err = sourcesIn(ctx, v)
		return err
	})
	if r == nil {
		return nil, err
	}
	return *r, err
}

// access holds the flags to what joining needs, and finds out who the owner is: never from the vault itself.
func (o *joinOptions) access(e *env) (*access, error) {
	o.vault, o.config, o.state = e.flags.vault, e.flags.config, e.flags.state
	switch {
	case o.vault == "":
		return nil, usagef("init --join needs --vault: the vault to join").with("run `farshore init --help` for an example")
	case o.config == "":
		return nil, usagef("init --join needs --config: the configuration to write").with("run `farshore init --help` for an example")
	case o.kit != "" || len(o.recipients) > 0:
		return nil, usagef("--kit and --recipient are for a new vault: the one to join has its owner and its recipients")
	}
	if err := config.CheckVault(o.vault); err != nil {
		return nil, usagef("--vault: %w", err)
	}
	if err := vault.CheckName(o.name); err != nil {
		return nil, usagef("--name: %w", err)
	}
	a := &access{url: o.vault}
	owners, err := e.readIdentities(a)
	if err != nil {
		return nil, err
	}
	a.identities = nil // a recovery key has no business on an agent's host but to say who the owner is
	if len(owners) > 0 {
		e.warn("an agent's host is no place for the recovery key: --owner-pub is enough here. Take it away again")
	}
	if e.flags.ownerPub != "" {
		owners = append(owners, claim{"--owner-pub", e.flags.ownerPub})
	}
	if len(owners) == 0 {
		return nil, usagef("UNPINNED: nothing here names the vault owner's key, so that whoever can write to the store could have made what is there").
			with("give --owner-pub: RECOVERY.md, recovery.key and every agent's configuration have it")
	}
	if o.metadata != "" {
		if a.identities, err = keyring.ReadMetadata(o.metadata); err != nil {
			return nil, usagef("--metadata: %w", err)
		}
	}
	return a, e.pin(a, owners)
}

// joinLayout is where init --join writes.
type joinLayout struct {
	layout
	request string
}

func newJoinLayout(o *joinOptions) *joinLayout {
	dir := filepath.Dir(o.config)
	keys := filepath.Join(dir, "keys")
	return &joinLayout{
		layout:  layout{vault: o.vault, config: o.config, state: o.state, keys: keys, agent: filepath.Join(keys, config.AgentKey), metadata: filepath.Join(keys, config.MetadataKey)},
		request: filepath.Join(dir, requestFile),
	}
}

// checkAll refuses files that exist, all at once.
func (l *joinLayout) checkAll() error {
	var there []string
	for _, path := range []string{l.config, l.agent, l.metadata, l.request} {
		if _, err := os.Lstat(path); err == nil {
			there = append(there, path)
		} else if !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if len(there) == 0 {
		return nil
	}
	return usagef("exists already, and is left as it is: %s", strings.Join(there, ", ")).
		with("an agent is enrolled once on its host: name another place with --config, or move away what an init that was killed has left")
}

// joinKeys are a new agent's keys.
type joinKeys struct {
	agent sign.PrivateKey
	// metadata is the secret identity, and the text of a file where it was another agent's.
	metadata, file, recipient string
}

// makeKeys makes the keys, the metadata identity of the vault's class, or takes that of the agent before.
func (o *joinOptions) makeKeys(v *vault.Vault) (k *joinKeys, err error) {
	k = new(joinKeys)
	if k.agent, err = sign.Generate(); err != nil {
		return nil, err
	}
	if o.metadata != "" {
		return k, o.takeMetadata(v, k)
	}
	class, err := seal.Class(recoveryOf(v.Statement())[0])
	if err != nil {
		return nil, fmt.Errorf("the vault's recipients: %w", err)
	}
	generate := seal.GenerateHybrid
	if class == seal.X25519 {
		generate = seal.GenerateX25519
	}
	k.metadata, k.recipient, err = generate()
	return k, err
}

// takeMetadata takes over the metadata key of the agent before, which must be one that this vault was sealed to.
func (o *joinOptions) takeMetadata(v *vault.Vault, k *joinKeys) error {
	ids, err := keyring.ReadMetadata(o.metadata)
	if err != nil {
		return usagef("--metadata: %w", err)
	}
	if len(ids) != 1 {
		return usagef("--metadata: %s has %d identities, and an agent has one", o.metadata, len(ids))
	}
	if k.recipient, err = seal.RecipientOf(ids[0]); err != nil {
		return usagef("--metadata: %w", err)
	}
	for _, st := range v.Statements() {
		for _, r := range st.Recipients {
			if r.Recipient == k.recipient && r.Role == record.RoleMetadata {
				text, err := readSmall("--metadata", o.metadata, 64<<10)
				k.file = string(text)
				return err
			}
		}
	}
	return usagef("--metadata: %s is not a metadata key that this vault was ever sealed to", o.metadata)
}

// build writes the keys, the request and at last the configuration.
func (l *joinLayout) build(v *vault.Vault, o *joinOptions, k *joinKeys) (*joinResult, error) {
	for _, dir := range []string{filepath.Dir(l.config), l.keys} {
		if err := l.mkdir(dir); err != nil {
			return nil, err
		}
	}
	request := vault.Request{VaultID: v.ID(), Key: k.agent.Public(), Metadata: k.recipient, Name: o.name}
	text, err := request.Encode()
	if err != nil {
		return nil, err
	}
	c := &config.Config{
		Vault: o.vault, Owner: v.Owner().String(), Recipients: recoveryOf(v.Statement()), State: o.state,
		Commit: config.Commit{Every: config.DefaultEvery, Bytes: config.DefaultBytes},
	}
	err = l.each([]step{
		{l.agent, func(path string) error { return keyring.WriteAgentKey(path, k.agent) }},
		{l.metadata, func(path string) error {
			if k.file != "" {
				return createFile(path, k.file)
			}
			return keyring.WriteMetadata(path, k.metadata)
		}},
		{l.request, func(path string) error { return createFile(path, string(text)) }},
		{l.config, func(path string) error { return config.Create(path, c) }},
	})
	if err != nil {
		return nil, err
	}
	return &joinResult{
		VaultID: v.ID(), Vault: o.vault, Owner: c.Owner, Statement: v.Statement().N, Recipients: c.Recipients, Agent: k.agent.ID(), Key: k.agent.Public().String(), Metadata: k.recipient,
		Config: l.config, Keys: []string{l.agent, l.metadata}, Request: l.request, Fingerprint: request.Fingerprint(), TookMetadata: k.file != "",
	}, nil
}

// sourcesIn lists the sources whose names a key at hand opens.
func sourcesIn(ctx context.Context, v *vault.Vault) ([]sourceResult, error) {
	if !v.CanOpen() {
		return nil, nil
	}
	chains, err := v.Chains(ctx)
	if err != nil {
		return nil, err
	}
	var out []sourceResult
	for _, c := range chains {
		if c.Source.Name != "" && !c.Retired() && !slices.ContainsFunc(out, func(s sourceResult) bool { return s.Name == c.Source.Name }) {
			out = append(out, sourceResult{Name: c.Source.Name, URL: c.Source.Place})
		}
	}
	return out, nil
}

// joinResult is the result of init --join.
type joinResult struct {
	VaultID    string   `json:"vault_id"`
	Vault      string   `json:"vault"`
	Owner      string   `json:"owner"`
	Statement  int64    `json:"statement"`
	Recipients []string `json:"recipients"`
	Agent      string   `json:"agent"`
	Key        string   `json:"key"`
	Metadata   string   `json:"metadata"`
	Config     string   `json:"config"`
	Keys       []string `json:"keys"`
	Request    string   `json:"request"`
	// Fingerprint stands for both keys, to be compared by voice.
	Fingerprint string `json:"fingerprint"`
	// TookMetadata is true where the metadata key is the one of the agent before.
	TookMetadata bool `json:"took_metadata,omitempty"`
	// Sources are those of the vault, as far as the metadata key opens their names.
	Sources []sourceResult `json:"sources,omitempty"`
}

func (r joinResult) text(p *printer) {
	p.line("The new agent has its keys, and is not named in the vault yet: %s", r.Vault)
	p.line("  vault's id     %s", r.VaultID)
	p.line("  owner          %s", r.Owner)
	p.line("  agent          %s", r.Agent)
	p.line("  configuration  %s, with the recipients of statement %d", r.Config, r.Statement)
	p.line("  agent's keys   %s", strings.Join(r.Keys, ", "))
	p.line("  request        %s", r.Request)
	p.line("  fingerprint    %s", r.Fingerprint)
	p.line("")
	p.line("Next, on a machine that reads the vault, with this request: farshore vault agent add --request %s --sources NAMES", shellWord(filepath.Base(r.Request)))
	p.line("Then the owner signs (farshore vault sign), comparing the fingerprint with the one above by voice, and it is placed (farshore vault place).")
	p.line("Until then farshore replicate says that the owner has not named this agent.")
	p.line("")
	if !r.TookMetadata {
		p.line("What earlier agents stored is restorable as before, with the recovery key. This agent can't read their pages: they are not sealed to it. Its first pass")
		p.line("reads each source whole and stores it anew, in a chain of its own. Add each source here with the name that it has had: farshore source add NAME URL")
		return
	}
	p.line("With the metadata key of the agent before, this one reads its pages: `farshore ls` works here. Its first pass still reads each source whole and stores it anew, in a")
	p.line("chain of its own, since an agent trusts nothing but what its own key signed. Add the sources with the names that they have had:")
	for _, s := range r.Sources {
		p.line("  farshore source add %s %s --config %s", shellWord(clean(s.Name)), shellWord(clean(s.URL)), shellWord(r.Config))
	}
}

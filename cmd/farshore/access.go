package main

import (
	"errors"
	"fmt"
	"io/fs"

	"filippo.io/age"

	"farshore/agent/config"
	"farshore/agent/vault"
	"farshore/crypto/keyring"
	"farshore/crypto/sign"
)

// access is all that it takes to open a vault, gathered from flags, key files and configuration.
type access struct {
	// config is nil where none was needed or found.
	config *config.Config
	// url is the vault's address.
	url string
	// owner is nil where nobody names the owner's key: what is read is then UNPINNED.
	owner *sign.PublicKey
	// vaultID is what the recovery key's comments say, or empty.
	vaultID    string
	identities []age.Identity
	// named is how many of the identities, from the first on, are those of --identity.
	named int
	// state is the directory of the local cache, or empty for none.
	state  string
	limits config.Limits
}

// loadConfig loads the configuration, for commands that need one.
func (e *env) loadConfig() (*config.Config, error) {
	if e.inForce != nil {
		return e.inForce, nil
	}
	path, err := config.Find(e.flags.config, e.getenv)
	if err != nil {
		return nil, err
	}
	c, err := config.Load(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &failure{exit: exitUsage, code: codeConfig, err: err, hint: "`farshore init` makes a configuration"}
	}
	if err == nil && e.flags.state != "" {
		c.State = e.flags.state
	}
	return c, err
}

// access gathers what a reader of the vault needs: from a configuration, or on a bare machine from --vault and --identity alone.
func (e *env) access() (*access, error) {
	c, err := e.readerConfig()
	if err != nil {
		return nil, err
	}
	a := &access{config: c, url: e.flags.vault, state: e.flags.state}
	if c != nil {
		a.url, a.state, a.limits = or(a.url, c.Vault), or(a.state, c.State), c.Limits
	}
	if err := config.CheckVault(a.url); err != nil {
		return nil, usagef("vault: %w", err)
	}
	owners, err := e.readIdentities(a)
	if err != nil {
		return nil, err
	}
	if err := e.addAgentIdentity(a); err != nil {
		return nil, err
	}
	if c != nil {
		owners = append(owners, claim{c.Path, c.Owner})
	}
	if e.flags.ownerPub != "" {
		owners = append(owners, claim{"--owner-pub", e.flags.ownerPub})
	}
	return a, e.pin(a, owners)
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// readerConfig returns the configuration, or nil where --vault names another vault than the configuration that happens to be there.
func (e *env) readerConfig() (*config.Config, error) {
	if e.flags.vault == "" || e.flags.config != "" {
		return e.loadConfig()
	}
	c, err := e.loadConfig()
	if err != nil {
		e.detail("no configuration is used: %v", err)
		return nil, nil
	}
	if c.Vault != e.flags.vault {
		e.detail("%s is not used: it is about another vault", c.Path)
		return nil, nil
	}
	return c, nil
}

// claim is what somebody says a value is.
type claim struct{ who, what string }

// readIdentities reads the files of --identity, and returns the owners that they name.
func (e *env) readIdentities(a *access) ([]claim, error) {
	var owners, ids []claim
	for _, path := range e.flags.identities {
		r, err := readIdentity(path)
		if err != nil {
			return nil, &failure{exit: exitUsage, code: codeUsage, err: err}
		}
		a.identities = append(a.identities, r.Identities...)
		if r.Owner != "" {
			owners = append(owners, claim{path, r.Owner})
		}
		if r.VaultID != "" {
			ids = append(ids, claim{path, r.VaultID})
		}
	}
	a.named = len(a.identities)
	id, err := agree("vault", ids)
	a.vaultID = id
	return owners, err
}

// readIdentity reads a recovery key, an agent's metadata key, or any file of age identities.
func readIdentity(path string) (keyring.Recovery, error) {
	r, err := keyring.ReadRecovery(path)
	if err == nil {
		return r, nil
	}
	if ids, merr := keyring.ReadMetadata(path); merr == nil {
		return keyring.Recovery{Identities: ids}, nil
	}
	return r, err
}

// addAgentIdentity adds the agent's own metadata identity where the configuration's keys are here and may be read.
func (e *env) addAgentIdentity(a *access) error {
	if a.config == nil {
		return nil
	}
	path := a.config.KeyPath(config.MetadataKey, e.getenv)
	ids, err := keyring.ReadMetadata(path)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		e.detail("the agent's metadata key is not used: %v", err)
		return nil
	case err != nil:
		return err
	}
	a.identities = append(a.identities, ids...)
	return nil
}

// pin sets the owner's key that all who name one agree on, and warns where nobody does.
func (e *env) pin(a *access, owners []claim) error {
	text, err := agree("owner's key", owners)
	if err != nil {
		return err
	}
	if text == "" {
		e.warn("UNPINNED: nothing here names the vault owner's key, so that whoever can write to the store could have made this vault. Give --owner-pub or the recovery key with its comments.")
		return nil
	}
	owner, err := sign.ParsePublic(text)
	if err != nil {
		return usagef("owner's key: %w", err)
	}
	a.owner = &owner
	return nil
}

// agree returns the value that all claims have, "" for no claims.
func agree(what string, claims []claim) (string, error) {
	if len(claims) == 0 {
		return "", nil
	}
	for _, c := range claims[1:] {
		if c.what != claims[0].what {
			return "", usagef("%s names another %s than %s: they belong to different vaults", c.who, what, claims[0].who)
		}
	}
	return claims[0].what, nil
}

// vaultOptions are what agent/vault wants to know.
func (a *access) vaultOptions(cache vault.Cache) vault.Options {
	return vault.Options{Owner: a.owner, ID: a.vaultID, Identities: a.identities, Cache: cache}
}

// agentKey reads the agent's signing key, for commands that write to the vault.
func (e *env) agentKey(c *config.Config) (sign.PrivateKey, error) {
	k, err := keyring.ReadAgentKey(c.KeyPath(config.AgentKey, e.getenv))
	if err != nil {
		return k, fmt.Errorf("agent's key: %w", err)
	}
	return k, nil
}

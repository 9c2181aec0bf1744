package main

import (
	"context"
	"errors"
	"io/fs"

	"farshore/agent/config"
	"farshore/agent/report"
	"farshore/agent/source"
	"farshore/agent/vault"
	"farshore/agent/verify"
	"farshore/crypto/keyring"
	"farshore/crypto/sign"
)

// errNothing says that a budget reads nothing.
var errNothing = errors.New("it must be more than nothing")

// reportKey finds the key that signs a report: that of the file, or the agent's own where the configuration's keys are here and may be read; nil for none.
func (e *env) reportKey(a *access, file string) (*sign.PrivateKey, error) {
	if file != "" {
		k, err := keyring.ReadSigner(file)
		if err != nil {
			return nil, &failure{exit: exitUsage, code: codeUsage, err: err}
		}
		return &k, nil
	}
	if a.config == nil {
		return nil, nil
	}
	k, err := keyring.ReadAgentKey(a.config.KeyPath(config.AgentKey, e.getenv))
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		e.detail("the agent's key is not used: %v", err)
		return nil, nil
	case err != nil:
		return nil, err
	}
	return &k, nil
}

// entitled holds the key to what the owner's statement lets it sign, before anything is read. Without a key it says what that means.
func (e *env) entitled(v *vault.Vault, o *verifyOptions) error {
	if o.key == nil {
		return nil
	}
	if err := report.Entitled(v, o.key.ID(), e.now(), report.TypeAudit); err != nil {
		return usagef("%w", err).with("the owner names an auditor's key with `farshore vault agent add --role auditor`; --no-report verifies without leaving a report")
	}
	return nil
}

// protectionReport is what is known of the agent's credential, as reports have it. Nil where nothing is.
func protectionReport(p *protection) *report.Protection {
	if p == nil {
		return nil
	}
	out := &report.Protection{Required: p.Required, Verdict: string(p.Verdict), Words: p.Words}
	if p.Time != nil {
		out.Time = p.Time.UTC()
	}
	if p.Expires != nil {
		out.Expires = p.Expires.UTC()
	}
	return out
}

// liveSources opens the sources that the configuration names, for comparison. One that can't be opened is left out, with a warning.
func (e *env) liveSources(ctx context.Context, c *config.Config) (map[string]source.Source, map[string]verify.Looker) {
	live, lookers := map[string]source.Source{}, map[string]verify.Looker{}
	for _, s := range c.Sources {
		src, err := e.openSource(ctx, c, s)
		if err != nil {
			e.warn("source %s is not compared with the vault: %v", s.Name, err)
			continue
		}
		live[s.Name] = src
		if l, ok := src.(verify.Looker); ok && s.RepositoryKind() != "" {
			lookers[s.Name] = l
		}
	}
	return live, lookers
}

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"farshore/agent"
	"farshore/agent/config"
	"farshore/crypto/keyring"
	"farshore/crypto/sign"
)

// withSession opens the vault for writing as the configuration's agent, as long as do takes.
func (e *env) withSession(ctx context.Context, c *config.Config, do func(*agent.Session) error) error {
	o, err := e.sessionOptions(c)
	if err != nil {
		return err
	}
	return e.withStore(ctx, c.Vault, c.Limits, func(s *store) error {
		session, err := agent.Open(ctx, s.Bucket, o)
		if err != nil {
			return err
		}
		for _, f := range session.Vault.Findings() {
			e.warn("%s: %s: %s", f.Severity, f.Object, f.Text)
		}
		return errors.Join(do(session), session.Close())
	})
}

func (e *env) sessionOptions(c *config.Config) (agent.SessionOptions, error) {
	o := agent.SessionOptions{
		Recipients: c.Recipients, State: c.State,
		OnReset: func(reason string) {
			e.warn("the local state in %s was damaged and is begun anew (%s): it is rebuilt from the vault", c.State, reason)
		},
	}
	var err error
	if o.Owner, err = sign.ParsePublic(c.Owner); err != nil {
		return o, usagef("%s: owner: %w", c.Path, err)
	}
	if o.Key, err = agentKey(c); err != nil {
		return o, err
	}
	if o.Identities, err = keyring.ReadMetadata(filepath.Join(c.Keys, metadataFile)); err != nil {
		return o, fmt.Errorf("agent's metadata key: %w", err)
	}
	return o, nil
}

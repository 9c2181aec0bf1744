package main

import (
	"context"
	"errors"
	"fmt"

	"farshore/agent"
	"farshore/agent/config"
	"farshore/agent/record"
	"farshore/agent/vault"
	"farshore/crypto/keyring"
	"farshore/crypto/sign"
)

// withSession opens the vault for writing as the configuration's agent, as long as do takes. Before, the agent's credential is held to what the configuration
// requires of it; what holds it is handed on, for do to ask again before it commits. sources are those that it is for.
func (e *env) withSession(ctx context.Context, c *config.Config, sources []config.Source, do func(*agent.Session, *custody) error) error {
	o, err := e.sessionOptions(c)
	if err != nil {
		return err
	}
	return e.withStore(ctx, c.Vault, e.passLimits(c, sources), func(s *store) error {
		g, err := e.custody(ctx, c, s)
		if err != nil {
			return err
		}
		defer g.close()
		work := func() error {
			return e.inSession(ctx, s, o, func(session *agent.Session) error { return do(session, g) })
		}
		if e.asStateOwner {
			return asOwnerOf(c.State, work)
		}
		return work()
	})
}

// inSession opens the vault and the local state as long as do takes.
func (e *env) inSession(ctx context.Context, s *store, o agent.SessionOptions, do func(*agent.Session) error) error {
	session, err := agent.Open(ctx, s.Bucket, o)
	if err != nil {
		return err
	}
	for _, f := range session.Vault.Findings() {
		e.warn("%s: %s: %s", f.Severity, f.Object, f.Text)
	}
	if err := e.standing(session, o.Key); err != nil {
		return errors.Join(err, session.Close())
	}
	return errors.Join(do(session), e.hidden(session), session.Close())
}

// hidden warns of what the agent noticed in the versions of names while it worked: it read the right ones, and somebody laid others over them.
func (e *env) hidden(s *agent.Session) error {
	seen := s.Vault.Sightings()
	e.warnFindings(seen)
	return alarming(findingsOf(seen))
}

// warnReset tells that what was known of the vault on this machine is lost, which costs requests and no more.
func (e *env) warnReset(dir, reason string) {
	e.warn("the local state in %s was damaged and is begun anew (%s): it is rebuilt from the vault", dir, reason)
}

func (e *env) sessionOptions(c *config.Config) (agent.SessionOptions, error) {
	o := agent.SessionOptions{
		Recipients: c.Recipients, State: c.State, MinLockLeft: c.MinLockLeft,
		OnReset: func(reason string) { e.warnReset(c.State, reason) },
	}
	if e.shared != nil {
		o.Local = e.shared.local
	}
	o.ReadBack = readBackOf(c)
	o.Damaged = func(ctx context.Context, v *vault.Vault) map[record.Hash]bool {
		known, err := knownDamaged(ctx, v, c.State)
		if err != nil {
			e.warn("the reports could not be read, so that what an audit found damaged may be rested on: %v", err)
		}
		return known
	}
	var err error
	if o.Owner, err = sign.ParsePublic(c.Owner); err != nil {
		return o, usagef("%s: owner: %w", c.Path, err)
	}
	if o.Key, err = e.agentKey(c); err != nil {
		return o, err
	}
	if o.Identities, err = keyring.ReadMetadata(c.KeyPath(config.MetadataKey, e.getenv)); err != nil {
		return o, fmt.Errorf("agent's metadata key: %w", err)
	}
	return o, nil
}

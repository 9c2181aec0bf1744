package main

import (
	"farshore/agent"
	"farshore/agent/vault"
	"farshore/crypto/sign"
)

// standing refuses to write where the owner's newest statement does not name this agent's key, and says what to do.
func (e *env) standing(s *agent.Session, key sign.PrivateKey) error {
	err := vault.Standing(s.Vault.Statement(), key.ID(), e.now())
	if err == nil {
		return nil
	}
	f := &failure{exit: exitFailed, code: "not-named", err: err}
	return f.with("nothing was written. An agent that init --join has just made writes once the owner's statement that names it is placed: `farshore vault agent add --request join.request` drafts it. " +
		"One that was ended or revoked stays so: `farshore vault show` says since when, and `farshore init --join` makes another")
}

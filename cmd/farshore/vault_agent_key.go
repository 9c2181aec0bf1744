package main

import (
	"context"
	"errors"
	"io/fs"

	"github.com/spf13/cobra"

	"farshore/agent/vault"
	"farshore/crypto/keyring"
	"farshore/crypto/sign"
)

func vaultAgentKeyCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key FILE",
		Short: "Make the signing key of an auditor",
		Long: `Make the signing key of an auditor, on the machine that will verify: a new file that only you can read, and the public key to give to the owner. It signs
reports and nothing else, and opens nothing. It counts once a statement of the owner's names it.

Exit codes: 0 done, 1 failed, 2 usage or configuration.`,
		Example: "  farshore vault agent key auditor.key",
		Args:    arguments(1, 1, "the FILE to make"),
	}
	return e.does(cmd, func(_ context.Context, args []string) (result, error) { return makeAuditorKey(args[0]) })
}

// auditorKeyResult is the result of vault agent key.
type auditorKeyResult struct {
	File string `json:"file"`
	// Key is the public key, KeyID what names below reports/ have of it, and Fingerprint what to compare by voice.
	Key         string `json:"key"`
	KeyID       string `json:"key_id"`
	Fingerprint string `json:"fingerprint"`
}

func (r auditorKeyResult) text(p *printer) {
	p.line("wrote %s: the signing key of an auditor; keep it on this machine", r.File)
	p.line("  public key   %s", r.Key)
	p.line("  fingerprint  %s", r.Fingerprint)
	p.line("the owner names it with `farshore vault agent add --role auditor --key %s`, and what it signs counts from then on", r.Key)
}

// makeAuditorKey makes the key.
func makeAuditorKey(path string) (result, error) {
	k, err := sign.Generate()
	if err != nil {
		return nil, err
	}
	err = keyring.WriteAuditorKey(path, k)
	if errors.Is(err, fs.ErrExist) {
		return nil, usagef("%s exists already", path).with("name a new file: a key is never replaced")
	}
	if err != nil {
		return nil, err
	}
	key := k.Public().String()
	return auditorKeyResult{File: path, Key: key, KeyID: k.ID(), Fingerprint: vault.Fingerprint(key, "")}, nil
}

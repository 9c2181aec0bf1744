package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"farshore/agent/config"
	"farshore/agent/vault"
	"farshore/crypto/seal"
	"farshore/providers"
)

// storeCodes are the codes of a store's failures.
var storeCodes = map[providers.Kind]string{
	providers.NotFound:        "not-found",
	providers.Exists:          "exists",
	providers.Denied:          "denied",
	providers.Unauthenticated: "unauthenticated",
	providers.Throttled:       "throttled",
	providers.Temporary:       "temporary",
	providers.Corrupt:         "corrupt",
	providers.Full:            "full",
	providers.Unsupported:     "unsupported",
}

// storeHints say what to do about a store's failures.
var storeHints = map[providers.Kind]string{
	providers.Denied:          "the credential is known and may not do this: compare its policy with what the command needs (reading, or creating new objects)",
	providers.Unauthenticated: "no credential, or a wrong or expired one: S3 takes AWS_PROFILE, AWS_ACCESS_KEY_ID or ?profile=; gs takes `gcloud auth application-default login`; rclone takes rclone.conf",
	providers.Throttled:       "the store asks to slow down: set limits.requests in the configuration, or try again later",
	providers.Temporary:       "the network or the store failed for longer than the retries lasted: try again, what is stored is not sent again",
	providers.Full:            "make room or raise the quota, then run the command again: it resumes",
}

// codesOf returns the exit code and the code of an error that is no failure yet.
func codesOf(err error) (exit int, code string) {
	var (
		problems *config.Problems
		none     *config.NotFound
		damage   *vault.DamageError
		noVault  *vault.NoVaultError
		store    *providers.Error
	)
	switch {
	case errors.As(err, &problems), errors.As(err, &none):
		return exitUsage, codeConfig
	case errors.As(err, &damage), errors.Is(err, seal.ErrDamaged):
		return exitDamage, codeDamage
	case errors.Is(err, vault.ErrLocked), errors.Is(err, seal.ErrWrongKey):
		return exitFailed, "locked"
	case errors.As(err, &noVault):
		return exitFailed, "no-vault"
	case errors.Is(err, context.DeadlineExceeded):
		return exitFailed, "timeout"
	case errors.As(err, &store) && storeCodes[store.Kind] != "":
		return exitFailed, storeCodes[store.Kind]
	}
	return exitFailed, codeFailed
}

// hint says what to do about an error, "" where the error says it all.
func hint(err error) string {
	var (
		none    *config.NotFound
		noVault *vault.NoVaultError
		store   *providers.Error
	)
	switch {
	case errors.As(err, &none):
		return "name one with --config FILE, or make one with `farshore init`; to read a vault, --vault URL and --identity FILE are enough"
	case errors.As(err, &noVault):
		return "compare the address with the vault's in RECOVERY.md; `farshore init` makes a new vault"
	case errors.Is(err, vault.ErrLocked), errors.Is(err, seal.ErrWrongKey):
		return "name the key with --identity FILE: recovery.key from the recovery kit opens everything"
	case errors.Is(err, fs.ErrPermission) && strings.Contains(err.Error(), "configuration"):
		return "the configuration holds no secret: chmod a+r makes it readable"
	case errors.As(err, &store):
		return storeHints[store.Kind]
	}
	return ""
}

// report tells people how the command failed.
func (e *env) report(f *failure) {
	if text := f.Error(); text != "" {
		fmt.Fprintln(e.stderr, e.paint(red, "farshore:"), text)
	}
	if f.hint != "" {
		fmt.Fprintln(e.stderr, e.paint(cyan, "hint:"), f.hint)
	}
}

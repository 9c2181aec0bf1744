package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	awsconfig "github.com/aws/aws-sdk-go-v2/config"

	"farshore/agent"
	"farshore/agent/audit"
	"farshore/agent/config"
	"farshore/agent/record"
	"farshore/agent/sidefile"
	"farshore/agent/source"
	"farshore/agent/source/bucket"
	"farshore/agent/vault"
	"farshore/crypto/seal"
	"farshore/providers"
	"farshore/providers/s3/s3client"
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
	providers.Denied:          "the credential is known and may not do this. `farshore policy` prints what each role needs: writer to replicate, auditor to verify, restorer to restore, owner to place statements",
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
		bad      *source.Unreadable
	)
	switch {
	case errors.As(err, &problems), errors.As(err, &none):
		return exitUsage, codeConfig
	case errors.Is(err, agent.ErrAccept):
		return exitUsage, codeUsage
	case errors.Is(err, agent.ErrRecipients), errors.Is(err, vault.ErrLockShort):
		return exitUsage, codeConfig
	case errors.As(err, &damage), errors.Is(err, seal.ErrDamaged):
		return exitDamage, codeDamage
	case errors.Is(err, vault.ErrForeignCommit), errors.Is(err, vault.ErrRolledBack):
		return exitDamage, "chain"
	case errors.Is(err, agent.ErrLocked):
		return exitFailed, "busy"
	case errors.Is(err, s3client.ErrCredentials), noProfile(err):
		return exitFailed, storeCodes[providers.Unauthenticated]
	case errors.Is(err, vault.ErrLocked), errors.Is(err, seal.ErrWrongKey):
		return exitFailed, "locked"
	case errors.As(err, &noVault):
		return exitFailed, "no-vault"
	case errors.Is(err, context.DeadlineExceeded):
		return exitFailed, "timeout"
	case errors.As(err, &store) && storeCodes[store.Kind] != "":
		return exitFailed, storeCodes[store.Kind]
	case errors.Is(err, bucket.ErrCredential):
		return exitFailed, storeCodes[providers.Unauthenticated]
	case errors.Is(err, bucket.ErrNoBucket):
		return exitFailed, storeCodes[providers.NotFound]
	case errors.Is(err, bucket.ErrDenied), errors.As(err, &bad) && bad.Reason == record.ReasonDenied:
		return exitFailed, storeCodes[providers.Denied]
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
	case errors.Is(err, agent.ErrRecipients):
		return "compare with the recovery kit before you change anything: whoever the statement names can read what is stored from now on. If the owner changed the recipients, put them into `recipients:` of the configuration"
	case errors.Is(err, agent.ErrAccept):
		return "`farshore snapshots` lists the snapshots with their marks: --accept-change takes the number of one that is complete and suspicious. Nothing was committed"
	case errors.Is(err, vault.ErrLockShort):
		return "set min_lock_left in the configuration to less than the bucket's default retention (a third of it, say), or lengthen that retention; without binding locks, remove min_lock_left"
	case errors.Is(err, vault.ErrLockUnread):
		return "let the credential read locks (S3: s3:GetObjectRetention on the vault's objects; `farshore policy --role writer` prints it), or remove min_lock_left from the configuration. Nothing was committed"
	case errors.Is(err, vault.ErrForeignCommit):
		return "two machines with the same agent's key, or somebody who has it: stop both, look at `farshore snapshots`, and if the key may be stolen have the owner revoke it. Nothing was written"
	case errors.Is(err, vault.ErrRolledBack):
		return "commits that were there are gone or replaced: run `farshore verify`, ask the provider for deleted versions, and do not remove the local state, which remembers what was there"
	case errors.Is(err, agent.ErrLocked):
		return "wait until it has ended. Where it is the daemon (`farshore status`), `farshore trigger SOURCE` has it make the pass now; one that was begun by hand may be interrupted: it commits what is whole, and the next run goes on from there"
	case errors.Is(err, sidefile.ErrForeign):
		return "where it is the service's, `farshore trigger SOURCE` has the service make the pass, with --accept-change too; else run this as that user (sudo -u USER)"
	case noProfile(err):
		return "AWS_PROFILE, or ?profile= in the address, names a profile that the AWS configuration (~/.aws, or AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE) does not have"
	case errors.Is(err, s3client.ErrCredentials), errors.Is(err, bucket.ErrCredential):
		return storeHints[providers.Unauthenticated]
	case errors.Is(err, bucket.ErrDenied):
		return "the source's credential is known and may not do this: it needs s3:ListBucket on the bucket and s3:GetObject on its objects, and nothing that writes"
	case errors.Is(err, bucket.ErrNoBucket):
		return "compare the address in the configuration (`farshore config show`) with the store: name, endpoint and region; what was captured before stays restorable"
	case errors.As(err, &noVault):
		return "compare the address with the vault's in RECOVERY.md; `farshore init` makes a new vault"
	case errors.Is(err, vault.ErrLocked), errors.Is(err, seal.ErrWrongKey):
		return "name the key with --identity FILE: recovery.key from the recovery kit opens everything"
	case errors.Is(err, fs.ErrPermission) && strings.Contains(err.Error(), "configuration"):
		return "the configuration holds no secret: chmod a+r makes it readable"
	case errors.As(err, &store):
		return storeHints[store.Kind]
	case errors.Is(err, syscall.ENOSPC):
		return "make room on that disk; verify and report check take another directory for what does not fit into memory, with --scratch"
	case errors.Is(err, audit.ErrClock):
		return "`farshore report` shows the report that is ahead; --key signs as another, and --no-report leaves none"
	}
	return repositoryHint(err)
}

// noProfile reports whether an AWS profile was named that there is not.
func noProfile(err error) bool {
	var none awsconfig.SharedConfigProfileNotExistError
	return errors.As(err, &none)
}

// report tells people how the command failed.
func (e *env) report(f *failure) {
	if text := f.Error(); text != "" {
		fmt.Fprintln(e.stderr, e.paint(red, "farshore:"), shown(text))
	}
	if f.hint != "" {
		fmt.Fprintln(e.stderr, e.paint(cyan, "hint:"), shown(f.hint))
	}
}

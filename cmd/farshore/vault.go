package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"farshore/agent/vault"
)

// vaultCommand is the group of commands about the owner's statements.
func vaultCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "vault",
		Short: "Show the owner's statements, and draft, sign and place the next one",
		Long: `The owner's statements say who may add to the vault and to whom it is sealed. A change takes three steps: a draft, made where the
vault can be read; the owner's signature, on a machine that is never online; and placing it, with a credential that may create
below vault/, which the agent's own must not have.

Exit codes: 0 done, 1 failed, 2 usage or configuration, 4 damage or tampering.`,
		Example: "  farshore vault show\n  farshore vault agent add --request join.request --sources shop\n  farshore vault sign --owner owner.key 00000002.draft",
	}
	group(cmd)
	cmd.AddCommand(vaultShowCommand(e), vaultAgentCommand(e), vaultRecipientCommand(e), vaultUpgradeCommand(e), vaultSignCommand(e), vaultPlaceCommand(e))
	return cmd
}

// changeResult is a change of a statement as commands tell it.
type changeResult = vault.Change

// printChanges prints what a statement changes, and below each line what follows from it that must not be missed.
func printChanges(line func(format string, args ...any), changes []changeResult) {
	if len(changes) == 0 {
		line("  nothing but its number, time and note")
	}
	for _, c := range changes {
		line("  - %s", clean(c.Text))
		if c.Danger != "" {
			line("    WARNING: %s", clean(c.Danger))
		}
	}
}

// shortRecipient names a recipient by its beginning: post-quantum ones have two thousand characters.
func shortRecipient(r string) string {
	const head = 24
	if len(r) <= head {
		return clean(r)
	}
	return clean(r[:head]) + "…"
}

// readSmall reads a file of at most so many bytes, and refuses what is no regular file.
func readSmall(what, path string, most int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, usagef("%s: %w", what, err)
	}
	if !info.Mode().IsRegular() {
		return nil, usagef("%s: %s is no regular file", what, path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, usagef("%s: %w", what, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	if int64(len(b)) > most {
		return nil, usagef("%s: %s has more than %s: this is another kind of file", what, path, formatBytes(most))
	}
	return b, nil
}

// writeNew writes a new file, or leaves it where it holds the same already.
func writeNew(path string, content []byte) error {
	err := createFile(path, string(content))
	if !errors.Is(err, os.ErrExist) {
		return err
	}
	if there, rerr := os.ReadFile(path); rerr == nil && string(there) == string(content) {
		return nil
	}
	return usagef("%s exists already, and is left as it is", path).with("name another file with --out")
}

// shellWord writes a word so that a shell takes it as it is.
func shellWord(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:,@%+=") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

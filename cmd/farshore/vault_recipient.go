package main

import (
	"context"

	"github.com/spf13/cobra"

	"farshore/agent/vault"
)

// vaultRecipientCommand is the group of commands about whom the vault is sealed to.
func vaultRecipientCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "recipient",
		Short:   "Draft a statement that adds or retires a recovery recipient",
		Long:    "Draft a statement that adds or retires a recovery recipient: one whose identity can restore.\n\nExit codes: 0 done, 1 failed, 2 usage or configuration, 4 damage or tampering.",
		Example: "  farshore vault recipient add age1pq1…\n  farshore vault recipient retire age1pq1…",
	}
	group(cmd)
	cmd.AddCommand(
		recipientCommand(e, &cobra.Command{
			Use:   "add RECIPIENT",
			Short: "Draft a statement that adds a recovery recipient",
			Long: `Draft a statement that adds a recovery recipient, of the class of those there are. Whoever holds its identity can read everything that is
stored from then on. What is stored already is not sealed to it, and is read with the old ones: keep those.

Exit codes: 0 done, 1 failed, 2 usage or configuration, 4 damage.`,
			Example: "  farshore vault recipient add age1pq1…",
		}, vault.AddRecovery),
		recipientCommand(e, &cobra.Command{
			Use:   "retire RECIPIENT",
			Short: "Draft a statement that retires a recovery recipient",
			Long: `Draft a statement that retires a recovery recipient, which may be named by its beginning, as ` + "`farshore vault show`" + ` prints it. At least one
stays. What is stored already stays sealed to it: its identity is still needed to restore older snapshots where it was the only one,
and whoever has it can still read them.

Exit codes: 0 done, 1 failed, 2 usage or configuration, 4 damage.`,
			Example: "  farshore vault recipient retire age1pq1…",
		}, vault.RetireRecovery),
	)
	return cmd
}

// recipientCommand makes a command that drafts an edit about one recipient.
func recipientCommand(e *env, cmd *cobra.Command, edit func(string) vault.Edit) *cobra.Command {
	var o draftOptions
	cmd.Args = arguments(1, 1, "RECIPIENT")
	o.flags(cmd)
	return e.does(cmd, func(ctx context.Context, args []string) (result, error) {
		return e.draft(ctx, o, func(context.Context, *vault.Vault) (vault.Edit, error) { return edit(args[0]), nil })
	})
}

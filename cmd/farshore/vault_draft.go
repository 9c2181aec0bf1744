package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"farshore/agent/record"
	"farshore/agent/vault"
)

// draftOptions are what every command that makes a draft was asked for.
type draftOptions struct{ out, note string }

func (o *draftOptions) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.out, "out", "", "`FILE` to write the draft to (default: ./NNNNNNNN.draft, the statement's number)")
	cmd.Flags().StringVar(&o.note, "note", "", "`TEXT` that the statement carries, for anyone who can read the store")
}

// maxNote is the number of bytes that a note has at most.
const maxNote = 500

// draftResult is the result of every command that makes a draft. Without a draft there was nothing to do.
type draftResult struct {
	VaultID string         `json:"vault_id"`
	Number  int64          `json:"number,omitempty"`
	Draft   string         `json:"draft,omitempty"`
	Changes []changeResult `json:"changes,omitempty"`
	// Losses are the commits that no longer count once the statement stands.
	Losses []lossResult `json:"losses,omitempty"`
	// Fingerprint is that of the agent that the draft adds.
	Fingerprint string `json:"fingerprint,omitempty"`
	Nothing     string `json:"nothing,omitempty"`
}

// lossResult says how many commits of a chain a statement takes out of force.
type lossResult struct {
	Chain   string `json:"chain"`
	Source  string `json:"source,omitempty"`
	Commits int64  `json:"commits"`
	First   int64  `json:"first"`
}

func (r draftResult) text(p *printer) {
	if r.Nothing != "" {
		p.line("%s", r.Nothing)
		return
	}
	p.line("The draft of statement %d of vault %s is in %s. It", r.Number, r.VaultID, r.Draft)
	printChanges(p.line, r.Changes)
	for _, l := range r.Losses {
		p.line("  - takes %s out of force, of %s from number %d on", plural(l.Commits, "commit"), joined("chain "+l.Chain, l.Source), l.First)
	}
	p.line("")
	p.line("Next, where owner.key is: farshore vault sign --owner owner.key %s", shellWord(r.Draft))
	p.line("It shows there once more what changes, computed from the statements themselves.")
}

// maker finds out what a draft shall change, in the open vault. Its errors are of what the command was asked for.
type maker func(ctx context.Context, v *vault.Vault) (vault.Edit, error)

// draft makes a draft and writes it.
func (e *env) draft(ctx context.Context, o draftOptions, make maker) (result, error) {
	a, err := e.access()
	if err != nil {
		return nil, err
	}
	if len(o.note) > maxNote || clean(o.note) != o.note || !utf8.ValidString(o.note) {
		return nil, usagef("--note: at most %d bytes of printable characters", maxNote)
	}
	var r *draftResult
	err = e.withVault(ctx, a, func(v *vault.Vault) error {
		edit, err := make(ctx, v)
		if err != nil {
			return err
		}
		d, err := v.Draft(ctx, e.now(), o.note, asked(edit))
		if errors.Is(err, vault.ErrNothing) {
			r = &draftResult{VaultID: v.ID(), Nothing: err.Error()}
			return nil
		}
		if err != nil {
			return err
		}
		r, err = e.finishDraft(ctx, v, d, o.out)
		return err
	})
	if err != nil {
		return nil, err
	}
	return *r, nil
}

// asked makes an edit's refusals those of how the command was called.
func asked(edit vault.Edit) vault.Edit {
	return func(st *record.Statement) error {
		err := edit(st)
		if err == nil || errors.Is(err, vault.ErrNothing) {
			return err
		}
		return usagef("%w", err).with("`farshore vault show` lists keys, recipients and chains")
	}
}

// finishDraft writes the draft and says what it does.
func (e *env) finishDraft(ctx context.Context, v *vault.Vault, d *vault.Draft, out string) (*draftResult, error) {
	data, err := d.Encode()
	if err != nil {
		return nil, err
	}
	r := &draftResult{VaultID: v.ID(), Number: d.Next.N, Draft: or(out, fmt.Sprintf("%08d.draft", d.Next.N)), Changes: vault.Changes(v.Statement(), d.Next)}
	if takesOut(v.Statement(), d.Next) {
		chains, err := v.Chains(ctx)
		if err != nil {
			return nil, err
		}
		for _, l := range v.Losses(chains, d.Next) {
			r.Losses = append(r.Losses, lossResult(l))
		}
	}
	return r, writeNew(r.Draft, data)
}

// takesOut reports whether a statement may take commits out of force: it revokes, or ends a key.
func takesOut(prev, next *record.Statement) bool {
	return len(next.Revoked) > len(prev.Revoked) || slices.ContainsFunc(prev.Signers, func(s record.Signer) bool {
		now := next.Signer(s.ID)
		return now == nil || !now.Until.Equal(s.Until)
	})
}

// vaultUpgradeCommand drafts a newer format.
func vaultUpgradeCommand(e *env) *cobra.Command {
	var o draftOptions
	cmd := &cobra.Command{
		Use:   "upgrade",
		Short: "Draft a statement that raises the vault's format to what this program writes",
		Long: `Draft a statement that raises the format that writers write to the one that this program writes. Where it is that already, there is nothing
to do. Upgrade the program on every agent's host, and wherever you would restore, before the statement is placed: older ones stop.

Exit codes: 0 done, or nothing to do, 1 failed, 2 usage or configuration, 4 damage.`,
		Example: "  farshore vault upgrade",
		Args:    arguments(0, 0, ""),
	}
	o.flags(cmd)
	return e.does(cmd, func(ctx context.Context, args []string) (result, error) {
		return e.draft(ctx, o, func(context.Context, *vault.Vault) (vault.Edit, error) { return vault.Upgrade(vault.WritesFormat), nil })
	})
}

package main

import (
	"context"
	"errors"
	"slices"

	"github.com/spf13/cobra"

	"farshore/agent/record"
	"farshore/agent/vault"
	"farshore/providers"
)

func vaultPlaceCommand(e *env) *cobra.Command {
	return e.does(&cobra.Command{
		Use:   "place FILE",
		Short: "Put a statement that the owner signed into the vault",
		Long: `Put a signed statement into the vault, where it is in force at once. It must be signed by the owner that the configuration, --owner-pub or the
recovery key names, and follow the vault's newest statement. One that is there already is left as it is.

The store's credential must be allowed to create below vault/. That of the agent must not be: use another one for this, for example
with AWS_PROFILE. It says what to change in the agents' configurations afterwards.

Exit codes: 0 done, 1 failed, 2 usage or configuration, or it is not a statement to place here, 4 damage or tampering.`,
		Example: "  farshore vault place 00000002-8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4",
		Args:    arguments(1, 1, "FILE"),
	}, func(ctx context.Context, args []string) (result, error) { return runPlace(ctx, e, args[0]) })
}

// placeResult is the result of vault place.
type placeResult struct {
	VaultID string         `json:"vault_id"`
	Number  int64          `json:"number"`
	Name    string         `json:"name"`
	Already bool           `json:"already"`
	Changes []changeResult `json:"changes"`
	// Recipients are those that each agent's configuration must name now, where the statement changed them.
	Recipients []string `json:"recipients,omitempty"`
}

func (r placeResult) text(p *printer) {
	did := "is placed"
	if r.Already {
		did = "was placed before"
	}
	p.line("Statement %d of vault %s %s: %s", r.Number, r.VaultID, did, r.Name)
	for _, c := range r.Changes {
		p.line("  - %s", clean(c.Text))
	}
	if len(r.Recipients) == 0 {
		return
	}
	p.line("")
	p.line("Agents refuse to write until their configuration (farshore.yaml) names the recovery recipients that the owner signed. Put these lines in place of its own:")
	p.line("")
	p.line("recipients:")
	for _, x := range r.Recipients {
		p.line("  - %s", x)
	}
}

// runPlace checks a signed statement and stores it.
func runPlace(ctx context.Context, e *env, file string) (result, error) {
	a, err := e.access()
	if err != nil {
		return nil, err
	}
	if a.owner == nil {
		return nil, usagef("vault place needs the owner's key: the vault's own word for who its owner is proves nothing").with("give --owner-pub, a configuration, or the recovery key with its comments")
	}
	stored, err := readSmall("the statement", file, providers.MaxObject)
	if err != nil {
		return nil, err
	}
	if _, err := vault.DecodeDraft(stored); err == nil {
		return nil, usagef("%s is a draft, which the owner has not signed yet", file).
			with("sign it where owner.key is (`farshore vault sign --owner owner.key DRAFT`), and place the file which that writes")
	}
	var r *placeResult
	err = e.withVault(ctx, a, func(v *vault.Vault) error {
		if _, err := v.CheckPlace(stored); err != nil {
			return notToPlace(file, err)
		}
		p, err := v.Place(ctx, stored)
		if err != nil {
			return placeFailed(err)
		}
		r = placeOf(v, p)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return *r, nil
}

func notToPlace(file string, err error) error {
	f := usagef("%s: %w", file, err)
	if errors.Is(err, vault.ErrMovedOn) {
		f.code = "moved-on"
		return f.with("destroy this one, make a new draft from the vault as it is now, and sign that")
	}
	return f.with("`farshore vault show` says which statement is the newest, and whose")
}

// placeFailed adds to a refusal of the store what placing needs.
func placeFailed(err error) error {
	f := classify(context.Background(), err)
	if k := providers.KindOf(err); k == providers.Denied || k == providers.Unauthenticated {
		return f.with("the statement was not placed. It takes a credential that may create below vault/, which the agent's must not: name another one, with AWS_PROFILE for example, for this command alone")
	}
	return err
}

func placeOf(v *vault.Vault, p *vault.Placed) *placeResult {
	r := &placeResult{VaultID: v.ID(), Number: p.N, Name: p.Name, Already: p.Already, Changes: vault.Changes(p.Before, p.Statement)}
	now := recoveryOf(p.Statement)
	if p.Before != nil && !slices.Equal(slices.Sorted(slices.Values(now)), slices.Sorted(slices.Values(recoveryOf(p.Before)))) {
		r.Recipients = now
	}
	return r
}

// recoveryOf returns a statement's recovery recipients.
func recoveryOf(st *record.Statement) []string {
	var out []string
	for _, r := range st.Recipients {
		if r.Role == record.RoleRecovery {
			out = append(out, r.Recipient)
		}
	}
	return out
}

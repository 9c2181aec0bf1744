package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"farshore/agent/report"
	"farshore/agent/vault"
)

// drillCommand is the group of commands that try whether what is stored can be opened.
func drillCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "drill",
		Short: "Try whether the recovery key opens what is stored",
		Long: `Try, before the worst day, whether the recovery key opens what is stored.

Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 finished but incomplete or not provable, 4 damage or tampering.`,
		Example: "  farshore drill header --vault gs://offsite/vault --identity recovery.key --owner owner.key",
	}
	group(cmd)
	cmd.AddCommand(drillHeaderCommand(e), drillPlaceCommand(e))
	return cmd
}

func drillPlaceCommand(e *env) *cobra.Command {
	return e.reads(&cobra.Command{
		Use:   "place FILE",
		Short: "Put the signed report of a drill into the vault",
		Long: `Put the report that drill header --owner --out wrote into the vault, below reports/, with a credential that may create there. No key
is needed. Nothing that is there is replaced; a report that is there already is left as it is, which is no error.

Exit codes: 0 done, 1 failed, 2 usage or configuration, 4 damage or tampering.`,
		Example: "  farshore drill place drill.report --vault gs://offsite/vault",
		Args:    arguments(1, 1, "FILE"),
	}, func(ctx context.Context, args []string) (result, error) {
		stored, err := readSmall("report", args[0], report.MaxSize)
		if err != nil {
			return nil, err
		}
		a, err := e.access()
		if err != nil {
			return nil, err
		}
		return runDrillPlace(ctx, e, a, stored)
	})
}

// drillPlaceResult is the result of drill place.
type drillPlaceResult struct {
	VaultID string `json:"vault_id"`
	// Existed is true where the report was there already.
	Existed bool         `json:"existed"`
	Drill   *drillRecord `json:"header_drill"`
	Notices []string     `json:"notices,omitempty"`
}

func (r *drillPlaceResult) text(p *printer) {
	verb := "placed as"
	if r.Existed {
		verb = "is there already as"
	}
	p.line("the report %s %s in vault %s", verb, r.Drill.Report, r.VaultID)
	p.line("%s", reported{Drill: r.Drill}.line())
}

// runDrillPlace places a signed report.
func runDrillPlace(ctx context.Context, e *env, a *access, stored []byte) (result, error) {
	var r *drillPlaceResult
	err := e.withVault(ctx, a, func(v *vault.Vault) error {
		rep, err := report.Open(v, stored)
		if err != nil {
			return usagef("the file is no report that can be placed in this vault: %w", err).with("it is what `farshore drill header --owner FILE --out FILE` writes; a result without a signature is not placed")
		}
		if rep.Drill == nil {
			return usagef("the file is a report of type %q, not of a header drill", rep.Kind)
		}
		name, existed, err := report.PlaceSigned(ctx, v, stored)
		if errors.Is(err, report.ErrOutdated) {
			return usagef("not placed: %w", err).with("reports of one key form a chain: drill again, and sign anew")
		}
		if err != nil {
			return fmt.Errorf("place the report: %w", err)
		}
		rep.Name = name
		r = &drillPlaceResult{VaultID: v.ID(), Existed: existed, Drill: recordOf(rep), Notices: e.sightings(v)}
		return nil
	})
	if r == nil {
		return nil, err
	}
	return r, err
}

package audit

import (
	"context"

	"farshore/agent/report"
	"farshore/agent/vault"
)

// LeaveDrill puts a drill that has ended, a whole snapshot restored elsewhere, into a report and stores it where there is a key. Nothing is read for it but what the vault
// should hold: it says nothing of objects, and neither has a ledger nor changes the signer's. The error is of what could not be read, or of the report that could not be stored; the
// result is given with the latter.
func LeaveDrill(ctx context.Context, v *vault.Vault, d report.Drill, o Options) (*Result, error) {
	r, err := begin(ctx, v, o, report.ModeDrill)
	if err != nil {
		return nil, err
	}
	defer r.close()
	r.a.Drill = &d
	r.a.Budget = report.Budget{}
	if d.Failed > 0 {
		r.notes.note(vault.Damage, "commits/"+d.Chain, "%d items of the snapshot could not be restored", d.Failed)
	}
	return r.finish(ctx, nil)
}

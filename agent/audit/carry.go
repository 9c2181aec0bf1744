package audit

import (
	"slices"
	"sort"

	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/agent/vault"
)

// carried is what of the ledger of the signer's last audit still holds at the statement and heads of another. It says of each chain up to which commit its objects were verified, and
// that is of the commits which counted then. So it forgets a chain that has other commits now under the numbers of then, or has them no more: what others name was not read. And of
// a chain with a commit that was revoked then and counts again it forgets what lies from there on: what only that commit names was left out. Everything is forgotten
// where the statement of then is not known. It hangs on what is stored and signed alone, so that whoever checks the audit comes to the same.
func carried(v *vault.Vault, last *report.Audit, chains []*vault.Chain, statement int64, heads []report.Head) report.Ledger {
	ledger := ledgerOf(last)
	if len(ledger.Positions) == 0 {
		return report.Ledger{}
	}
	then, now := statementOf(v, last.Statement), statementOf(v, statement)
	if then == nil || now == nil {
		return report.Ledger{}
	}
	keep := limits(last.Heads, heads, chains, lifted(then, now))
	whole := func(c report.ChainPosition) bool { return c.Seq <= keep[c.Chain] }
	if !slices.ContainsFunc(ledger.Positions, func(p report.Position) bool { return !all(p, whole) }) {
		return ledger
	}
	before := ledger.Positions
	ledger.Positions = make([]report.Position, len(before))
	for i, p := range before {
		for _, c := range p {
			if c.Seq = min(c.Seq, keep[c.Chain]); c.Seq > 0 {
				ledger.Positions[i] = append(ledger.Positions[i], c)
			}
		}
	}
	return ledger
}

// ledger is what the run's own ledger begins with.
func (r *run) ledger() report.Ledger {
	return carried(r.v, r.last, r.chains, r.a.Statement, r.a.Heads)
}

// before is what the ledger of the audit that is checked began with.
func (c *checker) before() report.Ledger {
	return carried(c.v, c.last, c.chains, c.a.Statement, c.a.Heads)
}

func all(p report.Position, fn func(report.ChainPosition) bool) bool {
	return !slices.ContainsFunc(p, func(c report.ChainPosition) bool { return !fn(c) })
}

// limits returns by chain up to which commit what was known of it holds; 0, or nothing, for none. then and heads are ascending by chain.
func limits(then, heads []report.Head, chains []*vault.Chain, lifted map[record.Hash]bool) map[string]int64 {
	out := map[string]int64{}
	for _, c := range chains {
		was, old := headOf(then, c.ID)
		is, new := headOf(heads, c.ID)
		if !old || !new || was.Seq > is.Seq || was.Seq > int64(len(c.Commits)) || c.Commits[was.Seq-1].Hash != was.Hash {
			continue
		}
		// A commit names the hash of the one before it: up to the head of then they are those of then.
		out[c.ID] = was.Seq
		if i := slices.IndexFunc(c.Commits[:was.Seq], func(k *vault.Commit) bool { return lifted[k.Hash] }); i >= 0 {
			out[c.ID] = int64(i)
		}
	}
	return out
}

func headOf(heads []report.Head, chain string) (report.Head, bool) {
	i, ok := sort.Find(len(heads), func(i int) int {
		switch {
		case chain < heads[i].Chain:
			return -1
		case chain > heads[i].Chain:
			return 1
		}
		return 0
	})
	if !ok {
		return report.Head{}, false
	}
	return heads[i], true
}

// statementOf is the owner's statement with that number, nil where it is not known.
func statementOf(v *vault.Vault, n int64) *record.Statement {
	for _, st := range v.Statements() {
		if st.Statement.N == n {
			return st.Statement
		}
	}
	return nil
}

// lifted are the commits that one statement revokes alone, and another does not.
func lifted(then, now *record.Statement) map[record.Hash]bool {
	out := map[record.Hash]bool{}
	for _, r := range then.Revoked {
		if r.Commit != nil {
			out[*r.Commit] = true
		}
	}
	for _, r := range now.Revoked {
		if r.Commit != nil {
			delete(out, *r.Commit)
		}
	}
	return out
}

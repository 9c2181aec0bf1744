package audit

import (
	"farshore/agent/report"
	"farshore/agent/vault"
)

// stated holds to the commits up to the heads what these state of items, and of what was read back when they were written.
func (c *checker) stated() {
	chains := upTo(c.chains, c.a.Heads)
	items, bytes := itemsOf(chains)
	c.same("how many items, of how many bytes, the newest complete snapshots hold", []int64{c.a.Population.Items, c.a.Population.ItemBytes}, []int64{items, bytes})
	c.same("what the commits say that was read back when they were written", c.a.Written, written(chains))
}

// upTo are the chains as they were at the heads.
func upTo(chains []*vault.Chain, heads []report.Head) (out []*vault.Chain) {
	seqs := headsOf(heads)
	for _, x := range chains {
		was := vault.Chain{ID: x.ID}
		for _, k := range x.Commits {
			if k.Seq <= seqs[x.ID] {
				was.Commits = append(was.Commits, k)
			}
		}
		out = append(out, &was)
	}
	return out
}

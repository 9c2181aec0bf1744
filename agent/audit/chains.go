package audit

import (
	"cmp"
	"slices"

	"farshore/agent/report"
	"farshore/agent/vault"
)

// maxChains is how many chains with commits an audit is about. Whoever has an agent's key can begin any number of them, and that must not keep the others from being audited.
var maxChains = report.MaxHeads

// listed leaves out the chains beyond as many as an audit is about, and says how many these are. Those that the signer's last audit knew come first, and then those that were begun
// first: who wants to displace others comes last, or has to have come before them.
func listed(chains []*vault.Chain, last *report.Audit) (kept []*vault.Chain, left int64) {
	var headed []*vault.Chain
	for _, c := range chains {
		if c.Head() != nil {
			headed = append(headed, c)
		}
	}
	if len(headed) <= maxChains {
		return chains, 0
	}
	known := map[string]bool{}
	if last != nil {
		for _, h := range last.Heads {
			known[h.Chain] = true
		}
	}
	slices.SortStableFunc(headed, func(a, b *vault.Chain) int {
		if known[a.ID] != known[b.ID] {
			if known[a.ID] {
				return -1
			}
			return 1
		}
		return cmp.Or(a.Commits[0].Time.Compare(b.Commits[0].Time), cmp.Compare(a.ID, b.ID))
	})
	out := map[*vault.Chain]bool{}
	for _, c := range headed[maxChains:] {
		out[c] = true
	}
	return slices.DeleteFunc(slices.Clone(chains), func(c *vault.Chain) bool { return out[c] }), int64(len(out))
}

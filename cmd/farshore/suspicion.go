package main

import (
	"fmt"
	"strings"

	"farshore/agent/record"
	"farshore/agent/vault"
)

// codeSuspicious is the code of the failure of a pass whose snapshot is marked as suspicious.
const codeSuspicious = "suspicious"

// newestBy returns the newest of the commits that of names for each chain, or nil.
func newestBy(chains []*vault.Chain, of func(*vault.Chain) *vault.Commit) *chosen {
	var best *chosen
	for _, c := range chains {
		if k := of(c); k != nil && (best == nil || k.Time.After(best.commit.Time)) {
			best = &chosen{c, k}
		}
	}
	return best
}

// warnSuspicious says when what is taken is suspicious, and, where nobody said when, which newer snapshots were passed over and how to get them.
func (e *env) warnSuspicious(c *chosen, chains []*vault.Chain, at when) {
	if k := c.commit; len(k.Suspicious) > 0 {
		text := "there is none before it that is not"
		if good := newestBy(chains, (*vault.Chain).NewestGood); good != nil {
			text = "the newest complete one that is not is " + title(good, c.chain)
		}
		e.sight.notice(e, "snapshot %d of %s is SUSPICIOUS: %s; %s", k.Seq, c.chain.Source.Name, strings.Join(k.Suspicious, "; "), text)
	}
	if !at.newest() {
		return
	}
	newest := newestBy(chains, (*vault.Chain).Newest)
	if marked := newestBy(chains, newestMarked); marked != nil && marked.commit.Time.After(c.commit.Time) {
		e.sight.notice(e, "snapshot %s is newer than %d and SUSPICIOUS, so that it was passed over: %s. By its number it can be had all the same", title(marked, c.chain), c.commit.Seq,
			strings.Join(marked.commit.Suspicious, "; "))
	} else if newest != nil && newest.commit.Time.After(c.commit.Time) {
		e.sight.notice(e, "snapshot %s is newer than %d, but incomplete, so that it was passed over. By its number it can be had all the same", title(newest, c.chain), c.commit.Seq)
	}
}

// newestMarked returns the chain's newest snapshot that is suspicious, or nil.
func newestMarked(c *vault.Chain) *vault.Commit {
	for i := len(c.Commits) - 1; i >= 0; i-- {
		if k := c.Number(c.Commits[i].Seq); k != nil && len(k.Suspicious) > 0 {
			return k
		}
	}
	return nil
}

// title is a snapshot's number and time, and its chain where that is another one.
func title(c *chosen, than *vault.Chain) string {
	text := fmt.Sprintf("%d of %s", c.commit.Seq, record.FormatTime(c.commit.Time))
	if c.chain != than {
		text += ", in chain " + c.chain.ID
	}
	return text
}

// verdictOnSuspicion is the failure that a suspicious pass means.
func (r *passResult) verdictOnSuspicion(name string) error {
	if len(r.Suspicious) == 0 {
		return nil
	}
	f := &failure{exit: exitIncomplete, code: codeSuspicious, err: fmt.Errorf("ALARM: snapshot %d looks like an attack on the source: %s", r.Seq, strings.Join(r.Suspicious, "; "))}
	look := fmt.Sprintf("compare `farshore ls %s@%d` with `farshore ls %s@%d`, and look for who did this: take his access away first. Everything up to snapshot %d is untouched, and is what restore takes", name, r.Seq, name, r.Good, r.Good)
	if !r.Complete {
		return f.with("%s. The pass did not reach its end", look)
	}
	return f.with("%s. If the change is meant, `farshore replicate %s --accept-change %d` says so; where the source changes like this all the time, set its thresholds: `tripwire:` in the configuration", look, name, r.Seq)
}

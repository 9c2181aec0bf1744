package tripwire

import "farshore/agent/record"

// Commit is what a history needs of a commit that counts and has a snapshot.
type Commit struct {
	Seq                  int64
	Complete, Suspicious bool
	Counts               record.Counts
}

// Base is the snapshot that a pass is compared with.
type Base struct {
	Seq                      int64
	Items, Bytes, Unreadable int64
}

// History is what a source's commits say that a pass is compared with. The zero value compares with nothing.
type History struct {
	// Base is the last good snapshot, or the one that a person accepted; nil where there is none.
	Base *Base
	// Good is the number of the last good snapshot, and Since that of the first suspicious commit behind it, where the newest is suspicious; else 0.
	Good, Since int64
	// Raw and Stored are bytes of contents that the commits up to Base added, before compression and as stored; NewRaw and NewStored those of the commits behind it.
	Raw, Stored, NewRaw, NewStored int64
}

// Bounds of how far back the ratio of compression is reckoned: so that what a source has become counts, and not only what it once was.
const (
	lookBackRaw     = 1 << 30
	lookBackCommits = 1000
)

// HistoryOf reads the commits of a source, ascending, of which those that do not count are left out, and returns the index of the base as well, -1 for none. accept is the number of a complete
// commit that a person accepts as the base though it is suspicious; 0: none. Where two have the number, it is the later.
func HistoryOf(commits []Commit, accept int64) (h History, base int) {
	good := -1
	base = -1
	for i, c := range commits {
		if c.Complete && !c.Suspicious {
			good = i
		}
		if c.Complete && c.Seq == accept && accept > 0 {
			base = i
		}
	}
	if n := len(commits); n > 0 && commits[n-1].Suspicious {
		for _, c := range commits[good+1:] {
			if c.Suspicious {
				h.Since = c.Seq
				break
			}
		}
	}
	if good >= 0 {
		h.Good = commits[good].Seq
	}
	if base = max(base, good); base < 0 {
		return h, base
	}
	b := commits[base]
	h.Base = &Base{Seq: b.Seq, Items: b.Counts.Items, Bytes: b.Counts.Bytes, Unreadable: b.Counts.Unreadable}
	for _, c := range commits[base+1:] {
		h.NewRaw, h.NewStored = h.NewRaw+c.Counts.Raw, h.NewStored+c.Counts.Stored
	}
	h.past(commits[:base+1])
	return h, base
}

// past sums up what the commits up to the base added, newest first. Those that were suspicious are left out, the base itself excepted, since a person accepted it.
func (h *History) past(commits []Commit) {
	for i := len(commits) - 1; i >= max(0, len(commits)-lookBackCommits) && h.Raw < lookBackRaw; i-- {
		if c := commits[i]; !c.Suspicious || i == len(commits)-1 {
			h.Raw, h.Stored = h.Raw+c.Counts.Raw, h.Stored+c.Counts.Stored
		}
	}
}

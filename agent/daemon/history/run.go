// Package history keeps what the daemon's runs came to, in a bounded file beside the local state: what is missed after a stop, what the status and the page show. Losing
// it costs a pass that comes early, and charts; never data.
package history

import "time"

// Kinds of runs.
const (
	KindPass  = "pass"
	KindProbe = "probe"
	KindAudit = "audit"
)

// Causes of runs.
const (
	CauseSchedule = "schedule"
	CauseMissed   = "missed" // it was due while no daemon ran
	CauseTrigger  = "trigger"
)

// Run is a run that ended, or one that began and whose end was not seen: then Ended is zero.
type Run struct {
	// Job is "pass NAME", "probe" or "verify"; Source is a pass's.
	Job    string `json:"job"`
	Kind   string `json:"kind"`
	Source string `json:"source,omitempty"`
	// Vault is the address of the vault that it was about: what a run says of one vault, it does not say of another.
	Vault string `json:"vault,omitempty"`
	// Cause is why it ran, one of the causes above.
	Cause   string    `json:"cause"`
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended,omitzero"`
	// Exit is the exit code that the command would have ended with, Code and Text how it failed, "" where it did not. Stopped says that the daemon's own end cut it short.
	Exit    int    `json:"exit"`
	Code    string `json:"code,omitempty"`
	Text    string `json:"text,omitempty"`
	Hint    string `json:"hint,omitempty"`
	Stopped bool   `json:"stopped,omitempty"`
	// One of these has its numbers, where there are any.
	Pass  *Pass  `json:"pass,omitempty"`
	Audit *Audit `json:"audit,omitempty"`
	Probe *Probe `json:"probe,omitempty"`
}

// Pass has the numbers of a pass.
type Pass struct {
	Complete   bool     `json:"complete"`
	Suspicious []string `json:"suspicious,omitempty"`
	// Chain, Seq, Hash and At name the newest commit, which is absent where nothing was committed.
	Chain       string    `json:"chain,omitempty"`
	Seq         int64     `json:"seq,omitempty"`
	Hash        string    `json:"hash,omitempty"`
	At          time.Time `json:"at,omitzero"`
	Listed      int64     `json:"listed"`
	New         int64     `json:"new"`
	Changed     int64     `json:"changed"`
	Deleted     int64     `json:"deleted"`
	Unreadable  int64     `json:"unreadable"`
	ReadBytes   int64     `json:"read_bytes"`
	StoredBytes int64     `json:"stored_bytes"`
	// LeftItems and LeftBytes are what was listed to be captured and was not, in a pass that did not reach its end.
	LeftItems int64 `json:"left_items,omitempty"`
	LeftBytes int64 `json:"left_bytes,omitempty"`
}

// Good reports whether the run left a complete snapshot that is not suspicious.
func (r *Run) Good() bool {
	return r.Pass != nil && r.Pass.Complete && r.Pass.Seq > 0 && len(r.Pass.Suspicious) == 0
}

// Audit has the numbers of an audit.
type Audit struct {
	Verdict string `json:"verdict"`
	Line    string `json:"line"`
	// Report is the hash of the report that it left, "" for none.
	Report    string `json:"report,omitempty"`
	ReadBytes int64  `json:"read_bytes"`
	Damaged   int64  `json:"damaged"`
	// Coverage is the share of stored bytes that were verified at some time, from 0 to 1; absent where nothing is stored.
	Coverage *float64 `json:"coverage,omitempty"`
}

// Probe says what is known of the agent's credential.
type Probe struct {
	Required string    `json:"required"`
	Verdict  string    `json:"verdict"`
	Words    string    `json:"words"`
	Expires  time.Time `json:"expires,omitzero"`
}

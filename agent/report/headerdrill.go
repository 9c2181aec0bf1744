package report

import (
	"fmt"
	"slices"
	"time"

	"farshore/agent/record"
)

// TypeHeaderDrill is the type of a HeaderDrill.
const TypeHeaderDrill = "header-drill"

// Bounds of a report. A head takes about 130 bytes, a finding about 200, so that the largest report stays below MaxSize.
const (
	// MaxSize is the most stored bytes that a reader takes for a report.
	MaxSize = 4 << 20
	// MaxHeads is the most heads that a report lists.
	MaxHeads = 16_384
	// MaxFindings is the most findings that a report lists; it counts the others.
	MaxFindings = 1000
	// maxDetail is the most bytes of a finding's detail.
	maxDetail = 1024
)

// What a header drill finds wrong with a pack.
const (
	Missing         = "missing"          // a commit names it, and the store does not have it
	Damaged         = "damaged"          // its first bytes are no whole header of a sealed file, or the header was changed
	WrongKey        = "wrong-key"        // the recovery identity does not open it
	ExtraRecipient  = "extra-recipient"  // somebody else can read it, too: it is sealed to more recipients than the owner named
	FewerRecipients = "fewer-recipients" // it is sealed to fewer recipients than the owner named
	OtherRecipient  = "other-recipient"  // it is sealed to a kind of recipient that the owner never named
	Hidden          = "hidden"           // something lies over the pack: it was overwritten, or a delete marker hides it
	Unread          = "unread"           // the store did not give it: nothing is known
)

// HeaderDrill says what came of opening the headers of some packs with the recovery identity. Drawn is Opened + Failed + Unread.
type HeaderDrill struct {
	// Prev is the hash of the stored bytes of the signer's report before this one; nil in the first.
	Prev *record.Hash
	// Vault is the vault's id.
	Vault record.Hash
	Time  time.Time
	// Statement is the number of the newest statement that the drill saw, Recovery the number of its recovery recipients.
	Statement, Recovery int64
	// Heads are the newest commits of the chains, ascending by chain: at most MaxHeads.
	Heads []Head
	// Population is how many packs the commits name, each as often as one names it; Drawn are those of the sample, all different.
	Population, Drawn int64
	// Opened headers gave their file key to the identity, and their MAC holds. Failed did not. Unread were not given by the store.
	Opened, Failed, Unread int64
	// Findings says what was wrong, at most MaxFindings; Omitted counts the others.
	Findings []Finding
	Omitted  int64
}

// Head is the newest commit of a chain.
type Head struct {
	Chain string
	Seq   int64
	Hash  record.Hash
}

// String writes it as --seen reads it.
func (h Head) String() string { return fmt.Sprintf("%d:%s", h.Seq, h.Hash) }

// Finding is what a drill found wrong with a pack.
type Finding struct {
	Pack record.Hash
	// Kind is one of the constants above, or what a later version has.
	Kind   string
	Detail string
}

// Note adds a finding, or counts it where there are enough. It cuts a detail that is too long.
func (d *HeaderDrill) Note(pack record.Hash, kind, detail string) {
	if len(d.Findings) >= MaxFindings {
		d.Omitted++
		return
	}
	d.Findings = append(d.Findings, Finding{pack, kind, cut(detail)})
}

// Clean reports whether every header that was drawn was read and opened, and nothing was found.
func (d *HeaderDrill) Clean() bool {
	return d.Drawn > 0 && d.Opened == d.Drawn && len(d.Findings) == 0 && d.Omitted == 0
}

// Alarming reports whether anything was found that is damage or tampering, in contrast to what was only not read.
func (d *HeaderDrill) Alarming() bool {
	other := slices.ContainsFunc(d.Findings, func(f Finding) bool { return f.Kind != Unread })
	return d.Failed > 0 || other
}

package report

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"farshore/agent/record"
)

// TypeHeaderDrill is the type of a HeaderDrill.
const TypeHeaderDrill = "header-drill"

// Bounds of a report. A head takes about 130 bytes, a finding about 200, so that the largest report stays below MaxSize.
const (
	// MaxSize is the most stored bytes that a reader takes for a report.
	MaxSize = 4 << 20
	// MaxNumber is the largest integer of a report: what every reader of JSON has exactly.
	MaxNumber = 1<<53 - 1
	// MaxHeads is the most heads that a report lists.
	MaxHeads = 16_384
	// MaxFindings is the most findings that a report lists; it counts the others.
	MaxFindings = 1000
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
	// Type is TypeHeaderDrill; empty stands for it.
	Type string `json:"type"`
	// Prev is the hash of the stored bytes of the signer's report before this one; nil in the first.
	Prev *record.Hash `json:"prev,omitempty"`
	// Vault is the vault's id.
	Vault record.Hash `json:"vault"`
	Time  time.Time   `json:"time"`
	// Statement is the number of the newest statement that the drill saw, Recovery the number of its recovery recipients.
	Statement int64 `json:"statement"`
	Recovery  int64 `json:"recovery"`
	// Heads are the newest commits of the chains, ascending by chain: at most MaxHeads.
	Heads []Head `json:"heads,omitempty"`
	// Population is how many packs the commits name, each as often as one names it; Drawn are those of the sample, all different.
	Population int64 `json:"population"`
	Drawn      int64 `json:"drawn"`
	// Opened headers gave their file key to the identity, and their MAC holds. Failed did not. Unread were not given by the store.
	Opened int64 `json:"opened"`
	Failed int64 `json:"failed"`
	Unread int64 `json:"unread"`
	// Findings says what was wrong, at most MaxFindings; Omitted counts the others.
	Findings []Finding `json:"findings,omitempty"`
	Omitted  int64     `json:"omitted"`
}

// Head is the newest commit of a chain.
type Head struct {
	Chain string      `json:"chain"`
	Seq   int64       `json:"seq"`
	Hash  record.Hash `json:"hash"`
}

// String writes it as --seen reads it.
func (h Head) String() string { return fmt.Sprintf("%d:%s", h.Seq, h.Hash) }

// Finding is what a drill found wrong with a pack.
type Finding struct {
	Pack record.Hash `json:"pack"`
	// Kind is one of the constants above, or what a later version has.
	Kind   string `json:"kind"`
	Detail string `json:"detail,omitempty"`
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

// check refuses what no drill can have come to.
func (d *HeaderDrill) check() error {
	switch {
	case d.Recovery < 1:
		return errors.New("recovery is less than 1")
	case d.Drawn > d.Population:
		return fmt.Errorf("drawn is %d, of a population of %d", d.Drawn, d.Population)
	case d.Opened > d.Drawn || d.Failed > d.Drawn || d.Unread != d.Drawn-d.Opened-d.Failed:
		return fmt.Errorf("opened, failed and unread are not together the %d that were drawn", d.Drawn)
	}
	for i := range d.Findings {
		if k := d.Findings[i].Kind; k == "" || len(k) > 32 || strings.Trim(k, "abcdefghijklmnopqrstuvwxyz-") != "" {
			return fmt.Errorf("findings[%d]: kind %.40q is not 1 to 32 of a-z and -", i, k)
		}
	}
	return checkHeads(d.Heads)
}

// checkHeads holds heads to their order.
func checkHeads(heads []Head) error {
	for i, h := range heads {
		switch {
		case !isHex(h.Chain, chainDigits):
			return fmt.Errorf("heads[%d]: chain is not 32 digits of 0-9a-f", i)
		case h.Seq < 1 || h.Seq > maxSeq:
			return fmt.Errorf("heads[%d]: seq is not a number of a commit", i)
		case i > 0 && heads[i-1].Chain >= h.Chain:
			return fmt.Errorf("heads[%d]: is not behind the one before it by its chain", i)
		}
	}
	return nil
}

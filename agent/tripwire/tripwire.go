// Package tripwire says whether what a pass found at a source looks like an attack: things were deleted, rewritten, encrypted or emptied beyond what the source's
// owner takes for usual. It is pure: it is given numbers and returns reasons.
//
// A pass is compared with the last good snapshot, which is the newest complete one that is not suspicious, and not with the one before it. So a snapshot behind a
// suspicious one is suspicious too until the source is again within the thresholds of the last good one, or a person has accepted the change.
//
// Whoever removes a little less than a threshold in each pass is not noticed. What he removes stays in the snapshots before.
package tripwire

import (
	"fmt"
	"strings"
)

// Codes of reasons.
const (
	DeletedShare    = "deleted-share"    // too many of the last good snapshot's items are gone
	ModifiedShare   = "modified-share"   // too many of them have other contents
	SizeCollapse    = "size-collapse"    // the snapshot has far fewer bytes
	ItemCollapse    = "item-collapse"    // the snapshot has far fewer items
	EmptyListing    = "empty-listing"    // the source has nothing any more
	UnreadableShare = "unreadable-share" // too many items can't be read any more
	Compressibility = "compressibility"  // new contents in the place of old ones can hardly be compressed: encrypted, perhaps
	RefsRewritten   = "refs-rewritten"   // a repository's history was written anew
	RefsVanished    = "refs-vanished"    // a repository lost many refs
	SourcePolicy    = "source-policy"    // the source's own settings let it lose or show more
	since           = "since-"           // with a commit's number: suspicious since then
)

// Thresholds are shares from 0 to 1: what reaches one is suspicious. 0 turns a check off.
type Thresholds struct {
	// Deleted and Modified are shares of the last good snapshot's items.
	Deleted, Modified float64
	// Size and Items are the shares of its bytes and items by which the new snapshot has less.
	Size, Items float64
	// Unreadable is the share of items that can't be read now and could be then.
	Unreadable float64
	// Compression is the share of what compression saved so far that it no longer saves on new contents.
	Compression float64
	// Refs is the share of one repository's refs that were rewritten, or that vanished. Its default branch counts by itself.
	Refs float64
	// Policy says whether the source's own settings are looked at.
	Policy bool
}

// Default returns the thresholds where nobody set any. They shall notice what ransomware and mass deletion do, and be silent about what people and programs do daily:
// a rotation of logs replaces a tenth of a bucket in a day, a clean-up by hand a fifth.
func Default() Thresholds {
	return Thresholds{Deleted: 0.3, Modified: 0.5, Size: 0.5, Items: 0.9, Unreadable: 0.2, Compression: 0.5, Refs: 0.3, Policy: true}
}

// Floors, below which nothing is suspicious whatever its share: small sources change by large shares every day.
const (
	fewItems        = 20
	fewRepositories = 3
	fewRefs         = 20
	fewBytes        = 1 << 20
	// enoughRaw is of how many bytes a ratio of compression says something, both before and now.
	enoughRaw = 8 << 20
	// touchedShare is the share of items that must have been deleted or modified for their contents' ratio to matter: who adds archives or photographs encrypts nothing.
	touchedShare = 0.05
	// rounding is how exactly shares of ratios are reckoned.
	rounding = 1e-9
	// maxRatio is up to which ratio of stored to raw bytes a source counts as compressible at all.
	maxRatio = 0.9
)

// Reason is why a snapshot is suspicious. Text names no item and no source: it stands in cleartext.
type Reason struct{ Code, Text string }

// String writes a reason as commits have it.
func (r Reason) String() string { return r.Code + ": " + r.Text }

// CodeOf returns the code of a reason as commits have it.
func CodeOf(reason string) string {
	code, _, _ := strings.Cut(reason, ":")
	return code
}

// Observation is what a pass saw so far.
type Observation struct {
	// Complete says that it saw everything: else only what can but grow is judged.
	Complete bool
	// Blind says that not all of the last good snapshot could be compared with it, so that nothing says that the source is again as it was.
	Blind bool
	// Repositories says that its items are repositories: a few of them are much, and that they change is usual.
	Repositories bool
	// Items, Bytes and Unreadable are of the snapshot, where Complete.
	Items, Bytes, Unreadable int64
	// Deleted and Modified are items of the last good snapshot.
	Deleted, Modified int64
	// Raw and Stored are bytes of contents that are new with the commit in the making, before compression and as stored.
	Raw, Stored int64
	// Rewritten and Vanished are repositories of which Thresholds.Judge said so.
	Rewritten, Vanished int64
	// Policy says what of the source's settings lets it lose or show more than before, without names.
	Policy []string
}

// Judge returns why the pass is suspicious, nothing where it is not, or where there is nothing to compare it with.
func Judge(t Thresholds, h History, o Observation) []Reason {
	if h.Base == nil {
		return nil
	}
	var out []Reason
	add := func(code, format string, args ...any) { out = append(out, Reason{code, fmt.Sprintf(format, args...)}) }
	b := h.Base
	if beyond(t.Deleted, o.Deleted, b.Items, few(o)) {
		add(DeletedShare, "%d of the %d items of snapshot %d were deleted (%s, threshold %s)", o.Deleted, b.Items, b.Seq, percent(o.Deleted, b.Items), share(t.Deleted))
	}
	if beyond(t.Modified, o.Modified, b.Items, few(o)) && !o.Repositories {
		add(ModifiedShare, "%d of the %d items of snapshot %d have other contents (%s, threshold %s)", o.Modified, b.Items, b.Seq, percent(o.Modified, b.Items), share(t.Modified))
	}
	out = append(out, collapses(t, b, o)...)
	if text := incompressible(t, h, o); text != "" {
		add(Compressibility, "%s", text)
	}
	if o.Rewritten > 0 && t.Refs > 0 {
		add(RefsRewritten, "the history of %s was written anew since snapshot %d", repositories(o.Rewritten), b.Seq)
	}
	if o.Vanished > 0 && t.Refs > 0 {
		add(RefsVanished, "%s lost at least %s of their refs since snapshot %d", repositories(o.Vanished), share(t.Refs), b.Seq)
	}
	if len(o.Policy) > 0 && t.Policy {
		add(SourcePolicy, "the source's own settings changed since snapshot %d: %s", b.Seq, strings.Join(o.Policy, "; "))
	}
	if h.Since > 0 && (len(out) > 0 || !o.Complete || o.Blind) {
		add(fmt.Sprintf("%s%d", since, h.Since), "suspicious since snapshot %d; the last good one is %d", h.Since, h.Good)
	}
	return out
}

// collapses judges what only a whole snapshot shows.
func collapses(t Thresholds, b *Base, o Observation) (out []Reason) {
	if !o.Complete {
		return nil
	}
	switch lost := b.Items - o.Items; {
	case t.Items > 0 && o.Items == 0 && b.Items > 0:
		out = append(out, Reason{EmptyListing, fmt.Sprintf("the source is empty, and had %d items in snapshot %d", b.Items, b.Seq)})
	case beyond(t.Items, lost, b.Items, few(o)):
		out = append(out, Reason{ItemCollapse, fmt.Sprintf("%d items are left of %d in snapshot %d", o.Items, b.Items, b.Seq)})
	}
	if lost := b.Bytes - o.Bytes; beyond(t.Size, lost, b.Bytes, fewBytes) {
		out = append(out, Reason{SizeCollapse, fmt.Sprintf("%d bytes are left of %d in snapshot %d (%s less, threshold %s)", o.Bytes, b.Bytes, b.Seq, percent(lost, b.Bytes), share(t.Size))})
	}
	if more := o.Unreadable - b.Unreadable; beyond(t.Unreadable, more, o.Items, few(o)) {
		out = append(out, Reason{UnreadableShare, fmt.Sprintf("%d of %d items can't be read, %d more than in snapshot %d (threshold %s)", o.Unreadable, o.Items, more, b.Seq, share(t.Unreadable))})
	}
	return out
}

// incompressible says how much worse new contents compress than those before, "" where that is not suspicious.
func incompressible(t Thresholds, h History, o Observation) string {
	raw, stored := h.NewRaw+o.Raw, h.NewStored+o.Stored
	touched := o.Deleted + o.Modified
	if t.Compression <= 0 || o.Repositories || h.Raw < enoughRaw || raw < enoughRaw || !beyond(touchedShare, touched, h.Base.Items, few(o)) {
		return ""
	}
	before, now := ratio(h.Stored, h.Raw), ratio(stored, raw)
	if before > maxRatio || now-before < t.Compression*(1-before)-rounding {
		return ""
	}
	return fmt.Sprintf("new contents were compressed to %.0f %% of their size, those up to snapshot %d to %.0f %%, and %d items were deleted or have other contents: this is how encrypted ones look",
		100*now, h.Base.Seq, 100*before, touched)
}

// ratio is of stored to raw bytes, at most 1.
func ratio(stored, raw int64) float64 { return min(1, float64(stored)/float64(raw)) }

// few is how many items are never suspicious.
func few(o Observation) int64 {
	if o.Repositories {
		return fewRepositories
	}
	return fewItems
}

// beyond reports whether n of a whole reaches the threshold, and is at least floor.
func beyond(threshold float64, n, whole, floor int64) bool {
	return threshold > 0 && n > 0 && n >= floor && float64(n) >= threshold*float64(whole)
}

func percent(n, whole int64) string {
	if whole <= 0 {
		return "all"
	}
	return fmt.Sprintf("%.1f %%", 100*float64(n)/float64(whole))
}

func share(f float64) string { return fmt.Sprintf("%.4g %%", 100*f) }

func repositories(n int64) string {
	if n == 1 {
		return "1 repository"
	}
	return fmt.Sprintf("%d repositories", n)
}

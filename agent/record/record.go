// Package record has the words of the vault's format, and their bytes: records, segments, roots, chunk tables, public lists, statements and
// commits. docs/format.md is the specification. It is a codec: it does no I/O, holds no keys, and never sees a store.
package record

import "strings"

// Kinds of items.
const (
	KindObject  = "object"
	KindGit     = "git"
	KindSVN     = "svn"
	KindSidecar = "sidecar" // files beside a repository: configuration, hooks
	KindLFS     = "lfs"     // a repository's large files
)

// States of a record.
const (
	Present      = "present"
	Deleted      = "deleted"
	DeleteMarker = "delete-marker"
	Unreadable   = "unreadable"
)

// Reasons why an item is unreadable (docs/format.md, section 5.1.2).
const (
	ReasonArchived    = "archived"
	ReasonDenied      = "denied"
	ReasonCustomerKey = "customer-key"
	ReasonKMS         = "kms"
	ReasonChecksum    = "checksum"
	ReasonChanging    = "changing"
	ReasonTooLarge    = "too-large"
	ReasonBadName     = "bad-name"
	ReasonOther       = "other"
	ReasonVanished    = "vanished"    // no longer listed: recorded as such, never as deleted
	ReasonBroken      = "broken"      // the repository is damaged at the source
	ReasonUnsupported = "unsupported" // a form of repository that can't be captured; the detail says which and what to do
	// ReasonPartial counts items that were captured but for what their attribute "omitted" names. It is no reason of a record.
	ReasonPartial = "partial"
)

// AttrOmitted is the attribute that says what of an item could not be captured, a line each: "what: why".
const AttrOmitted = "omitted"

// Attributes of repositories by which a pass tells that history was lost since an earlier one (docs/format.md, sections 5.1.3 and 5.1.4).
const (
	AttrLost      = "refs-lost" // git: how often refs were rewritten or vanished
	AttrRewritten = "rewritten" // svn: when and why the history was found to be another one
)

// Kinds of parts (docs/format.md, sections 5.1.3 and 5.1.4).
const (
	PartContent = "content" // an item's content
	PartFile    = "file"    // sidecar: one file
	PartLFS     = "lfs"     // lfs: one large file, named by its SHA-256

	PartRefs      = "refs"       // git: all refs, as lines
	PartRefsDelta = "refs-delta" // git: what changed in them since
	PartTips      = "tips"       // git: object ids that the self-contained pack reaches
	PartPack      = "pack"       // git: a pack stream
	PartFsck      = "fsck"       // git: what git fsck said at the source when the self-contained pack was made

	PartDump     = "dump"     // svn: a dump of a run of revisions
	PartDigests  = "digests"  // svn: a digest of each of these revisions
	PartRevprops = "revprops" // svn: revision properties that changed later
	PartLocks    = "locks"    // svn: locks
	PartState    = "state"    // svn: digests that tell which revision properties changed
)

// MaxInline is the most bytes of a part that stand in its record.
const MaxInline = 4096

// Limits of the format (docs/format.md, sections 5 and 6).
const (
	// MaxStack is how many segments a range has at most.
	MaxStack = 8
	// MaxInlineExtents is how many extents a part has at most before its writer moves them into pages.
	MaxInlineExtents = 1024
	// MaxPageExtents is how many extents a page has at most.
	MaxPageExtents = 16384
	// MaxInlineRanges is how many ranges a root has at most before its writer moves them into pages.
	MaxInlineRanges = 1024
	// MaxInlineLive is how many live lines a list has at most before its writer moves them into pages.
	MaxInlineLive = 2048
	// MaxPackChunks is how many chunks a pack has at most.
	MaxPackChunks = 32768

	maxStored = 64 << 20 // stored bytes of any object
	maxRaw    = 1 << 30  // raw bytes of a pack or page
	maxLine   = 16 << 20 // bytes of a line of a page, with its line feed
	maxInt    = 1<<53 - 1
)

// Attrs are an item's attributes, by key. Keys and values are bytes; the codec writes those that are not UTF-8 in base64.
type Attrs map[string]string

// Place describes a source: the name that people gave it, its kind, and its address without credentials.
type Place struct {
	Name  string `json:"name"`
	Kind  string `json:"kind"`
	Place string `json:"place"`
}

// Hash is a SHA-256.
type Hash [32]byte

// Ref names a stored object in meta/ or packs/ by the hash and the number of its stored bytes.
type Ref struct {
	Name Hash  `json:"name"`
	Size int64 `json:"size"`
}

// Extent is a run of a pack's raw bytes. Pack carries the pack's stored size too, so that a reader needs no request to learn it.
type Extent struct {
	Pack   Ref
	Offset int64
	Length int64
}

// PartPage names a page of extents, or of lines, and the run of the part that it covers.
type PartPage struct {
	Ref
	Offset int64 `json:"offset"`
	Length int64 `json:"length"`
}

// Part is a run of an item's content with its kind and its place in the vault: one of Extents, Pages, Inline and Lines, and none when Size is 0.
type Part struct {
	Kind     string
	Encoding string
	Base     string
	Attrs    Attrs
	Size     int64
	SHA256   Hash
	Extents  []Extent
	Pages    []PartPage // of extents
	// Inline are the bytes themselves, at most MaxInline. Lines are pages of type lines, for bytes that are lines. Both are for what the agent must
	// read again: whoever can read the record can read them.
	Inline string
	Lines  []PartPage
}

// Part returns the record's first part of the kind, or nil.
func (r *Record) Part(kind string) *Part {
	for i := range r.Parts {
		if r.Parts[i].Kind == kind {
			return &r.Parts[i]
		}
	}
	return nil
}

// Record is what the vault knows of an item at a point in time.
type Record struct {
	Path    string
	Version string
	Kind    string
	State   string
	Reason  string
	Detail  string
	Attrs   Attrs
	Parts   []Part
	// Last is the last good record of an unreadable item; its Path, Version, Kind and Last are empty.
	Last *Record
}

// Size is the number of bytes of the record's parts that are content: for a repository the packs or dumps, without what only describes them.
func (r *Record) Size() int64 {
	var n int64
	for i := range r.Parts {
		switch r.Parts[i].Kind {
		case PartContent, PartFile, PartLFS, PartPack, PartDump:
			n += r.Parts[i].Size
		}
	}
	return n
}

// Compare orders records as segments do: by path bytes, version, kind.
func Compare(a, b *Record) int {
	if c := strings.Compare(a.Path, b.Path); c != 0 {
		return c
	}
	if c := strings.Compare(a.Version, b.Version); c != 0 {
		return c
	}
	return strings.Compare(a.Kind, b.Kind)
}

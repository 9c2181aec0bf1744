// Package record has the words of the vault's format, and their bytes: records, segments, roots, chunk tables, public lists, statements and
// commits. docs/format.md is the specification. It is a codec: it does no I/O, holds no keys, and never sees a store.
package record

import "strings"

// Kinds of items.
const (
	KindObject = "object"
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
)

// PartContent is the kind of the part that holds an item's content.
const PartContent = "content"

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

// ExtentPage names a page of extents and the run of the part that it covers.
type ExtentPage struct {
	Ref
	Offset int64 `json:"offset"`
	Length int64 `json:"length"`
}

// Part is a run of an item's content with its kind and its place in the vault. Extents or Pages, never both; neither when Size is 0.
type Part struct {
	Kind     string
	Encoding string
	Base     string
	Attrs    Attrs
	Size     int64
	SHA256   Hash
	Extents  []Extent
	Pages    []ExtentPage
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

// Size is the number of content bytes of the record's parts of kind content.
func (r *Record) Size() int64 {
	var n int64
	for i := range r.Parts {
		if r.Parts[i].Kind == PartContent {
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

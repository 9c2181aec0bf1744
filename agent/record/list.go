package record

import "strconv"

// Roles of what a list's live part names with meta.
const (
	LiveRoot   = "root"
	LiveRanges = "ranges"
	LiveTable  = "table"
	LiveKeys   = "keys"
	LiveState  = "state"
)

// ListSection says what one segment refers to.
type ListSection struct {
	Segment Hash
	// Packs are those of its extents, and of the pages of extents in Meta.
	Packs []Ref
	// Meta are its pages of extents.
	Meta []Ref
}

// LiveSegment is a segment that a snapshot needs.
type LiveSegment struct {
	Ref
	// List is the list that has the segment's section; zero for the list itself.
	List Hash
}

// LiveMeta is a page that a snapshot needs.
type LiveMeta struct {
	Ref
	// Role is LiveRoot, LiveRanges, LiveTable, LiveKeys or LiveState.
	Role string
}

// List is a commit's public list.
type List struct {
	Sections []ListSection
	// HasLive is true when the list says what the snapshot needs, in Segments and Meta, or in Pages.
	HasLive  bool
	Segments []LiveSegment
	Meta     []LiveMeta
	// Pages are pages of live lines.
	Pages []Ref
}

// ListPage is a page of a list's live lines.
type ListPage struct {
	// Segments name the list of their section, always.
	Segments []LiveSegment
	Meta     []LiveMeta
}

// PruneList names objects that may be absent.
type PruneList struct {
	Packs, Meta []Ref
}

// Moved says where a run of a pack's raw bytes is now.
type Moved struct {
	Pack           Hash
	Offset, Length int64
	NewPack        Hash
	NewOffset      int64
}

// RemapList says where damaged or repacked runs are now.
type RemapList struct {
	Moved []Moved
}

const (
	kindList     = "list"
	kindListPage = "list-page"
	kindPrune    = "prune"
	kindRemap    = "remap"
)

func appendListHeader(kind string) []byte { return []byte("farshore " + kind + " 1\n") }

// EncodeList writes the stored bytes of a list. Roles must be one of those above.
func EncodeList(l *List) []byte {
	b := appendListHeader(kindList)
	for i := range l.Sections {
		s := &l.Sections[i]
		b = append(appendWords(b, "segment", &s.Segment), '\n')
		b = appendRefLines(b, "pack", s.Packs)
		b = appendRefLines(b, "meta", s.Meta)
	}
	if !l.HasLive {
		return b
	}
	b = append(b, "live\n"...)
	b = appendLive(b, l.Segments, l.Meta)
	return appendRefLines(b, "page", l.Pages)
}

// EncodeListPage writes the stored bytes of a page of a list.
func EncodeListPage(p *ListPage) []byte {
	return appendLive(appendListHeader(kindListPage), p.Segments, p.Meta)
}

// EncodePruneList writes the stored bytes of a prune list.
func EncodePruneList(l *PruneList) []byte {
	b := appendRefLines(appendListHeader(kindPrune), "pack", l.Packs)
	return appendRefLines(b, "meta", l.Meta)
}

// EncodeRemapList writes the stored bytes of a remap list.
func EncodeRemapList(l *RemapList) []byte {
	b := appendListHeader(kindRemap)
	for i := range l.Moved {
		m := &l.Moved[i]
		b = appendWords(b, "extent", &m.Pack)
		b = strconv.AppendInt(append(b, ' '), m.Offset, 10)
		b = strconv.AppendInt(append(b, ' '), m.Length, 10)
		b = append(append(b, ' '), m.NewPack.String()...)
		b = strconv.AppendInt(append(b, ' '), m.NewOffset, 10)
		b = append(b, '\n')
	}
	return b
}

func appendWords(dst []byte, word string, h *Hash) []byte {
	dst = append(append(dst, word...), ' ')
	return append(dst, h.String()...)
}

func appendRefWords(dst []byte, word string, r *Ref) []byte {
	dst = append(appendWords(dst, word, &r.Name), ' ')
	return strconv.AppendInt(dst, r.Size, 10)
}

func appendRefLines(dst []byte, word string, list []Ref) []byte {
	for i := range list {
		dst = append(appendRefWords(dst, word, &list[i]), '\n')
	}
	return dst
}

func appendLive(dst []byte, segments []LiveSegment, meta []LiveMeta) []byte {
	for i := range segments {
		list := "-"
		if h := segments[i].List; !h.IsZero() {
			list = h.String()
		}
		dst = append(appendRefWords(dst, "segment", &segments[i].Ref), ' ')
		dst = append(append(dst, list...), '\n')
	}
	for i := range meta {
		dst = append(appendRefWords(dst, "meta", &meta[i].Ref), ' ')
		dst = append(append(dst, meta[i].Role...), '\n')
	}
	return dst
}

package gitpack

import (
	"bytes"
	"encoding/hex"
	"strconv"
	"strings"
)

// Sizes of a pointer of Git LFS (docs/spec.md of git-lfs): none is larger, and none smaller, by far.
const (
	maxPointer = 1024
	minPointer = 60
)

// lfsFilter is what a line of .gitattributes says where Git LFS is in use.
const lfsFilter = "filter=lfs"

// scanner looks through objects for pointers of Git LFS, and reads deltas. Small blobs are kept, as far as there is room, so that deltas on them can be
// resolved.
type scanner struct {
	pointer    func(oid string, size int64)
	lfs        bool
	unresolved int64
	store      store

	delta  delta
	start  int64 // of the object
	typ    byte  // of the entry
	kind   byte  // of the object
	base   []byte
	based  bool   // base is the delta's base
	keep   bool   // data is collected
	kept   []byte // data so far
	behind []byte // the end of the data so far, for lfsFilter
	result []byte // room for what a delta makes
}

func newScanner(o Options) *scanner {
	return &scanner{pointer: o.Pointer, store: newStore(o.IDSize), kept: make([]byte, 0, maxDelta), behind: make([]byte, 0, 2*len(lfsFilter)), result: make([]byte, 0, maxPointer)}
}

// begin starts an object. kind is that of a delta's base, as far as it is known; begin returns the object's own.
func (s *scanner) begin(e *entry, kind byte) byte {
	s.start, s.typ, s.kind = e.start, e.typ, kind
	s.base, s.based = nil, false
	switch e.typ {
	case typeOfsDelta:
		s.base, s.based = s.store.at(e.base)
	case typeRefDelta:
		s.base, s.based = s.store.byID(e.baseID)
	}
	if s.based {
		s.kind = typeBlob
	}
	s.delta.begin()
	mayBeBlob := s.kind == typeBlob || s.kind == 0
	s.keep = mayBeBlob && e.size <= maxPointer || mayBeBlob && s.isDelta() && e.size <= maxDelta
	s.kept, s.behind = s.kept[:0], s.behind[:0]
	return s.kind
}

func (s *scanner) isDelta() bool { return s.typ == typeOfsDelta || s.typ == typeRefDelta }

// data takes some of the object's data, and says what is wrong with a delta.
func (s *scanner) data(p []byte) string {
	if s.kind == typeBlob || s.kind == 0 {
		s.lookForFilter(p)
	}
	if s.isDelta() {
		if reason := s.delta.data(p); reason != "" {
			return reason
		}
	}
	if s.keep {
		s.kept = append(s.kept, p...)
	}
	return ""
}

// lookForFilter looks for lfsFilter in the data, which comes in chunks.
func (s *scanner) lookForFilter(p []byte) {
	if s.lfs {
		return
	}
	edge := append(s.behind, p[:min(len(p), len(lfsFilter)-1)]...)
	s.lfs = bytes.Contains(edge, []byte(lfsFilter)) || bytes.Contains(p, []byte(lfsFilter))
	if len(p) >= len(lfsFilter) {
		edge = p
	}
	s.behind = append(s.behind[:0], edge[max(0, len(edge)-len(lfsFilter)+1):]...)
}

// end ends the object, and says what is wrong with a delta.
func (s *scanner) end() string {
	if !s.isDelta() {
		if s.keep {
			s.blob(s.kept)
		}
		return ""
	}
	if reason := s.delta.end(); reason != "" {
		return reason
	}
	if !s.keep || s.delta.resultSize > maxPointer {
		return ""
	}
	data, ok, reason := applyDelta(s.result[:0], s.base, s.based, s.kept)
	switch {
	case reason != "":
		return reason
	case ok: // of a blob; or all of it stood in the delta, and then it looks like what it is
		s.blob(data)
	case s.delta.resultSize >= minPointer && mayMakePointer(s.kept):
		s.unresolved++
	}
	return ""
}

// blob looks at a small blob as a whole.
func (s *scanner) blob(data []byte) {
	s.store.add(s.start, data)
	if oid, size, ok := parsePointer(data); ok {
		s.lfs = true
		if s.pointer != nil {
			s.pointer(oid, size)
		}
	}
	s.lfs = s.lfs || bytes.Contains(data, []byte(lfsFilter))
}

// versions are the first lines that pointers have had.
var versions = []string{"https://git-lfs.github.com/spec/v1", "https://hawser.github.com/spec/v1", "http://git-media.io/v/2"}

// parsePointer reads a pointer as Git LFS does: lines of a key and a value, version first, then extensions, oid and size.
func parsePointer(data []byte) (oid string, size int64, ok bool) {
	if len(data) > maxPointer || !bytes.Contains(data[:min(len(data), 100)], []byte("version ")) {
		return "", 0, false
	}
	want := []string{"version", "oid", "size"}
	for l := range strings.Lines(string(bytes.TrimSpace(data))) {
		key, value, _ := strings.Cut(strings.TrimRight(l, "\r\n"), " ")
		switch {
		case key == "":
			continue
		case len(want) == 0:
			return "", 0, false
		case strings.HasPrefix(key, "ext-") && want[0] == "oid":
			continue
		case key != want[0]:
			return "", 0, false
		}
		want = want[1:]
		switch key {
		case "version":
			ok = isVersion(value)
		case "oid":
			oid, ok = parseOID(value)
		case "size":
			var err error
			size, err = strconv.ParseInt(value, 10, 64)
			ok = err == nil && size >= 0
		}
		if !ok {
			return "", 0, false
		}
	}
	return oid, size, ok && len(want) == 0
}

func isVersion(value string) bool {
	for _, v := range versions {
		if value == v {
			return true
		}
	}
	return false
}

func parseOID(value string) (string, bool) {
	oid, ok := strings.CutPrefix(value, "sha256:")
	if !ok || len(oid) != 64 || strings.ToLower(oid) != oid {
		return "", false
	}
	_, err := hex.DecodeString(oid)
	return oid, err == nil
}

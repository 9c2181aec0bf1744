// Package lfs reads large objects that a git repository keeps outside of its history: it recognises the pointers that stand for them, and downloads what they
// point to from the repository's LFS server by the batch API. It never uploads, and what it delivers has the size and the SHA-256 of its pointer or ends
// with an error.
package lfs

import (
	"bytes"
	"strconv"
	"strings"
)

// MaxPointer is the greatest size in bytes of a blob that can be a pointer.
const MaxPointer = 1024

// Pointer says which large object stands behind a blob.
type Pointer struct {
	// OID is the SHA-256 of the object, 64 lower-case hexadecimal digits.
	OID string
	// Size is the object's size in bytes, never negative.
	Size int64
}

// versions are the values of a pointer's first line that git-lfs reads: the first release, its pre-release under another name, and the alpha.
var versions = []string{"https://git-lfs.github.com/spec/v1", "https://hawser.github.com/spec/v1", "http://git-media.io/v/2"}

// Parse returns the pointer that the blob is, and whether it is one. The specification (git-lfs, docs/spec.md) asks for lines "key value\n" of UTF-8, the
// version first and the other keys sorted; as git-lfs itself does, Parse also takes blobs with CRLF line ends, blank lines, space around the whole, and no last line
// end: who overlooks a pointer loses the object, who sees one too many asks for an object that is not there.
func Parse(data []byte) (Pointer, bool) {
	if len(data) > MaxPointer || !bytes.HasPrefix(bytes.TrimSpace(data), []byte("version ")) {
		return Pointer{}, false
	}
	var p Pointer
	var found pointerKeys
	for line := range strings.SplitSeq(string(bytes.TrimSpace(data)), "\n") {
		line = strings.TrimSuffix(line, "\r")
		if line == "" {
			continue
		}
		key, value, ok := strings.Cut(line, " ")
		if !ok || !found.next(key) || !p.set(key, value) {
			return Pointer{}, false
		}
	}
	return p, found.oid && found.size
}

// pointerKeys follows the order of a pointer's keys.
type pointerKeys struct {
	last      string
	oid, size bool
}

// next reports whether the key may follow those before it: the version first, then ascending. Extensions may stand anywhere before the size, as git-lfs
// reads them.
func (k *pointerKeys) next(key string) bool {
	first, last := k.last == "", k.last
	if !first && strings.HasPrefix(key, "ext-") {
		return validKey(key) && !k.size
	}
	k.last = key
	k.oid = k.oid || key == "oid"
	k.size = k.size || key == "size"
	if first {
		return key == "version"
	}
	return validKey(key) && key != "version" && (last == "version" || key > last)
}

func validKey(key string) bool {
	for _, c := range []byte(key) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' && c != '-' {
			return false
		}
	}
	return key != ""
}

// set takes the value of a line into the pointer, and reports whether it is a good one.
func (p *Pointer) set(key, value string) bool {
	switch key {
	case "version":
		return value == versions[0] || value == versions[1] || value == versions[2]
	case "oid":
		oid, ok := strings.CutPrefix(value, "sha256:")
		p.OID = oid
		return ok && validOID(oid)
	case "size":
		size, err := strconv.ParseInt(value, 10, 64)
		p.Size = size
		return err == nil && size >= 0
	}
	return value != "" && !strings.ContainsRune(value, '\r')
}

func validOID(oid string) bool {
	for _, c := range []byte(oid) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return len(oid) == 64
}

// Encode returns the pointer as git-lfs writes it.
func (p Pointer) Encode() []byte {
	return []byte("version " + versions[0] + "\noid sha256:" + p.OID + "\nsize " + strconv.FormatInt(p.Size, 10) + "\n")
}

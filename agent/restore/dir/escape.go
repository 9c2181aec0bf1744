package dir

import (
	"errors"
	"fmt"
	"path"
	"strings"
)

// Names that farshore keeps for itself at the top of a target. A key whose first component begins with reservedPrefix, in whatever case, is escaped.
const (
	reservedPrefix = "_farshore-"
	// EscapedFolder holds the items that can't have their own names, each under Escape of its key.
	EscapedFolder = reservedPrefix + "escaped"
	// partialFolder holds files in the making.
	partialFolder = reservedPrefix + "partial"
)

const (
	// maxComponent is the longest name of a file on the usual file systems, in bytes.
	maxComponent = 255
	// escapedRun is how many bytes of an escaped key stand in one component: short enough for encrypting file systems, which have at most 143.
	escapedRun = 140
	// folderMark ends the components of an escaped key that are folders. Escaped keys have no such byte of their own, so that a folder and a file
	// never have the same name.
	folderMark = '+'
)

const hexDigits = "0123456789abcdef"

// Escape turns any key into a relative path that is safe on every file system: of a-z, 0-9, "-", "_", "." and "%xx", without a dot at either end
// of a component, at most 141 bytes a component. Everything else is %xx, capital letters too, since file systems differ about them, so that
// no two keys become one path. What is longer than a component goes on in the next; all components but the last end in "+". To reverse it:
// join the components, take away each "+/", and decode %xx. The empty key is "%".
func Escape(key string) string {
	if key == "" {
		return "%"
	}
	var b strings.Builder
	run := 0
	for i := range len(key) {
		token := key[i : i+1]
		if !plain(key[i]) || key[i] == '.' && (run == 0 || i == len(key)-1 || run >= escapedRun-3) {
			token = string([]byte{'%', hexDigits[key[i]>>4], hexDigits[key[i]&15]})
		}
		if run+len(token) > escapedRun {
			b.WriteByte(folderMark)
			b.WriteByte('/')
			run = 0
		}
		b.WriteString(token)
		run += len(token)
	}
	return b.String()
}

func plain(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.'
}

// Unescape reverses Escape. It refuses what Escape does not write.
func Unescape(name string) (string, error) {
	bad := fmt.Errorf("%q is no escaped name", name)
	flat := strings.ReplaceAll(name, string(folderMark)+"/", "")
	if flat == "%" {
		flat = ""
	}
	var b strings.Builder
	for i := 0; i < len(flat); i++ {
		if flat[i] != '%' {
			b.WriteByte(flat[i])
			continue
		}
		if i+2 >= len(flat) {
			return "", bad
		}
		hi, lo := strings.IndexByte(hexDigits, flat[i+1]), strings.IndexByte(hexDigits, flat[i+2])
		if hi < 0 || lo < 0 {
			return "", bad
		}
		b.WriteByte(byte(hi<<4 | lo))
		i += 2
	}
	if Escape(b.String()) != name {
		return "", bad
	}
	return b.String(), nil
}

// maxPath is the longest path that programs can name at once on Linux, in bytes, with its final zero.
const maxPath = 4096

// hostile says why a key can't be a path below a root whose own path has so many bytes; empty when it can, as far as the key alone tells.
func hostile(key string, rootLength int) string {
	switch {
	case strings.IndexByte(key, 0) >= 0:
		return "it has a zero byte"
	case strings.IndexByte(key, '\\') >= 0:
		return "it has a backslash"
	case strings.HasPrefix(key, "/"):
		return "it is an absolute path"
	case strings.HasSuffix(key, "/"):
		return "it ends in a slash"
	case rootLength+1+len(key) >= maxPath:
		return "the path is too long"
	}
	first, _, _ := strings.Cut(key, "/")
	if len(first) >= len(reservedPrefix) && strings.EqualFold(first[:len(reservedPrefix)], reservedPrefix) {
		return "the name is one that farshore keeps for itself"
	}
	for part := range strings.SplitSeq(key, "/") {
		switch {
		case part == "":
			return "it has an empty component"
		case part == "." || part == "..":
			return "it has a component " + part
		case len(part) > maxComponent:
			return "a component is too long"
		}
	}
	return ""
}

// spot is a place below the root.
type spot struct {
	folder string // slash-separated; empty: the root itself
	leaf   string
	as     string // the whole, where it is not the item's own path
	why    string // why it is not
}

// natural returns the place under an item's own name.
func natural(key string) spot {
	folder, leaf := path.Split(key)
	return spot{folder: strings.TrimSuffix(folder, "/"), leaf: leaf}
}

// escaped returns the place of an item that can't have its own name.
func escaped(key, why string) spot {
	as := EscapedFolder + "/" + Escape(key)
	s := natural(as)
	s.as, s.why = as, why
	return s
}

// obstacle says that something in the target is where an item, or a folder above it, should be.
type obstacle struct{ why string }

// Error says what.
func (o *obstacle) Error() string { return o.why }

func blocked(format string, args ...any) error { return &obstacle{fmt.Sprintf(format, args...)} }

func isBlocked(err error) (*obstacle, bool) {
	var o *obstacle
	ok := errors.As(err, &o)
	return o, ok
}

// Refused says why a key can't be a path below a root whose own path has so many bytes, as far as the key alone tells; empty when it can. Such an item is
// restored to EscapedFolder, under Escape of its key.
func Refused(key string, rootLength int) string { return hostile(key, rootLength) }

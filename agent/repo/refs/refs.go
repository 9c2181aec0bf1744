// Package refs is the codec of a repository's refs: the full manifest as lines of JSON, and what changed in it since as lines of the same form. Names are
// bytes; nothing is ever normalised. It does no I/O and never asks git.
package refs

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// Object formats.
const (
	SHA1   = "sha1"
	SHA256 = "sha256"
)

// MaxRefs is the largest number of refs of a repository. One of so many takes about 0.4 GiB of memory while it is looked at, where its names have the 128 MiB that
// the sources take at most.
const MaxRefs = 1 << 20

// MaxNames is the largest number of bytes that all names and targets of a repository's refs may have together.
const MaxNames = 128 << 20

// maxName bounds the bytes of a ref's name; git's own protocol can't carry a longer one.
const maxName = 65535

// Ref is one ref of a repository. Name is bytes as git has them. OID is lower-case hexadecimal. Symref is the target when the ref itself is symbolic; then
// OID is what it resolves to, empty when it dangles.
type Ref struct{ Name, OID, Symref string }

// Manifest says where all refs of a repository point. Format is SHA1 or SHA256. Head is what HEAD points to, empty when HEAD is detached or not known; HeadOID
// is the id that a detached HEAD has, empty otherwise. Refs are sorted by the bytes of their names, without HEAD.
type Manifest struct {
	Format, Head, HeadOID string
	Refs                  []Ref
}

// Check returns an error unless the manifest is one that Decode accepts: names as git allows them, sorted and each once, ids of the format's length.
func (m *Manifest) Check() error {
	if err := m.checkHeader(); err != nil {
		return err
	}
	if len(m.Refs) > MaxRefs {
		return fmt.Errorf("refs: there are %d refs, more than %d", len(m.Refs), MaxRefs)
	}
	before := ""
	for i := range m.Refs {
		r := &m.Refs[i]
		if err := r.check(m.Format); err != nil {
			return fmt.Errorf("refs: %w", err)
		}
		if r.Name <= before {
			return fmt.Errorf("refs: %q does not come after %q: refs are sorted by their names' bytes, each once", r.Name, before)
		}
		before = r.Name
	}
	return nil
}

func (m *Manifest) checkHeader() error {
	switch {
	case m.Format != SHA1 && m.Format != SHA256:
		return fmt.Errorf("refs: object format %q is neither sha1 nor sha256", m.Format)
	case m.Head != "" && m.HeadOID != "":
		return fmt.Errorf("refs: HEAD is both symbolic and detached")
	case m.Head != "" && !ValidName(m.Head):
		return fmt.Errorf("refs: HEAD points to %q, which is no ref's name", m.Head)
	case m.HeadOID != "" && !ValidOID(m.Format, m.HeadOID):
		return fmt.Errorf("refs: HEAD's id %q is no %s object id", m.HeadOID, m.Format)
	}
	return nil
}

func (r *Ref) check(format string) error {
	switch {
	case !ValidName(r.Name):
		return fmt.Errorf("%q is no name that git allows for a ref", r.Name)
	case r.Symref != "" && !validTarget(r.Symref):
		return fmt.Errorf("ref %q points to %q, which is no ref's name", r.Name, r.Symref)
	case r.OID == "" && r.Symref == "":
		return fmt.Errorf("ref %q has no object id", r.Name)
	case r.OID != "" && !ValidOID(format, r.OID):
		return fmt.Errorf("ref %q: %q is no %s object id", r.Name, r.OID, format)
	}
	return nil
}

// ValidOID reports whether oid is an object id of the format in lower-case hexadecimal, and not the one of zeros, which stands for none.
func ValidOID(format, oid string) bool {
	want := 40
	if format == SHA256 {
		want = 64
	}
	if len(oid) != want {
		return false
	}
	zero := true
	for i := range len(oid) {
		c := oid[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
		zero = zero && c == '0'
	}
	return !zero
}

// ValidName reports whether name is one that git allows for a ref (git-check-ref-format) and lies below refs/.
func ValidName(name string) bool {
	return strings.HasPrefix(name, "refs/") && validTarget(name)
}

// validTarget holds a name to git's rules, but for where it lies.
func validTarget(name string) bool {
	if name == "" || name == "@" || len(name) > maxName || strings.HasSuffix(name, ".") {
		return false
	}
	start := 0 // of the component
	for i := 0; i <= len(name); i++ {
		if i == len(name) || name[i] == '/' {
			if !validComponent(name[start:i]) {
				return false
			}
			start = i + 1
			continue
		}
		if badByte[name[i]] || i > 0 && (name[i] == '.' && name[i-1] == '.' || name[i] == '{' && name[i-1] == '@') {
			return false
		}
	}
	return true
}

func validComponent(c string) bool {
	return c != "" && c[0] != '.' && !strings.HasSuffix(c, ".lock")
}

// badByte marks what no name may contain.
var badByte = func() (bad [256]bool) {
	for c := range 0x21 {
		bad[c] = true
	}
	for _, c := range []byte("\x7f~^:?*[\\") {
		bad[c] = true
	}
	return bad
}()

// Digest is the hexadecimal SHA-256 of the manifest's encoding: equal exactly for equal manifests.
func (m *Manifest) Digest() string {
	h := sha256.New()
	_, _ = m.WriteTo(h) // a hash takes everything
	return hex.EncodeToString(h.Sum(nil))
}

// Tips returns the distinct object ids that HEAD and the refs point to, those that matter most first: HEAD's, those of refs/heads/, of refs/tags/, the rest,
// each in the order of the refs.
func (m *Manifest) Tips() []string {
	t := tips{seen: make(map[string]struct{}, len(m.Refs)), list: make([]string, 0, len(m.Refs)+1)}
	t.add(m.headOID())
	for rank := range 3 {
		for i := range m.Refs {
			if rankOf(m.Refs[i].Name) == rank {
				t.add(m.Refs[i].OID)
			}
		}
	}
	return t.list
}

type tips struct {
	seen map[string]struct{}
	list []string
}

func (t *tips) add(oid string) {
	if _, ok := t.seen[oid]; ok || oid == "" {
		return
	}
	t.seen[oid] = struct{}{}
	t.list = append(t.list, oid)
}

func rankOf(name string) int {
	switch {
	case strings.HasPrefix(name, "refs/heads/"):
		return 0
	case strings.HasPrefix(name, "refs/tags/"):
		return 1
	}
	return 2
}

// headOID is the id that HEAD resolves to, empty when that is not known.
func (m *Manifest) headOID() string {
	if m.Head == "" {
		return m.HeadOID
	}
	i, ok := slices.BinarySearchFunc(m.Refs, m.Head, func(r Ref, name string) int { return strings.Compare(r.Name, name) })
	if !ok {
		return ""
	}
	return m.Refs[i].OID
}

const (
	sketchSize = 16 // hashes of a sketch
	sketchWord = 16 // hexadecimal digits of each
)

// Sketch is a small sample of the tips by which repositories with common history are found: the 16 least of the SHA-256 hashes of the tips' ids (as
// hexadecimal text), the first 16 digits of each, ascending, joined by commas. That the least are taken makes the samples of similar sets overlap.
func (m *Manifest) Sketch() string {
	var least []string
	for _, oid := range m.Tips() {
		sum := sha256.Sum256([]byte(oid))
		word := hex.EncodeToString(sum[:sketchWord/2])
		i, ok := slices.BinarySearch(least, word)
		if ok || i == sketchSize {
			continue
		}
		least = slices.Insert(least, i, word)
		least = least[:min(len(least), sketchSize)]
	}
	return strings.Join(least, ",")
}

// Similar counts what two sketches have in common, from 0 to 16.
func Similar(a, b string) int {
	if a == "" || b == "" {
		return 0
	}
	words, n := strings.Split(a, ","), 0
	for w := range strings.SplitSeq(b, ",") {
		if i := slices.Index(words, w); i >= 0 {
			words, n = slices.Delete(words, i, i+1), n+1
		}
	}
	return n
}

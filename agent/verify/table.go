package verify

import (
	"crypto/rand"
	"crypto/sha256"
	"math"

	"farshore/agent/record"
)

// maxVersions bounds how many right versions are remembered of names that have several: whoever may add can give every name another.
const maxVersions = 1 << 16

// table is what is known of stored objects by their names in the vault. It has no pointers and no names, so that an object takes 30 to 60 bytes of it. Not safe for
// concurrent use, but for reading alone.
type table struct {
	seed     [16]byte
	objects  map[key]object
	versions map[key]string // the store's ids of right versions, where object.layered says that there is one; at most maxVersions
}

// key stands for a name: 128 bits of a hash that is another in each run, so that nobody can make two names of one key.
type key [16]byte

// object is what is known of a stored object.
type object struct {
	size uint32 // of what was read; nothing that is larger is read, and counts as the largest
	is   facts
	// state is what reading it came to, where it was judged.
	state uint8
}

// facts are what holds of an object.
type facts uint8

const (
	judged  facts = 1 << iota // its state is known
	intact                    // its bytes match its name, and their number what commits and lists say
	absent                    // nothing was read: something names it, and it is not there
	named                     // a commit, or what it needs, names it
	live                      // a newest snapshot needs it
	told                      // its versions and markers are findings already
	layered                   // its name has other versions, or is hidden
)

func newTable() *table {
	t := &table{objects: map[key]object{}, versions: map[key]string{}}
	_, _ = rand.Read(t.seed[:]) // it does not fail
	return t
}

func (t *table) key(name string) key {
	b := make([]byte, 0, 128)
	sum := sha256.Sum256(append(append(b, t.seed[:]...), name...))
	return key(sum[:len(key{})])
}

// get returns what is known of a name.
func (t *table) get(name string) object { return t.objects[t.key(name)] }

// set says that some facts hold of a name as well.
func (t *table) set(name string, is facts) {
	k := t.key(name)
	o := t.objects[k]
	o.is |= is
	t.objects[k] = o
}

// judge keeps what examining an object came to, in place of what was known of it but for what was told.
func (t *table) judge(name string, e *Examined) {
	k := t.key(name)
	o := object{size: sizeOf(e.Size), is: t.objects[k].is&told | judged, state: uint8(e.State)}
	if e.State == Intact {
		o.is |= intact
	}
	if e.Version == "" {
		delete(t.versions, k)
	} else {
		o.is |= layered
		t.keepVersion(k, e.Version)
	}
	t.objects[k] = o
}

func (t *table) keepVersion(k key, id string) {
	if _, known := t.versions[k]; known || len(t.versions) < maxVersions {
		t.versions[k] = id
	}
}

// version returns the store's id of the right version of a name: "" where it has no other, and false where there is one that was not remembered.
func (t *table) version(name string) (id string, known bool) {
	k := t.key(name)
	if t.objects[k].is&layered == 0 {
		return "", true
	}
	id, known = t.versions[k]
	return id, known
}

// need says that something names an object of a size, and returns what was known of it.
func (t *table) need(name string, size int64) (was object) {
	k := t.key(name)
	was = t.objects[k]
	o := was
	switch {
	case o.is&judged == 0:
		o.size, o.is = sizeOf(size), o.is|judged|absent
	case int64(o.size) != size:
		o.is &^= intact
	}
	o.is |= named // also when missing: so it is reported once
	t.objects[k] = o
	return was
}

// unnamed counts the intact objects that nothing names, and their bytes.
func (t *table) unnamed() (n, size int64) {
	for _, o := range t.objects {
		if o.is&(intact|named) == intact {
			n++
			size += int64(o.size)
		}
	}
	return n, size
}

func sizeOf(n int64) uint32 { return uint32(min(max(n, 0), math.MaxUint32)) }

// pathOf is the name of a pack or page in the vault.
func pathOf(name record.Hash, meta bool) string {
	if meta {
		return record.MetaName(name)
	}
	return record.PackName(name)
}

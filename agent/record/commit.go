package record

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"
)

const kindCommit = "commit"

// Commit is what an agent declares: these objects now belong to this source, and this is its root.
type Commit struct {
	// Chain and Seq are as in the commit's name.
	Chain string
	Seq   int64
	// Prev is the hash of the stored bytes of commit Seq-1; nil in the first.
	Prev *Hash
	// Continues is the commit of another chain that this one goes on from; only in a first commit, and nil where there is none.
	Continues *Continues
	// Statement is the hash of the newest statement that the agent knew.
	Statement Hash
	Time      time.Time
	// Source is padded base64 of the sealed source descriptor; in a first commit, and only there.
	Source string
	// Retired is true in the last commit of a source that is no longer replicated.
	Retired bool
	// Complete is true when every range was listed to its end in the pass that this commit ends.
	Complete bool
	// Suspicious says why the change looked like an attack.
	Suspicious []string
	// Accepted says for which reasons an earlier snapshot was suspicious that a person looked at and accepted: this one is measured against that.
	Accepted []string
	// Root is nil only when Retired and never replicated; then List may be nil too.
	Root *Ref
	// List is the public list.
	List *Ref
	// Packs and Meta are what this commit adds.
	Packs, Meta []Ref
	// Adopted are those of Packs that were stored before the agent restarted and found again.
	Adopted []Hash
	Counts  Counts
	// ReadBack says how much of what this commit adds was restored from the vault and compared with the source's hash before it; nil: nothing is said.
	ReadBack *ReadBack
}

// ReadBack are numbers of items, and of bytes of their contents: of the OfItems that rest on packs which were stored for them, and of what these packs have of them, so many
// were restored. An item counts when all that is new of it was.
type ReadBack struct {
	Items, Bytes, OfItems, OfBytes int64
}

// Continues names a commit of another chain.
type Continues struct {
	Chain string
	Seq   int64
	Hash  Hash
}

// Counts are numbers of items, and bytes: Items, Bytes and Unreadable of the snapshot, New, Changed and Deleted of the pass so far.
//
// Raw and Stored are of Packs, of this commit alone: bytes of content before compression, and stored bytes. Both are 0 where nobody counted.
type Counts struct {
	Items, Bytes, Unreadable int64
	New, Changed, Deleted    int64
	Raw, Stored              int64
}

// EncodeCommit writes the commit as one line of JSON without a line feed, or says why no reader would take it.
func EncodeCommit(c *Commit) ([]byte, error) {
	if err := c.check(); err != nil {
		return nil, bodyError(kindCommit, err)
	}
	b := appendStringMember([]byte{'{'}, "chain", c.Chain)
	b = appendIntMember(b, "seq", c.Seq)
	b = appendHashMember(b, "prev", c.Prev)
	if k := c.Continues; k != nil {
		b = appendStringMember(append(appendKey(b, "continues"), '{'), "chain", k.Chain)
		b = appendIntMember(b, "seq", k.Seq)
		b = append(appendHashMember(b, "hash", &k.Hash), '}')
	}
	b = appendHashMember(b, "statement", &c.Statement)
	b = appendTimeMember(b, "time", c.Time)
	b = appendStringMember(b, "source", c.Source)
	b = appendTrueMember(b, "retired", c.Retired)
	b = appendTrueMember(b, "complete", c.Complete)
	b = appendStrings(b, "suspicious", c.Suspicious)
	b = appendStrings(b, "accepted", c.Accepted)
	b = appendRefMember(b, "root", c.Root)
	b = appendRefMember(b, "list", c.List)
	b = appendPairs(b, "packs", c.Packs)
	b = appendPairs(b, "meta", c.Meta)
	b = appendHashes(b, "adopted", c.Adopted)
	b = append(appendKey(b, "counts"), '{')
	b = append(appendCounts(b, &c.Counts), '}')
	if k := c.ReadBack; k != nil {
		b = append(appendKey(b, "read_back"), '{')
		b = append(appendReadBack(b, k), '}')
	}
	return finishBody(kindCommit, append(b, '}'))
}

func appendCounts(dst []byte, c *Counts) []byte {
	dst = appendIntMember(dst, "items", c.Items)
	dst = appendIntMember(dst, "bytes", c.Bytes)
	dst = appendIntMember(dst, "unreadable", c.Unreadable)
	dst = appendIntMember(dst, "new", c.New)
	dst = appendIntMember(dst, "changed", c.Changed)
	dst = appendIntMember(dst, "deleted", c.Deleted)
	if c.Raw == 0 && c.Stored == 0 {
		return dst
	}
	return appendIntMember(appendIntMember(dst, "raw", c.Raw), "stored", c.Stored)
}

func appendReadBack(dst []byte, k *ReadBack) []byte {
	dst = appendIntMember(dst, "items", k.Items)
	dst = appendIntMember(dst, "bytes", k.Bytes)
	dst = appendIntMember(dst, "of_items", k.OfItems)
	return appendIntMember(dst, "of_bytes", k.OfBytes)
}

// DecodeCommit reads a commit's JSON and checks each of its members. It does not check signatures, nor what depends on other commits.
func DecodeCommit(data []byte) (*Commit, error) {
	c := new(Commit)
	read := func(j *jsonReader) error { return j.commit(c) }
	if err := readBody(kindCommit, data, read, c.check); err != nil {
		return nil, err
	}
	return c, nil
}

func (j *jsonReader) commit(c *Commit) error {
	seen, err := j.object(func(name string) error {
		switch name {
		case "chain":
			return j.hex(&c.Chain, chainDigits)
		case "seq":
			return j.int64(&c.Seq, 1, maxSeq)
		case "prev":
			c.Prev = new(Hash)
			return j.hash(c.Prev)
		case "continues":
			c.Continues = new(Continues)
			return j.continues(c.Continues)
		case "statement":
			return j.hash(&c.Statement)
		case "time":
			return j.time(&c.Time)
		case "source":
			return j.string(&c.Source)
		case "retired":
			return j.bool(&c.Retired)
		case "complete":
			return j.bool(&c.Complete)
		case "suspicious":
			return j.strings(&c.Suspicious)
		case "accepted":
			return j.strings(&c.Accepted)
		}
		return j.commitAdds(c, name)
	})
	if err != nil {
		return err
	}
	return seen.need("chain", "seq", "statement", "time", "counts")
}

// commitAdds reads the members that name stored objects, and the counts.
func (j *jsonReader) commitAdds(c *Commit, name string) error {
	switch name {
	case "root":
		c.Root = new(Ref)
		return j.ref(c.Root)
	case "list":
		c.List = new(Ref)
		return j.ref(c.List)
	case "packs":
		return j.pairs(&c.Packs)
	case "meta":
		return j.pairs(&c.Meta)
	case "adopted":
		return j.hashes(&c.Adopted)
	case "counts":
		return j.counts(&c.Counts)
	case "read_back":
		c.ReadBack = new(ReadBack)
		return j.readBack(c.ReadBack)
	}
	return j.skip()
}

func (j *jsonReader) readBack(k *ReadBack) error {
	seen, err := j.object(func(name string) error {
		switch name {
		case "items":
			return j.int64(&k.Items, 0, maxInt)
		case "bytes":
			return j.int64(&k.Bytes, 0, maxInt)
		case "of_items":
			return j.int64(&k.OfItems, 0, maxInt)
		case "of_bytes":
			return j.int64(&k.OfBytes, 0, maxInt)
		}
		return j.skip()
	})
	if err != nil {
		return err
	}
	return seen.need("items", "bytes", "of_items", "of_bytes")
}

func (j *jsonReader) continues(c *Continues) error {
	seen, err := j.object(func(name string) error {
		switch name {
		case "chain":
			return j.hex(&c.Chain, chainDigits)
		case "seq":
			return j.int64(&c.Seq, 1, maxSeq)
		case "hash":
			return j.hash(&c.Hash)
		}
		return j.skip()
	})
	if err != nil {
		return err
	}
	return seen.need("chain", "seq", "hash")
}

func (j *jsonReader) counts(c *Counts) error {
	seen, err := j.object(func(name string) error {
		switch name {
		case "items":
			return j.int64(&c.Items, 0, maxInt)
		case "bytes":
			return j.int64(&c.Bytes, 0, maxInt)
		case "unreadable":
			return j.int64(&c.Unreadable, 0, maxInt)
		case "new":
			return j.int64(&c.New, 0, maxInt)
		case "changed":
			return j.int64(&c.Changed, 0, maxInt)
		case "deleted":
			return j.int64(&c.Deleted, 0, maxInt)
		case "raw":
			return j.int64(&c.Raw, 0, maxInt)
		case "stored":
			return j.int64(&c.Stored, 0, maxInt)
		}
		return j.skip()
	})
	if err != nil {
		return err
	}
	return seen.need("items", "bytes", "unreadable", "new", "changed", "deleted")
}

func (c *Commit) check() error {
	switch {
	case !isHex(c.Chain, chainDigits):
		return fmt.Errorf("chain %s is not %d digits of 0-9a-f", quote(c.Chain), chainDigits)
	case c.Seq < 1 || c.Seq > maxSeq:
		return at("seq", between(c.Seq, 1, maxSeq))
	case c.Statement.IsZero():
		return errors.New("statement is missing")
	case c.Root == nil && !c.Retired:
		return errors.New("root is missing, and the source is not retired")
	case c.Root != nil && c.List == nil:
		return errors.New("list is missing")
	case slices.Contains(c.Suspicious, ""):
		return errors.New("suspicious has an empty reason")
	case slices.Contains(c.Accepted, ""):
		return errors.New("accepted has an empty reason")
	}
	if err := at("time", checkTime(c.Time)); err != nil {
		return err
	}
	if err := c.checkFirst(); err != nil {
		return err
	}
	return cmp.Or(c.checkRefs(), at("counts", c.Counts.check()), at("read_back", c.ReadBack.check()))
}

// checkFirst holds what only the first commit of a chain has, and what only the others have.
func (c *Commit) checkFirst() error {
	if c.Seq > 1 {
		switch {
		case c.Prev == nil || c.Prev.IsZero():
			return errors.New("prev is missing")
		case c.Continues != nil || c.Source != "":
			return errors.New("continues or source stands in another commit than the first")
		}
		return nil
	}
	switch k := c.Continues; {
	case c.Prev != nil:
		return errors.New("prev stands in the first commit")
	case c.Source == "":
		return errors.New("source is missing in the first commit")
	case k == nil:
	case !isHex(k.Chain, chainDigits) || k.Chain == c.Chain:
		return fmt.Errorf("continues: chain %s is not the id of another chain", quote(k.Chain))
	case k.Seq < 1 || k.Seq > maxSeq || k.Hash.IsZero():
		return errors.New("continues: seq or hash is missing")
	}
	_, err := decodeBase64(paddedBase64, c.Source)
	return at("source", err)
}

func (c *Commit) checkRefs() error {
	for _, r := range []*Ref{c.Root, c.List} {
		if r == nil {
			continue
		}
		if err := r.check(); err != nil {
			return fmt.Errorf("root or list: %w", err)
		}
	}
	packs := make(map[Hash]bool, len(c.Packs))
	if err := checkUnique("packs", c.Packs, packs); err != nil {
		return err
	}
	if err := checkUnique("meta", c.Meta, make(map[Hash]bool, len(c.Meta))); err != nil {
		return err
	}
	for i, h := range c.Adopted {
		if !packs[h] {
			return at("adopted", atIndex(i, fmt.Errorf("%s is not among packs, or given twice", h)))
		}
		delete(packs, h)
	}
	return nil
}

// checkUnique refuses references that no object can have, and names given twice. It leaves the names in seen.
func checkUnique(name string, list []Ref, seen map[Hash]bool) error {
	return checkAll(name, list, func(r *Ref) error {
		if seen[r.Name] {
			return fmt.Errorf("%s is given twice", r.Name)
		}
		seen[r.Name] = true
		return r.check()
	})
}

func (c *Counts) check() error {
	for _, n := range []int64{c.Items, c.Bytes, c.Unreadable, c.New, c.Changed, c.Deleted, c.Raw, c.Stored} {
		if err := between(n, 0, maxInt); err != nil {
			return err
		}
	}
	return nil
}

func (k *ReadBack) check() error {
	if k == nil {
		return nil
	}
	for _, n := range []int64{k.Items, k.Bytes, k.OfItems, k.OfBytes} {
		if err := between(n, 0, maxInt); err != nil {
			return err
		}
	}
	if k.Items > k.OfItems || k.Bytes > k.OfBytes {
		return errors.New("more was read back than there is")
	}
	return nil
}

package svn

import (
	"context"
	"fmt"
	"io"

	"farshore/agent/record"
	"farshore/agent/repo/svndump"
)

// dumping makes one link of a chain.
type dumping struct {
	c    *capture
	kept []link // links that stay
	old  []link // links whose revisions are dumped again
	from int64

	next  int64 // the revision that must come next
	again int   // the one of old whose revisions come now
	sums  *lineSums
	list  digestList
	props []svndump.Sum
}

// run dumps the revisions from d.from to to, and puts the link into the chain.
func (d *dumping) run(ctx context.Context, to int64) error {
	d.next, d.list, d.props, d.again, d.sums = d.from, digestList{from: d.from}, nil, 0, newLineSums()
	s, err := d.c.repo.dump(ctx, d.from, to)
	if err != nil {
		return err
	}
	defer s.Close()
	tee := svndump.NewTee(s, d.revision)
	defer tee.Close()
	l := link{from: d.from, to: to}
	part := record.Part{Kind: record.PartDump, Base: d.base(), Attrs: rangeAttrs(d.from, to)}
	if l.dump, err = d.c.sink.Part(ctx, part, -1, tee); err != nil {
		return err
	}
	if d.next != to+1 {
		return &svndump.FormatError{Offset: l.dump.Size, Detail: fmt.Sprintf("the dump ends before revision %d in place of after %d", d.next, to)}
	}
	l.dump.Attrs[attrDigest] = d.list.digest(to)
	part = record.Part{Kind: record.PartDigests, Attrs: rangeAttrs(d.from, to)}
	if l.digests, err = d.c.sink.Part(ctx, part, -1, &d.list); err != nil {
		return err
	}
	d.c.chain = append(d.kept, l)
	d.c.dumped(d.from, d.props)
	return nil
}

// base is the digest of the last revision before the link.
func (d *dumping) base() string {
	if len(d.kept) == 0 {
		return ""
	}
	return d.kept[len(d.kept)-1].digest()
}

// revision takes note of a revision that passes by. It is called while the sink reads.
func (d *dumping) revision(r *svndump.Revision) error {
	if r.Number != d.next {
		return &svndump.FormatError{Detail: fmt.Sprintf("revision %d comes in place of %d", r.Number, d.next)}
	}
	if err := d.compare(r); err != nil {
		return err
	}
	d.next++
	d.list.add(r)
	d.props = append(d.props, r.Props)
	return nil
}

// compare compares revisions that are dumped again with what was recorded of them.
func (d *dumping) compare(r *svndump.Revision) error {
	if d.again == len(d.old) {
		return nil
	}
	d.sums.add(r)
	l := &d.old[d.again]
	if r.Number < l.to {
		return nil
	}
	if !d.sums.are(&l.digests) {
		return fmt.Errorf("%w: revisions %d to %d differ", errReplaced, l.from, l.to)
	}
	d.again, d.sums = d.again+1, newLineSums()
	return nil
}

// digestList has the digests of a run of revisions and reads as their lines. It is all that a capture holds of each new revision: with the digest of its
// properties, 65 bytes.
type digestList struct {
	from   int64
	sums   []svndump.Sum
	strong []bool

	read int // revisions whose lines were read
	rest []byte
}

func (l *digestList) add(r *svndump.Revision) {
	sum := r.MD5
	if r.Strong {
		sum = r.SHA1
	}
	l.sums, l.strong = append(l.sums, sum), append(l.strong, r.Strong)
}

func (l *digestList) at(i int) *svndump.Revision {
	return &svndump.Revision{Number: l.from + int64(i), Strong: l.strong[i], SHA1: l.sums[i], MD5: l.sums[i]}
}

func (l *digestList) digest(revision int64) string { return l.at(int(revision - l.from)).Digest() }

// Read reads the lines.
func (l *digestList) Read(p []byte) (int, error) {
	for len(l.rest) == 0 {
		if l.read == len(l.sums) {
			return 0, io.EOF
		}
		l.rest = []byte(l.at(l.read).Line())
		l.read++
	}
	n := copy(p, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}

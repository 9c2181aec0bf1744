package vault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"sort"

	"farshore/agent/record"
)

// Snapshot is the state of a source as of one commit. Its methods may be called concurrently.
type Snapshot struct {
	vault *Vault
	// Commit is the commit that it is the state of.
	Commit *Commit
	root   *record.Root
	ranges []record.RootRange
}

// Snapshot opens the snapshot of a commit. It needs a metadata or recovery identity: ErrLocked says that there is none.
func (v *Vault) Snapshot(ctx context.Context, c *Commit) (*Snapshot, error) {
	if c.Root == nil {
		return nil, fmt.Errorf("commit %d has no snapshot", c.Seq)
	}
	root, err := decodePage(ctx, v, c.Root.Name, record.DecodeRoot)
	if err != nil {
		return nil, err
	}
	s := &Snapshot{vault: v, Commit: c, root: root, ranges: root.Ranges}
	for _, p := range root.Pages {
		ranges, err := decodePage(ctx, v, p.Name, record.DecodeRanges)
		if err != nil {
			return nil, err
		}
		s.ranges = append(s.ranges, ranges...)
	}
	return s, nil
}

// Source describes the source as of the snapshot.
func (s *Snapshot) Source() record.Place { return s.root.Source }

// Filter returns the include and exclude patterns that were in force.
func (s *Snapshot) Filter() (include, exclude []string) { return s.root.Include, s.root.Exclude }

// Ranges are the ranges of paths that the snapshot consists of, ascending, with the segments of each, newest first. They must not be changed.
func (s *Snapshot) Ranges() []record.RootRange { return s.ranges }

// Root is what the snapshot's root page says besides its ranges. It must not be changed.
func (s *Snapshot) Root() *record.Root { return s.root }

// Records yields the records with from ≤ path, and path < to unless to is empty, in order. Deleted items are not among them. After an error
// it stops.
func (s *Snapshot) Records(ctx context.Context, from, to string) iter.Seq2[*record.Record, error] {
	return func(yield func(*record.Record, error) bool) {
		m := s.merge(ctx, from, to)
		defer m.close()
		for {
			r, _, err := m.next()
			if err == io.EOF {
				return
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if r.State == record.Deleted {
				continue
			}
			if !yield(r, nil) {
				return
			}
		}
	}
}

// Prefix yields the records whose paths begin with prefix.
func (s *Snapshot) Prefix(ctx context.Context, prefix string) iter.Seq2[*record.Record, error] {
	return s.Records(ctx, prefix, After(prefix))
}

// After returns the smallest path greater than all that begin with prefix, and "" when there is none.
func After(prefix string) string {
	b := []byte(prefix)
	for len(b) > 0 {
		if b[len(b)-1] < 0xff {
			b[len(b)-1]++
			return string(b)
		}
		b = b[:len(b)-1]
	}
	return ""
}

// Find returns the current record of one path, or nil.
func (s *Snapshot) Find(ctx context.Context, path string) (*record.Record, error) {
	for r, err := range s.Records(ctx, path, path+"\x00") {
		return r, err
	}
	return nil, nil
}

// merge reads the stacks of the ranges between from and to as one ordered stream.
func (s *Snapshot) merge(ctx context.Context, from, to string) *merger {
	first := sort.Search(len(s.ranges), func(i int) bool { return s.ranges[i].To == "" || s.ranges[i].To > from })
	last := first
	for last < len(s.ranges) && (to == "" || s.ranges[last].From < to) {
		last++
	}
	return newMerger(ctx, s.vault, s.ranges[first:last], from, to)
}

// merger joins the segments of consecutive ranges: of several records with one key the one of the earliest segment in the stack holds. A segment that
// serves several ranges is read once, from front to back. Not safe for concurrent use.
type merger struct {
	ctx      context.Context
	cancel   context.CancelFunc
	vault    *Vault
	ranges   []record.RootRange
	from, to string
	lastUse  map[record.Hash]int
	cursors  map[record.Hash]*cursor
	stack    []*cursor
	at       int                  // index of the range that stack belongs to, -1 before the first
	lost     map[record.Hash]bool // segments that are passed over; may be nil
}

func newMerger(ctx context.Context, v *Vault, ranges []record.RootRange, from, to string) *merger {
	m := &merger{vault: v, ranges: ranges, from: from, to: to, at: -1, lastUse: map[record.Hash]int{}, cursors: map[record.Hash]*cursor{}}
	m.ctx, m.cancel = context.WithCancel(ctx)
	for i, r := range ranges {
		for _, s := range r.Segments {
			m.lastUse[s.Name] = i
		}
	}
	return m
}

func (m *merger) close() {
	m.cancel()
	for _, c := range m.cursors {
		c.wait()
	}
	m.cursors = nil
}

// next returns the next record in force, deleted ones too, and its level in the range's stack. io.EOF ends it.
func (m *merger) next() (*record.Record, int, error) {
	for {
		r, level, err := m.pop()
		if err != nil {
			return nil, 0, err
		}
		if r != nil {
			return r, level, nil
		}
		if m.at+1 >= len(m.ranges) {
			return nil, 0, io.EOF
		}
		if err := m.enter(m.at + 1); err != nil {
			return nil, 0, err
		}
	}
}

// enter moves to range i: segments that no later range needs are closed, those of its stack opened and brought to its beginning.
func (m *merger) enter(i int) error {
	m.at = i
	for name, c := range m.cursors {
		if m.lastUse[name] < i {
			c.stop()
			delete(m.cursors, name)
		}
	}
	r := m.ranges[i]
	start := max(r.From, m.from)
	m.stack = m.stack[:0]
	for _, s := range r.Segments {
		if m.lost[s.Name] {
			m.stack = append(m.stack, &cursor{err: io.EOF}) // levels are positions in the stack
			continue
		}
		c := m.cursors[s.Name]
		if c == nil {
			c = openCursor(m.ctx, m.vault, s.Name)
			m.cursors[s.Name] = c
		}
		if err := c.seek(start); err != nil {
			return err
		}
		m.stack = append(m.stack, c)
	}
	return nil
}

// pop takes the least record of the current range from its stack; nil means that the range has no more.
func (m *merger) pop() (*record.Record, int, error) {
	if m.at < 0 {
		return nil, 0, nil
	}
	best := -1
	for i, c := range m.stack {
		r := c.peek()
		if r == nil || !m.inside(r.Path) {
			continue
		}
		if best < 0 || record.Compare(r, m.stack[best].peek()) < 0 {
			best = i
		}
	}
	if best < 0 {
		return nil, 0, nil
	}
	winner := m.stack[best].peek()
	for _, c := range m.stack {
		if r := c.peek(); r != nil && record.Compare(r, winner) == 0 {
			if err := c.advance(); err != nil {
				return nil, 0, err
			}
		}
	}
	return winner, best, nil
}

func (m *merger) inside(path string) bool {
	r := m.ranges[m.at]
	return (r.To == "" || path < r.To) && (m.to == "" || path < m.to)
}

// cursor reads one segment forward. A goroutine of its own decodes ahead, so that decoding and joining share the cores.
type cursor struct {
	name    record.Hash
	cancel  context.CancelFunc
	batches chan batch
	done    chan struct{}
	cur     []*record.Record
	err     error // ends the batch
}

type batch struct {
	records []*record.Record
	err     error
}

// cursorBatch is how many records are handed over at a time: enough to make the hand-over cheap, few enough to keep memory small.
const cursorBatch = 128

func openCursor(ctx context.Context, v *Vault, name record.Hash) *cursor {
	ctx, cancel := context.WithCancel(ctx)
	c := &cursor{name: name, cancel: cancel, batches: make(chan batch, 2), done: make(chan struct{})}
	go c.decode(ctx, v)
	return c
}

func (c *cursor) decode(ctx context.Context, v *Vault) {
	defer close(c.done)
	send := func(b batch) bool {
		select {
		case c.batches <- b:
			return true
		case <-ctx.Done():
			return false
		}
	}
	r, err := v.page(ctx, c.name)
	if err != nil {
		send(batch{err: err})
		return
	}
	sr, err := record.NewSegmentReader(r)
	for err == nil {
		recs := make([]*record.Record, 0, cursorBatch)
		for len(recs) < cursorBatch && err == nil {
			var rec *record.Record
			if rec, err = sr.Next(); err == nil {
				recs = append(recs, rec)
			}
		}
		if !send(batch{records: recs}) {
			return
		}
	}
	if err != io.EOF {
		err = &DamageError{record.MetaName(c.name), err}
	}
	send(batch{err: err})
}

// fill makes cur non-empty, or sets err.
func (c *cursor) fill() {
	for len(c.cur) == 0 && c.err == nil {
		select {
		case b := <-c.batches:
			c.cur, c.err = b.records, b.err
		case <-c.done:
			select {
			case b := <-c.batches:
				c.cur, c.err = b.records, b.err
			default:
				c.err = context.Canceled
			}
		}
	}
}

// peek returns the current record, nil at the end. seek or advance have filled it.
func (c *cursor) peek() *record.Record {
	if len(c.cur) == 0 {
		return nil
	}
	return c.cur[0]
}

func (c *cursor) advance() error {
	c.cur = c.cur[1:]
	return c.ready()
}

func (c *cursor) ready() error {
	c.fill()
	if len(c.cur) == 0 && !errors.Is(c.err, io.EOF) {
		return c.err
	}
	return nil
}

// seek moves forward to the first record whose path is not less than from.
func (c *cursor) seek(from string) error {
	if err := c.ready(); err != nil {
		return err
	}
	for r := c.peek(); r != nil && r.Path < from; r = c.peek() {
		if err := c.advance(); err != nil {
			return err
		}
	}
	return nil
}

func (c *cursor) stop() {
	c.cancel()
	c.wait()
}

func (c *cursor) wait() { c.cancel(); <-c.done }

// Segments are the segments that the snapshot consists of, each once.
func (s *Snapshot) Segments() []record.Ref {
	seen := map[record.Hash]bool{}
	var out []record.Ref
	for _, r := range s.ranges {
		for _, seg := range r.Segments {
			if !seen[seg.Name] {
				seen[seg.Name] = true
				out = append(out, seg.Ref)
			}
		}
	}
	return out
}

// Segment yields the records of one segment as they are stored, deletions included. After an error it stops.
func (v *Vault) Segment(ctx context.Context, ref record.Ref) iter.Seq2[*record.Record, error] {
	return func(yield func(*record.Record, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		c := openCursor(ctx, v, ref.Name)
		defer func() { cancel(); c.wait() }()
		for {
			if err := c.ready(); err != nil {
				yield(nil, err)
				return
			}
			r := c.peek()
			if r == nil || !yield(r, nil) {
				return
			}
			c.cur = c.cur[1:]
		}
	}
}

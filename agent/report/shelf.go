package report

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"farshore/agent/record"
	"farshore/agent/vault"
	"farshore/providers"
)

// Entry is a stored report that counts.
type Entry struct {
	// Name is where it lies, Seq the number in it, Hash the hash of its stored bytes, and Size how many they are.
	Name string
	Seq  int64
	Hash record.Hash
	Size int64
	// Signer is the id of its key, Role what makes it count.
	Signer, Role string
	Time         time.Time
	// Kind is its type. One of the following is what it says, and none of a type that is not known.
	Kind       string
	Drill      *HeaderDrill
	Commitment *Commitment
	Audit      *Audit
	// Trimmed says that its lists were dropped, and that those of its findings and damages are counted in Omitted and MoreDamaged: Load reads it whole.
	Trimmed bool

	prev record.Hash // zero in the first
}

// UnderWay reports whether a commitment is so young at that time that its audit may still come; an older one was abandoned.
func (e *Entry) UnderWay(now time.Time) bool { return now.Sub(e.Time) < underWay }

func (e *Entry) set(b Body) {
	switch b := b.(type) {
	case *HeaderDrill:
		e.Drill = b
	case *Commitment:
		e.Commitment = b
	case *Audit:
		e.Audit = b
	}
}

// Shelf is what a vault has below reports/.
type Shelf struct {
	// Drill is the newest header drill that counts, by its time; nil where there is none.
	Drill *Entry
	// Counted is how many reports count, of whatever type.
	Counted int64
	// Entries are the reports that count, newest first: of each signer the newest MaxEntries.
	Entries []*Entry
	// Abandoned are the commitments that no audit of the same signer reveals, newest first: of each signer the newest maxAbandoned. Of one that is UnderWay the audit may
	// still come.
	Abandoned []*Entry
	// Findings are what does not count, and why: at most maxFindings.
	Findings []vault.Finding

	read time.Time         // when it was read
	last map[string]*Entry // the newest audit of each signer that is no drill, whole
}

// Bounds of a Shelf. They hold for each signer, so that who has one key takes nothing from the others.
const (
	// MaxEntries is how many reports of a signer are kept: those of more than ten years, with one audit a day.
	MaxEntries = 8192
	// maxWhole is how many of them, the newest, are kept whole, and maxWholeBytes how many stored bytes those have together; a decoded one takes up to a few times as many. Of the
	// others some 2 kB are kept. A signer's newest audit is always whole.
	maxWhole      = 1000
	maxWholeBytes = 24 << 20
	maxAbandoned  = 1000
	// underWay is for how long after its commitment an audit may still come.
	underWay = 24 * time.Hour
)

// LastAudit returns the signer's newest audit of what is stored, whole: a drill of a snapshot is none. Nil where there is none.
func (s *Shelf) LastAudit(signer string) *Entry { return s.last[signer] }

// Damaged returns the packs and pages that are known to be damaged, by the hash in their names: those that the newest audit of any signer says, and the drills since.
func (s *Shelf) Damaged() map[record.Hash]bool {
	out := map[record.Hash]bool{}
	add := func(a *Audit) {
		for i := range a.Damaged {
			if h, ok := a.Damaged[i].name(); ok {
				out[h] = true
			}
		}
	}
	for _, e := range s.last {
		add(e.Audit)
	}
	for _, e := range s.Entries {
		if last := s.last[e.Signer]; e.Audit != nil && e.Audit.Mode == ModeDrill && (last == nil || e.Seq > last.Seq) {
			add(e.Audit)
		}
	}
	return out
}

// kept is what is kept of one signer's reports, oldest first.
type kept struct {
	entries []*Entry
	whole   int   // how many at the end are whole
	bytes   int64 // that those have
	// commitments by their hashes; nil is one that was revealed.
	commitments map[record.Hash]*Entry
}

// keep takes a report that counts, and trims what is older than what is kept whole.
func (s *shelf) keep(e *Entry) {
	k := &s.lane.kept
	s.match(e)
	if e.Audit != nil && e.Audit.Mode != ModeDrill {
		whole := *e
		s.last[e.Signer] = &whole
	}
	k.entries = append(k.entries, e)
	k.whole++
	k.bytes += e.Size
	for k.whole > 1 && (k.whole > maxWhole || k.bytes > maxWholeBytes) {
		old := k.entries[len(k.entries)-k.whole]
		k.whole--
		k.bytes -= old.Size
		old.trim()
	}
	if len(k.entries) > MaxEntries {
		k.entries = k.entries[1:]
	}
}

// match finds the commitment of an audit: the same signer must have stored it before, and no other audit may have revealed it.
func (s *shelf) match(e *Entry) {
	k := &s.lane.kept
	if e.Commitment != nil {
		if k.commitments == nil {
			k.commitments = map[record.Hash]*Entry{}
		}
		k.commitments[e.Hash] = e
	}
	if e.Audit == nil || e.Audit.Commitment == nil {
		return
	}
	switch c, stored := k.commitments[*e.Audit.Commitment]; {
	case !stored:
		s.note(vault.Damage, e.Name, "its commitment %s is not stored before it: nothing shows that nobody chose what it drew", *e.Audit.Commitment)
	case c == nil:
		s.note(vault.Tampering, e.Name, "its commitment %s is that of an earlier audit: one draw was reported twice", *e.Audit.Commitment)
	default:
		k.commitments[*e.Audit.Commitment] = nil
	}
}

// endKept puts what is kept of a signer's reports into the shelf.
func (s *shelf) endKept() {
	k := &s.lane.kept
	s.Entries = append(s.Entries, k.entries...)
	open := slices.Collect(maps.Values(k.commitments))
	open = slices.DeleteFunc(open, func(e *Entry) bool { return e == nil })
	slices.SortFunc(open, newestFirst)
	if len(open) > maxAbandoned {
		s.note(vault.Notice, Room+s.lane.signer+"/", "%d more commitments without an audit are not listed", len(open)-maxAbandoned)
		open = open[:maxAbandoned]
	}
	s.Abandoned = append(s.Abandoned, open...)
	*k = kept{}
}

// arrange sorts what was kept.
func (s *shelf) arrange() {
	slices.SortFunc(s.Entries, newestFirst)
	slices.SortFunc(s.Abandoned, newestFirst)
}

func newestFirst(a, b *Entry) int {
	return cmp.Or(b.Time.Compare(a.Time), cmp.Compare(b.Name, a.Name))
}

// trim drops what may be long. The bodies are copied: others may have them.
func (e *Entry) trim() {
	e.Trimmed = true
	if e.Drill != nil {
		d := *e.Drill
		d.Heads, d.Omitted, d.Findings = nil, d.Omitted+int64(len(d.Findings)), nil
		e.Drill = &d
	}
	if e.Commitment != nil {
		c := *e.Commitment
		c.Heads = nil
		e.Commitment = &c
	}
	if e.Audit != nil {
		a := *e.Audit
		a.MoreDamaged, a.Damaged = a.MoreDamaged+int64(len(a.Damaged)), nil
		a.Omitted, a.Findings = a.Omitted+int64(len(a.Findings)), nil
		a.MoreSources, a.Sources = a.MoreSources+int64(len(a.Sources)), nil
		a.Heads, a.Parts, a.Ledger, a.NotChecked, a.Sealed, a.Store = nil, nil, Ledger{}, nil, "", nil
		e.Audit = &a
	}
}

// Load reads a report of the shelf again, whole, and its stored bytes. Errors are the store's, or that something else is there now.
func Load(ctx context.Context, v *vault.Vault, e *Entry) (*Entry, []byte, error) {
	s := &shelf{v: v}
	s.lane.key, s.lane.known = s.keyOf(e.Signer)
	for n, err := range v.Bucket().Names(ctx, e.Name, "") {
		if err != nil {
			return nil, nil, err
		}
		if n.Name != e.Name {
			continue
		}
		b, err := s.fetch(ctx, n)
		switch {
		case err != nil:
			return nil, nil, err
		case b.why != nil:
			return nil, nil, &vault.DamageError{Object: e.Name, Err: b.why}
		}
		whole, err := s.open(b)
		if err == nil && whole.Hash != e.Hash {
			err = &vault.DamageError{Object: e.Name, Err: fmt.Errorf("it is another report than before")}
		}
		if err != nil {
			return nil, nil, err
		}
		whole.Name, whole.Seq, whole.Signer = e.Name, e.Seq, e.Signer
		return whole, b.stored, nil
	}
	return nil, nil, &providers.Error{Kind: providers.NotFound, Op: "read", Name: e.Name, Err: fmt.Errorf("it is no longer listed")}
}

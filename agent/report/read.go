package report

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"farshore/agent/record"
	"farshore/agent/vault"
	"farshore/crypto/sign"
	"farshore/providers"
)

// Roles of those whose reports count. Agents sign reports, but no header drill: an agent has no recovery key, and a drill that its key signed was made up.
const (
	RoleOwner   = "owner"
	RoleAuditor = record.RoleAuditor
	RoleAgent   = record.RoleAgent
)

// Bounds of a reading. Whoever may create below reports/ can create without end.
const (
	// maxNames is the most names that are listed of one signer, and of all that are nobody's, maxRead the most objects that are read of one signer and do not count, and maxReadBytes
	// about how many bytes he may have: who has one key, or none, must not keep the others' reports from being read. maxCounted is the most that count: of eleven years, with an audit
	// an hour.
	maxNames     = 200_000
	maxRead      = 20_000
	maxCounted   = 195_000
	maxReadBytes = 4 << 30
	// maxFindings is the most findings that are kept.
	maxFindings = 1000
	// readAhead is how many reports are read at a time: they are small, and the wait for each is the store's latency.
	readAhead = 16
)

// Read looks through the vault's reports and says which count: signed by the owner, or by an auditor or agent of the owner's at the report's time, for this vault,
// and chained to the signer's report before. The rest is ignored, and noted as what it is. Memory is bounded (MaxEntries and maxWhole), whatever lies there. An error is the
// store's.
func Read(ctx context.Context, v *vault.Vault) (*Shelf, error) {
	s := &shelf{v: v, keeps: true, Shelf: Shelf{read: time.Now(), last: map[string]*Entry{}}}
	if err := s.room(ctx); err != nil {
		return nil, err
	}
	s.arrange()
	return &s.Shelf, nil
}

// nothingGiven returns why no report was read where the store withheld some and gave none: then it is the reader who may not read reports.
func (s *shelf) nothingGiven() error {
	if s.given {
		return nil
	}
	return s.withheld
}

// shelf is a reading under way. Names of a listing come in order, so that one signer's reports follow one another.
type shelf struct {
	Shelf
	v        *vault.Vault
	keeps    bool // entries are wanted
	lane     lane
	names    int
	seen     int          // of the lane, that do not count
	counted  int          // of the lane, that do
	spent    atomic.Int64 // bytes that were read of the lane
	flooded  bool         // some of the lane was not looked at
	junk     int
	batch    []providers.Name
	given    bool  // the store gave the bytes of one
	withheld error // why it did not give those of another
}

// lane is what is known of one signer's reports.
type lane struct {
	signer string
	key    sign.PublicKey
	known  bool
	// last is the hash of the newest report that counts, of that time.
	last record.Hash
	time time.Time
	// free is the lowest number above that report's that no name has.
	free int64
	// stray counts names of a signer that is not known.
	stray int
	// wanted is a hash to look for, and found the name of the report that counts and has it.
	wanted record.Hash
	found  string
	kept
}

func (s *shelf) note(sev vault.Severity, object, format string, args ...any) {
	if len(s.Findings) < maxFindings {
		s.Findings = append(s.Findings, vault.Finding{Severity: sev, Object: object, Text: fmt.Sprintf(format, args...)})
	}
}

// take puts a name into the batch of its signer.
func (s *shelf) take(ctx context.Context, n providers.Name) error {
	signer, _, err := ParseName(n.Name)
	if err != nil {
		s.junk++
		return nil
	}
	if signer != s.lane.signer {
		if err := s.endLane(ctx); err != nil {
			return err
		}
		key, known := s.keyOf(signer)
		s.lane = lane{signer: signer, key: key, known: known, free: 1, wanted: s.lane.wanted}
		s.seen, s.counted, s.flooded = 0, 0, false
		s.spent.Store(0)
	}
	switch {
	case !s.lane.known:
		s.lane.stray++
		return nil
	case s.seen >= maxRead || s.counted >= maxCounted || s.spent.Load() > int64(maxReadBytes):
		if !s.flooded {
			s.note(vault.Tampering, Room+signer+"/", "it has more than %d objects that do not count, %d reports, or %d bytes of them: those from %s on were not looked at", maxRead, maxCounted, int64(maxReadBytes), n.Name)
		}
		s.flooded = true
		return nil
	}
	s.seen++
	if s.batch = append(s.batch, n); len(s.batch) < readAhead {
		return nil
	}
	return s.flush(ctx)
}

// endLane ends a signer's reports.
func (s *shelf) endLane(ctx context.Context) error {
	if s.lane.stray > 0 {
		s.note(vault.Tampering, Room+s.lane.signer+"/", "the owner never named this key: what it has here, %d objects, was ignored", s.lane.stray)
	}
	if err := s.flush(ctx); err != nil {
		return err
	}
	s.endKept()
	return nil
}

// flush reads the batch, all at a time, and takes its reports in order.
func (s *shelf) flush(ctx context.Context) error {
	bodies := make([]body, len(s.batch))
	g, gctx := errgroup.WithContext(ctx)
	for i, n := range s.batch {
		g.Go(func() (err error) {
			bodies[i], err = s.fetch(gctx, n)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for i := range s.batch {
		s.given = s.given || bodies[i].given
		s.withheld = cmp.Or(s.withheld, bodies[i].withheld)
		s.judge(s.batch[i], bodies[i])
	}
	s.batch = s.batch[:0]
	return nil
}

// keyOf returns the public key of a signer whose reports may count.
func (s *shelf) keyOf(id string) (sign.PublicKey, bool) {
	if owner := s.v.Owner(); owner.ID() == id {
		return owner, true
	}
	for _, st := range s.v.Statements() {
		if signer := st.Statement.Signer(id); signer != nil && (signer.RolesHas(RoleAuditor) || signer.RolesHas(RoleAgent)) {
			key, err := sign.ParsePublic(signer.Key)
			return key, err == nil
		}
	}
	return sign.PublicKey{}, false
}

// body is what was found under a name.
type body struct {
	stored []byte
	signed sign.Signed
	// why is why nothing under the name counts; missing that the store had nothing to give.
	why     error
	missing bool
	// beneath is true where a plain read sees something else.
	beneath bool
	// given is true where the store gave the bytes of a version, withheld why it did not where it gives others.
	given    bool
	withheld error
}

// fetch reads the oldest version of a name whose signature is right: what was there before anybody overwrote it.
func (s *shelf) fetch(ctx context.Context, n providers.Name) (body, error) {
	b := body{why: errors.New("it is hidden, and nothing lies beneath"), missing: true}
	key := s.lane.key
	for _, ver := range n.Oldest {
		if ver.Marker {
			continue
		}
		if ver.Size > MaxSize {
			b.why, b.missing = fmt.Errorf("it has %d bytes, and a report at most %d", ver.Size, MaxSize), false
			continue
		}
		stored, err := s.v.Bucket().ReadVersion(ctx, n.Name, ver.ID, MaxSize)
		switch kind := providers.KindOf(err); {
		case kind == providers.NotFound, kind == providers.Corrupt:
			b.why, b.missing = err, true
			continue
		case err != nil && s.v.Withheld(ctx, err):
			b.why, b.missing, b.withheld = err, true, err
			continue
		case err != nil:
			return body{}, err
		}
		b.given = true
		s.spent.Add(int64(len(stored)))
		signed, err := sign.Parse(sign.KindReport, stored)
		if err == nil {
			err = signed.Verify(s.v.ID(), key)
		}
		if err == nil {
			b.stored, b.signed, b.why, b.missing, b.beneath = stored, signed, nil, false, !ver.Current
			return b, nil
		}
		b.why, b.missing = err, false
	}
	return b, nil
}

// judge decides whether a report counts.
func (s *shelf) judge(n providers.Name, b body) {
	_, seq, err := ParseName(n.Name)
	if err != nil {
		return
	}
	l := &s.lane
	if seq == l.free {
		l.free++
	}
	switch {
	case b.missing:
		s.note(vault.Damage, n.Name, "the report can't be read: %v", b.why)
		return
	case b.why != nil:
		s.note(vault.Tampering, n.Name, "ignored: %v", b.why)
		return
	}
	if b.beneath {
		s.note(vault.Tampering, n.Name, "the signed report is hidden by something else, and was read from beneath")
	}
	r, err := s.open(b)
	if err != nil {
		s.note(vault.Tampering, n.Name, "ignored: %v", err)
		return
	}
	r.Name, r.Seq, r.Signer = n.Name, seq, l.signer
	if l.follow(s, r) {
		s.count(r)
	}
}

// follow checks that the report goes on where the signer's last one ended.
func (l *lane) follow(s *shelf, r *Entry) bool {
	switch {
	case r.Hash == l.last:
		s.note(vault.Tampering, r.Name, "ignored: it repeats the report before it")
		return false
	case r.Time.Before(l.time):
		s.note(vault.Tampering, r.Name, "ignored: its time %s lies before that of the report before it", record.FormatTime(r.Time))
		return false
	case r.prev != l.last:
		s.note(vault.Damage, r.Name, "the report before it, %s, is missing or was replaced", orNone(r.prev))
	}
	if r.Hash == l.wanted {
		l.found = r.Name
	}
	l.last, l.time, l.free = r.Hash, r.Time, max(l.free, r.Seq+1)
	return true
}

func orNone(h record.Hash) string {
	if h.IsZero() {
		return "of which it says that there was none"
	}
	return h.String()
}

// count takes a report into the shelf.
func (s *shelf) count(r *Entry) {
	s.Counted++
	s.seen, s.counted = s.seen-1, s.counted+1
	if r.Drill != nil && (s.Drill == nil || r.Time.After(s.Drill.Time)) {
		whole := *r
		s.Drill = &whole
	}
	if s.keeps {
		s.keep(r)
	}
}

// open decodes a report whose signature is right, and holds it to its signer's role.
func (s *shelf) open(b body) (*Entry, error) {
	o, err := decodeOpening(b.signed.JSON)
	if err != nil {
		return nil, err
	}
	r := &Entry{Hash: sha256.Sum256(b.stored), Time: o.Time, Kind: cut(o.Type), Size: int64(len(b.stored))}
	if o.Prev != nil {
		r.prev = *o.Prev
	}
	if r.Role = roleOf(s.v, b.signed.KeyID, o.Time, o.Type); r.Role == "" {
		return nil, fmt.Errorf("%w: key %s, type %.40q, at %s", ErrNotEntitled, b.signed.KeyID, o.Type, record.FormatTime(o.Time))
	}
	made := newBody(o.Type)
	if made == nil {
		return r, nil
	}
	if err := decodeBody(b.signed.JSON, made); err != nil {
		return nil, err
	}
	if made.common().vault.String() != s.v.ID() {
		return nil, errors.New("it says that it is about another vault")
	}
	r.set(made)
	return r, nil
}

// roleOf returns what entitles a key to a report of the type at that time, "" for nothing.
func roleOf(v *vault.Vault, id string, at time.Time, kind string) string {
	if v.Owner().ID() == id {
		return RoleOwner
	}
	signer := standing(v, id, at)
	switch {
	case signer == nil:
		return ""
	case signer.RolesHas(RoleAuditor):
		return RoleAuditor
	case signer.RolesHas(RoleAgent) && kind != TypeHeaderDrill:
		return RoleAgent
	}
	return ""
}

// standing returns the signer of that id as the last statement has it that names it; nil where that one does not cover the time, or where a later statement, which no
// longer names it, is not later than the time.
func standing(v *vault.Vault, id string, at time.Time) *record.Signer {
	all := v.Statements()
	var dropped time.Time
	for i := len(all) - 1; i >= 0; i-- {
		signer := all[i].Signer(id)
		if signer == nil {
			dropped = all[i].Time
			continue
		}
		if !signer.Covers(at) || !dropped.IsZero() && !at.Before(dropped) {
			return nil
		}
		return signer
	}
	return nil
}

package report

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
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

// Report is a stored report that counts.
type Report struct {
	// Name is where it lies, Hash the hash of its stored bytes.
	Name string
	Hash record.Hash
	// Signer is the id of its key, Role what makes it count.
	Signer, Role string
	// Drill is what it says.
	Drill *HeaderDrill
}

// Shelf is what a vault has below reports/.
type Shelf struct {
	// Drill is the newest header drill that counts, by its time; nil where there is none.
	Drill *Report
	// Counted is how many reports count, of whatever type.
	Counted int64
	// Findings are what does not count, and why: at most maxFindings.
	Findings []vault.Finding
}

// Bounds of a reading. Whoever may create below reports/ can create without end.
const (
	// maxNames is the most names that are listed, maxRead the most objects that are read of one signer: who has one key must not keep the others' reports from being read.
	maxNames = 200_000
	maxRead  = 20_000
	// maxFindings is the most findings that are kept.
	maxFindings = 1000
	// readAhead is how many reports are read at a time: they are small, and the wait for each is the store's latency.
	readAhead = 16
)

// Read looks through the vault's reports and says which count: signed by the owner, or by an auditor or agent of the owner's at the report's time, for this vault,
// and chained to the signer's report before. The rest is ignored, and noted as what it is. Memory is flat. An error is the store's.
func Read(ctx context.Context, v *vault.Vault) (*Shelf, error) {
	s := &shelf{v: v}
	if err := s.read(ctx, Room); err != nil {
		return nil, err
	}
	return &s.Shelf, nil
}

// nothingGiven returns why no report was read where the store withheld some and gave none: then it is the reader who may not read reports.
func (s *shelf) nothingGiven() error {
	if s.given {
		return nil
	}
	return s.withheld
}

// shelf is a reading under way. Names come in order, so that one signer's reports follow one another.
type shelf struct {
	Shelf
	v        *vault.Vault
	lane     lane
	names    int
	seen     int // of the lane
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
}

func (s *shelf) note(sev vault.Severity, object, format string, args ...any) {
	if len(s.Findings) < maxFindings {
		s.Findings = append(s.Findings, vault.Finding{Severity: sev, Object: object, Text: fmt.Sprintf(format, args...)})
	}
}

// read reads what lies below the prefix.
func (s *shelf) read(ctx context.Context, prefix string) error {
	s.lane.free = 1
	for n, err := range s.v.Bucket().Names(ctx, prefix, "") {
		if err != nil {
			return err
		}
		if record.IsCanary(n.Name) {
			continue
		}
		if s.names++; s.names > maxNames {
			s.note(vault.Tampering, Room, "it has more than %d objects: somebody floods it, and those behind %s were not looked at", maxNames, n.Name)
			break
		}
		if err := s.take(ctx, n); err != nil {
			return err
		}
	}
	if err := s.endLane(ctx); err != nil {
		return err
	}
	if err := s.nothingGiven(); err != nil {
		return err
	}
	if s.junk > 0 {
		s.note(vault.Tampering, Room, "%d objects whose names are not those of reports were ignored", s.junk)
	}
	return nil
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
		s.seen = 0
	}
	switch {
	case !s.lane.known:
		s.lane.stray++
		return nil
	case s.seen >= maxRead:
		if s.seen == maxRead {
			s.note(vault.Tampering, Room+signer+"/", "it has more than %d reports: those from %s on were not looked at", maxRead, n.Name)
		}
		s.seen++
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
	return s.flush(ctx)
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
	r.Name, r.Signer = n.Name, l.signer
	if l.follow(s, r, seq) {
		s.count(r)
	}
}

// follow checks that the report goes on where the signer's last one ended.
func (l *lane) follow(s *shelf, r *entry, seq int64) bool {
	switch {
	case r.Hash == l.last:
		s.note(vault.Tampering, r.Name, "ignored: it repeats the report before it")
		return false
	case r.time.Before(l.time):
		s.note(vault.Tampering, r.Name, "ignored: its time %s lies before that of the report before it", record.FormatTime(r.time))
		return false
	case r.prev != l.last:
		s.note(vault.Damage, r.Name, "the report before it, %s, is missing or was replaced", orNone(r.prev))
	}
	if r.Hash == l.wanted {
		l.found = r.Name
	}
	l.last, l.time, l.free = r.Hash, r.time, max(l.free, seq+1)
	return true
}

func orNone(h record.Hash) string {
	if h.IsZero() {
		return "of which it says that there was none"
	}
	return h.String()
}

// count takes a report into the shelf.
func (s *shelf) count(r *entry) {
	s.Counted++
	if r.Drill != nil && (s.Drill == nil || r.Drill.Time.After(s.Drill.Drill.Time)) {
		s.Drill = &r.Report
	}
}

// entry is a report with what chains it.
type entry struct {
	Report
	prev record.Hash
	time time.Time
}

// open decodes a report whose signature is right, and holds it to its signer's role.
func (s *shelf) open(b body) (*entry, error) {
	kind, prev, at, err := decodeCommon(b.signed.JSON)
	if err != nil {
		return nil, err
	}
	r := &entry{Report: Report{Hash: sha256.Sum256(b.stored)}, prev: prev, time: at}
	if r.Role = roleOf(s.v, b.signed.KeyID, at, kind); r.Role == "" {
		return nil, fmt.Errorf("%w: key %s, type %.40q, at %s", ErrNotEntitled, b.signed.KeyID, kind, record.FormatTime(at))
	}
	if kind != TypeHeaderDrill {
		return r, nil
	}
	if r.Drill, err = DecodeHeaderDrill(b.signed.JSON); err == nil && r.Drill.Vault.String() != s.v.ID() {
		err = errors.New("it says that it is about another vault")
	}
	return r, err
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

package git

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"farshore/agent/record"
	"farshore/agent/repo/refs"
	"farshore/agent/source"
	"farshore/agent/source/git/local"
	"farshore/agent/source/git/wire"
)

// attempts is how often the refs are read again when what they pointed to is gone by the time that the pack is made.
const attempts = 5

// Capture captures the item: the history builds upon what last has; LFS objects wait for the history's capture in this pass, which finds them.
func (s *Source) Capture(ctx context.Context, e source.Entry, last *record.Record, sink source.Sink) (*record.Record, error) {
	r := s.at(e.Path)
	var rec *record.Record
	var err error
	switch e.Kind {
	case record.KindGit:
		rec, err = s.captureHistory(ctx, r, good(last), good(e.Before), sink)
	case record.KindLFS:
		rec, err = s.captureLFS(ctx, r, good(last), sink)
	case record.KindSidecar:
		rec, err = s.captureSidecar(ctx, r, sink)
	default:
		return nil, fmt.Errorf("a git source has no items of kind %q", e.Kind)
	}
	if err != nil {
		return nil, s.failure(ctx, r, err)
	}
	rec.Path, rec.Kind, rec.State = e.Path, e.Kind, record.Present
	return rec, nil
}

// good is the record that has parts: the last one, or what an unreadable one keeps.
func good(last *record.Record) *record.Record {
	if last != nil && last.State == record.Unreadable {
		last = last.Last
	}
	if last == nil || last.State != record.Present {
		return nil
	}
	return last
}

// captureHistory has the repository's turn, whatever comes of it. before is what the repository was, where last is nil.
func (s *Source) captureHistory(ctx context.Context, r *repository, last, before *record.Record, sink source.Sink) (*record.Record, error) {
	t := s.take(r)
	var out *outcome
	defer func() { t.finish(out) }()
	b, err := s.open(ctx, r)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	h := &history{source: s, repo: r, backend: b, sink: sink}
	if h.last, err = load(ctx, sink, last); err != nil {
		return nil, err
	}
	if h.before = h.last; h.last == nil {
		h.compareWith(ctx, before)
	}
	rec, got, err := h.capture(ctx)
	if err != nil {
		return nil, err
	}
	out = s.kept(r, got)
	return rec, nil
}

// history is one capture of a history.
type history struct {
	source  *Source
	repo    *repository
	backend backend
	sink    source.Sink
	last    *chain // what there is already; nil: nothing
	before  *chain // what refs are compared with: last, or one that nothing is built upon
	leader  *chain // of the fork network, once it was asked for
	asked   bool

	// What the packs of this attempt showed.
	now         *refs.Manifest
	out         outcome
	lfs         bool
	fsckOmitted string
	lost        bool // refs point to objects that are missing at the source, and that the chain has
	refsLost    refs.Lost
	refsBefore  refs.Lost // where there is no before
	damage      string    // what git fsck says of objects that are missing or wrong at the source
}

// capture reads the refs and what they reach, and again when that is gone meanwhile.
func (h *history) capture(ctx context.Context) (*record.Record, *outcome, error) {
	var failed error
	seen := "" // digest of the refs as the attempt before found them: adopt adds to what is asked for
	still := 0 // attempts that failed although nothing had moved
	for range attempts {
		now, err := h.backend.Refs(ctx)
		if err != nil {
			return nil, nil, err
		}
		if failed != nil && seen == now.Digest() && !moved(failed) {
			if still++; still > 1 {
				return nil, nil, failed // it is the repository
			}
		}
		h.now, seen = now, now.Digest()
		h.adopt()
		rec, err := h.take(ctx)
		if err == nil {
			return rec, &h.out, nil
		}
		if ctx.Err() != nil || !retriable(err) {
			return nil, nil, err
		}
		failed = err
	}
	if moved(failed) {
		return nil, nil, failed
	}
	return nil, nil, fmt.Errorf("%w: %w", local.ErrMoved, failed)
}

// adopt takes refs up again whose objects are missing at the source by now, where the chain has them: they are still what the repository says, and can be restored.
func (h *history) adopt() {
	h.lost = false
	l, ok := h.backend.(interface{ Lost() []refs.Ref })
	if !ok || h.last == nil || len(h.last.packs) == 0 || h.last.format() != h.now.Format {
		return
	}
	known := map[string]bool{}
	for _, oid := range h.last.manifest.Tips() {
		known[oid] = true
	}
	now := *h.now
	now.Refs = slices.Clone(now.Refs)
	for _, ref := range l.Lost() {
		switch {
		case !known[ref.OID]:
			continue
		case ref.Name == "HEAD":
			now.HeadOID = ref.OID
		default:
			now.Refs = append(now.Refs, ref)
		}
		h.lost = true
	}
	slices.SortFunc(now.Refs, func(a, b refs.Ref) int { return strings.Compare(a.Name, b.Name) })
	h.now = &now
}

// moved reports whether the repository says that its refs changed.
func moved(err error) bool { return errors.Is(err, wire.ErrMoved) || errors.Is(err, local.ErrMoved) }

// retriable reports whether an error can come of refs that were changed while a pack was made.
func retriable(err error) bool {
	var sink *sinkError
	var bad *source.Unreadable
	return !errors.As(err, &sink) && !errors.As(err, &bad) && !errors.Is(err, source.ErrGone)
}

// take captures what the refs reach now.
func (h *history) take(ctx context.Context) (*record.Record, error) {
	h.out, h.lfs, h.fsckOmitted, h.damage = outcome{}, false, "", ""
	if err := fits(h.now, maxLines); err != nil {
		return nil, err
	}
	next, err := h.next(ctx)
	if err != nil {
		return nil, err
	}
	if err := h.storeRefs(ctx, next); err != nil {
		return nil, err
	}
	if err := h.countLost(ctx); err != nil {
		return nil, err
	}
	rec := next.record()
	rec.Attrs = h.attrs(next)
	h.out.rec = rec
	return rec, nil
}

// next is the chain after this capture, but for its refs.
func (h *history) next(ctx context.Context) (*chain, error) {
	wants := h.now.Tips()
	if h.last == nil || h.last.format() != h.now.Format || len(h.last.packs) == 0 && len(wants) > 0 {
		return h.begin(ctx, wants)
	}
	if !h.lost && h.last.damaged() {
		whole, err := h.repaired(ctx)
		if err != nil {
			return nil, err
		}
		if whole {
			return h.base(ctx, wants)
		}
	}
	return h.goOn(ctx, wants)
}

// goOn is the chain of the last record with what is new.
func (h *history) goOn(ctx context.Context, wants []string) (*chain, error) {
	if h.last.manifest.Digest() == h.now.Digest() {
		h.out.from = h.now.Digest()
		return h.last.clone(), nil
	}
	h.out.from = h.last.manifest.Digest()
	wants = without(wants, h.last.manifest.Tips())
	if len(wants) == 0 {
		return h.last.clone(), nil
	}
	if h.lost { // only the chain as it is has what the source lost
		return h.append(ctx, h.last.clone(), wants, h.last.manifest.Tips())
	}
	if h.last.due(h.source.now()) {
		return h.renew(ctx)
	}
	switch h.last.growth(h.source.increments) {
	case rebase:
		return h.base(ctx, h.now.Tips())
	case condense:
		return h.condense(ctx)
	}
	return h.append(ctx, h.last.clone(), wants, h.last.manifest.Tips())
}

// begin makes the first chain: as what differs from the leader of the fork network, where there is one, else a self-contained pack.
func (h *history) begin(ctx context.Context, tips []string) (*chain, error) {
	leader, err := h.network(ctx)
	if err != nil {
		return nil, err
	}
	if leader == nil || leader.format() != h.now.Format || len(leader.packs) == 0 || len(tips) == 0 || leader.damaged() {
		return h.base(ctx, tips)
	}
	reached := leader.manifest.Tips()
	c := &chain{packs: leader.clone().packs, shared: len(leader.packs), taken: true, based: leader.based}
	h.lfs, h.out.joined, h.out.from = leader.usesLFS(), true, ""
	if c, err = h.append(ctx, c, without(tips, reached), reached); err != nil {
		return nil, err
	}
	return c, h.describe(ctx, c, reached)
}

// base makes a chain of one self-contained pack.
func (h *history) base(ctx context.Context, tips []string) (*chain, error) {
	h.out.from = ""
	c, err := h.append(ctx, &chain{shared: 1, based: h.source.now().UTC().Format(time.RFC3339)}, tips, nil)
	if err != nil {
		return nil, err
	}
	return c, h.describe(ctx, c, tips)
}

// renew begins anew: upon the packs of the fork network's leader where they are young enough, else with a self-contained one.
func (h *history) renew(ctx context.Context) (*chain, error) {
	leader, err := h.network(ctx)
	if err != nil {
		return nil, err
	}
	if leader != nil && !leader.due(h.source.now()) {
		return h.begin(ctx, h.now.Tips())
	}
	return h.base(ctx, h.now.Tips())
}

// condense replaces all packs behind the shared ones by a single one.
func (h *history) condense(ctx context.Context) (*chain, error) {
	reached, err := h.last.reached(ctx, h.sink)
	if err != nil {
		return nil, err
	}
	c := h.last.clone()
	c.packs = c.packs[:c.shared]
	return h.append(ctx, c, without(h.now.Tips(), reached), reached)
}

// append adds the pack with what wants reach and haves do not, unless it is empty.
func (h *history) append(ctx context.Context, c *chain, wants, haves []string) (*chain, error) {
	if len(wants) == 0 {
		return c, nil
	}
	haves = haves[:min(len(haves), maxHaves)]
	p, err := h.storePack(ctx, wants, haves, c.trailer())
	if err != nil || p == nil {
		return c, err
	}
	c.packs = append(c.packs, *p)
	h.out.wants, h.out.haves = wants, haves
	return c, nil
}

// network returns what was captured of the fork network's leader, nil when there is none.
func (h *history) network(ctx context.Context) (*chain, error) {
	if h.asked || h.repo.leader == nil {
		return h.leader, nil
	}
	out, err := h.source.wait(ctx, h.repo.leader)
	if err != nil && !errors.Is(err, errGivenUp) {
		return nil, err
	}
	h.asked = true
	if out != nil {
		h.leader, err = load(ctx, h.sink, out.rec)
	}
	return h.leader, err
}

// errGivenUp says that a history was not captured in this pass, as far as anybody waited.
var errGivenUp = errors.New("the repository's history was not captured in this pass")

// wait waits for the capture of a history in this pass. nil: it failed. errGivenUp: it did not begin.
//
// That can't deadlock: the agent begins captures in order of paths, and whoever waits does so for one before itself, while a capture that has not begun
// after some time is not waited for, by others either.
func (s *Source) wait(ctx context.Context, r *repository) (*outcome, error) {
	t := s.turnOf(r)
	if !t.begun() {
		timer := time.NewTimer(s.patience)
		defer timer.Stop()
		select {
		case <-t.started:
		case <-timer.C:
			t.giveUp()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	select {
	case <-t.ended:
		if t.givenUp {
			return nil, errGivenUp
		}
		return t.outcome, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// attrs are the attributes of the record.
func (h *history) attrs(c *chain) record.Attrs {
	m := h.now
	a := record.Attrs{
		attrFormat: m.Format, attrRefs: m.Digest(), attrCount: strconv.Itoa(len(m.Refs)), attrSketch: m.Sketch(),
		attrHead: head(m), attrCaptured: h.source.now().UTC().Format(time.RFC3339), attrBased: c.based,
	}
	kept := record.Attrs{attrParent: h.repo.parent, record.AttrOmitted: lines(h.omitted()), record.AttrLost: h.refsLost.String(), attrFsck: h.fsckOmitted}
	if h.last != nil && h.out.from != "" {
		kept[attrFsck] = h.last.attrs[attrFsck]
	}
	if c.taken {
		kept[attrShared] = strconv.Itoa(c.shared)
	}
	if h.lfs || h.last != nil && h.last.usesLFS() {
		kept[attrLFS] = yes
	}
	maps.DeleteFunc(kept, func(_, v string) bool { return v == "" })
	maps.Copy(a, kept)
	return a
}

// omitted is what the capture lacks, a line each.
func (h *history) omitted() []string {
	list := split(h.backend.Omitted())
	if h.damage != "" {
		list = append([]string{noteDamage + h.damage + noteRepair}, list...)
	}
	return list
}

// head is what HEAD points to.
func head(m *refs.Manifest) string {
	if m.Head != "" {
		return m.Head
	}
	return m.HeadOID
}

// without returns the ids that are not among known, in their order.
func without(ids, known []string) []string {
	set := make(map[string]bool, len(known))
	for _, k := range known {
		set[k] = true
	}
	var list []string
	for _, id := range ids {
		if !set[id] {
			list = append(list, id)
		}
	}
	return list
}

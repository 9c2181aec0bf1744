package git

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"farshore/agent/record"
	"farshore/agent/repo/gitpack"
	"farshore/agent/source"
	"farshore/agent/source/git/lfs"
	"farshore/agent/source/git/local"
	"farshore/agent/source/git/wire"
)

// maxObjects is how many LFS objects of a repository are captured: its record lists all of them.
const maxObjects = 1 << 16

// captureLFS adds to the LFS objects that the last record has those that the history points to since, and tries again those that were missing.
func (s *Source) captureLFS(ctx context.Context, r *repository, last *record.Record, sink source.Sink) (*record.Record, error) {
	defer s.forget(r)
	out, err := s.wait(ctx, r)
	if errors.Is(err, errGivenUp) {
		return nil, &source.Unreadable{Reason: record.ReasonChanging, Detail: err.Error() + ", which says what LFS objects there are: the next pass tries again"}
	}
	if err != nil {
		return nil, err
	}
	if out == nil {
		return nil, errLeft
	}
	c := &collection{source: s, repo: r, sink: sink, last: last, history: out, missing: map[string]string{}}
	return c.capture(ctx)
}

// collection is one capture of a repository's LFS objects.
type collection struct {
	source  *Source
	repo    *repository
	sink    source.Sink
	last    *record.Record
	history *outcome

	parts   []record.Part
	wanted  pointers          // what the vault does not have yet
	missing map[string]string // of these, what could not be had, and why
	notes   []string          // what may be missing beyond that
}

func (c *collection) capture(ctx context.Context) (*record.Record, error) {
	have, err := c.keep(ctx)
	if err != nil {
		return nil, err
	}
	found, err := c.find(ctx)
	if err != nil {
		return nil, err
	}
	if found.more {
		c.notes = append(c.notes, fmt.Sprintf("%s: there are more than %d LFS objects, which are the most of a repository", noteObjects, maxObjects))
	}
	c.wanted.addAll(sorted(found))
	c.fit(have)
	if err := c.fetch(ctx); err != nil {
		return nil, err
	}
	return c.record(ctx)
}

// keep takes over the objects that the last record has, and wants those that it missed.
func (c *collection) keep(ctx context.Context) (have map[string]bool, err error) {
	have = map[string]bool{}
	if c.last == nil {
		return have, nil
	}
	for _, p := range c.last.Parts {
		if p.Kind == record.PartLFS {
			c.parts = append(c.parts, p)
			have[hex.EncodeToString(p.SHA256[:])] = true
		}
	}
	state := c.last.Part(record.PartState)
	if state == nil {
		return have, nil
	}
	b, err := c.sink.Read(ctx, state)
	if err != nil {
		return nil, fromSink(err)
	}
	for line := range bytes.Lines(b) {
		var p lfs.Pointer
		if _, err := fmt.Sscanf(string(line), "%64s %d", &p.OID, &p.Size); err == nil && len(p.OID) == 64 {
			c.wanted.add(p.OID, p.Size)
		}
	}
	return have, nil
}

// fit drops from what is wanted what is there, and what would be too much.
func (c *collection) fit(have map[string]bool) {
	maps.DeleteFunc(c.wanted.size, func(oid string, _ int64) bool { return have[oid] })
	over := len(c.wanted.size) + len(c.parts) - maxObjects
	if over <= 0 {
		return
	}
	for _, p := range sorted(c.wanted)[len(c.wanted.size)-over:] {
		delete(c.wanted.size, p.OID)
	}
	c.notes = append(c.notes, fmt.Sprintf("%s: %d LFS objects are more than the %d that a repository has at most", noteObjects, over, maxObjects))
}

const noteObjects, notePointers = "objects", "pointers"

// find returns the pointers that the last record does not account for.
func (c *collection) find(ctx context.Context) (pointers, error) {
	h := c.history
	covered := ""
	if c.last != nil {
		covered = c.last.Attrs[attrRefs]
	}
	follows := !h.joined && (h.from == "" || h.from == covered)
	switch {
	case h.rec.Attrs[attrLFS] != yes:
		return pointers{}, nil
	case covered == h.rec.Attrs[attrRefs]:
		c.keepNotes()
		return pointers{}, nil
	case follows && !h.unknown:
		return h.pointers, nil
	case follows:
		return c.scan(ctx, h.wants, h.haves)
	}
	history, err := load(ctx, c.sink, h.rec)
	if err != nil || history == nil {
		return pointers{}, err
	}
	return c.scan(ctx, history.manifest.Tips(), nil)
}

// keepNotes says again what no further attempt makes good.
func (c *collection) keepNotes() {
	for _, l := range split(c.last.Attrs[record.AttrOmitted]) {
		if strings.HasPrefix(l, noteObjects+": ") || strings.HasPrefix(l, notePointers+": ") {
			c.notes = append(c.notes, l)
		}
	}
}

// scan looks at all small blobs that wants reach and haves do not. Where wants are gone meanwhile it looks at what the refs reach now.
func (c *collection) scan(ctx context.Context, wants, haves []string) (pointers, error) {
	b, err := c.source.open(ctx, c.repo)
	if err != nil {
		return pointers{}, err
	}
	defer b.Close()
	found, err := c.scanOnce(ctx, b, wants, haves)
	if err == nil || ctx.Err() != nil || aboutItself(err) {
		return found, err
	}
	now, rerr := b.Refs(ctx)
	if rerr != nil {
		return found, err
	}
	if found, err = c.scanOnce(ctx, b, now.Tips(), nil); err == nil {
		c.notes = append(c.notes, notePointers+": refs changed while they were looked for; objects of what was removed meanwhile may be missing")
	}
	return found, err
}

func (c *collection) scanOnce(ctx context.Context, b backend, wants, haves []string) (found pointers, err error) {
	if here, ok := b.(*local.Repository); ok {
		list, err := here.Pointers(ctx, wants, haves)
		found.addAll(list)
		return found, err
	}
	stream, err := b.(*wire.Remote).Small(ctx, wants, haves)
	if err != nil {
		return found, err
	}
	defer stream.Close()
	facts, err := gitpack.Transcode(io.Discard, stream, gitpack.Options{IDSize: idSize(c.history.rec.Attrs[attrFormat]), Raw: true, Pointer: found.add})
	if facts.Unresolved > 0 {
		c.notes = append(c.notes, fmt.Sprintf("%s: %d small files could not be looked into; if they stand for LFS objects these are missing", notePointers, facts.Unresolved))
	}
	return found, err
}

// fetch stores what is wanted and can be had.
func (c *collection) fetch(ctx context.Context) error {
	want := sorted(c.wanted)
	if len(want) == 0 {
		return nil
	}
	for _, p := range want {
		c.missing[p.OID] = "not reached"
	}
	switch c.source.address.scheme {
	case schemeFile:
		return c.fetchLocal(ctx, want)
	case schemeHTTP, schemeHTTPS:
		return c.fetchRemote(ctx, want)
	}
	for _, p := range want {
		c.missing[p.OID] = "LFS objects are read over https only: write a git+https address"
	}
	return nil
}

func (c *collection) fetchLocal(ctx context.Context, want []lfs.Pointer) error {
	r, err := c.source.openLocal(ctx, c.repo)
	if err != nil {
		return err
	}
	defer r.Close()
	for _, p := range want {
		if err := c.fetchFile(ctx, r, p); err != nil {
			return err
		}
	}
	return nil
}

func (c *collection) fetchFile(ctx context.Context, r *local.Repository, p lfs.Pointer) error {
	body, size, err := r.LFSObject(p.OID)
	if err != nil {
		c.missing[p.OID] = err.Error()
		if errors.Is(err, fs.ErrNotExist) {
			c.missing[p.OID] = "it is not in the repository: run git lfs fetch --all there"
		}
		return nil
	}
	defer body.Close()
	return c.store(ctx, p, size, body)
}

// store stores an object, and takes it if it is the one that its name says.
func (c *collection) store(ctx context.Context, p lfs.Pointer, size int64, body io.Reader) error {
	part, bad, err := store(ctx, c.sink, record.Part{Kind: record.PartLFS}, size, body)
	switch {
	case err != nil:
		return err
	case bad != nil:
		c.missing[p.OID] = bad.Error()
	case hex.EncodeToString(part.SHA256[:]) != p.OID:
		c.missing[p.OID] = fmt.Sprintf("what is there has %d bytes and SHA-256 %x", part.Size, part.SHA256)
	default:
		c.parts = append(c.parts, part)
		delete(c.missing, p.OID)
	}
	return ctx.Err()
}

// fetchRemote downloads. A server that fails as a whole leaves the rest missing, to be tried again.
func (c *collection) fetchRemote(ctx context.Context, want []lfs.Pointer) error {
	o := c.source.o
	client := lfs.New(c.repo.url, lfs.Options{Username: o.Username, Password: o.Password, Client: o.Client, UserAgent: o.UserAgent})
	var own error
	err := client.Fetch(ctx, want, func(p lfs.Pointer, body io.Reader, err error) error {
		if err != nil {
			c.missing[p.OID] = err.Error()
			return nil
		}
		own = c.store(ctx, p, p.Size, body)
		return own
	})
	switch {
	case own != nil:
		return own
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		for oid, why := range c.missing {
			if why == "not reached" {
				c.missing[oid] = err.Error()
			}
		}
	}
	return nil
}

// record is the record of what there is now.
func (c *collection) record(ctx context.Context) (*record.Record, error) {
	slices.SortFunc(c.parts, func(a, b record.Part) int { return bytes.Compare(a.SHA256[:], b.SHA256[:]) })
	rec := &record.Record{Attrs: record.Attrs{attrRefs: c.history.rec.Attrs[attrRefs]}, Parts: c.parts}
	if omitted := append(c.notes, c.missed()...); len(omitted) > 0 {
		rec.Attrs[record.AttrOmitted] = lines(omitted)
	}
	if len(c.missing) == 0 {
		return rec, nil
	}
	var state bytes.Buffer
	for _, oid := range slices.Sorted(maps.Keys(c.missing)) {
		fmt.Fprintf(&state, "%s %d\n", oid, c.wanted.size[oid])
	}
	p, err := c.sink.Lines(ctx, record.Part{Kind: record.PartState}, state.Bytes())
	rec.Parts = append(rec.Parts, p)
	return rec, fromSink(err)
}

// missed names the objects that could not be had.
func (c *collection) missed() (list []string) {
	for _, oid := range slices.Sorted(maps.Keys(c.missing)) {
		list = append(list, fmt.Sprintf("LFS object %s (%d bytes): %s", oid, c.wanted.size[oid], c.missing[oid]))
	}
	return list
}

// sorted are the pointers in order of their ids.
func sorted(p pointers) []lfs.Pointer {
	list := make([]lfs.Pointer, 0, len(p.size))
	for _, oid := range slices.Sorted(maps.Keys(p.size)) {
		list = append(list, lfs.Pointer{OID: oid, Size: p.size[oid]})
	}
	return list
}

package git

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"farshore/agent/record"
	"farshore/agent/repo/refs"
	"farshore/agent/source"
)

const (
	// maxHaves is how many tips a pack builds upon, and how many of them a chain remembers for later: servers take no more, and a request of that many
	// is 1 MB.
	maxHaves = 20000
	// maxIncrements is how many packs follow the self-contained one before they are replaced by one: restoring takes a run of git for each.
	maxIncrements = 60
	// maxAge is the age of a self-contained pack with which it is replaced when something is to be added.
	maxAge = 30 * 24 * time.Hour
	// minFull is the size in bytes up to which changes of refs are never worth a new full manifest.
	minFull = 16 << 10
)

// Attributes of pack parts.
const (
	attrObjects    = "objects"
	attrTrailer    = "trailer"
	attrIDs        = "ids"
	attrSourceSize = "source-size"
	attrThin       = "thin"
)

// chain is what a record has of a history.
type chain struct {
	attrs    record.Attrs
	manifest *refs.Manifest // as of the record
	base     *refs.Manifest // that of the full part
	full     record.Part
	delta    *record.Part
	tips     record.Part // what the first shared packs reach
	fsck     *record.Part
	packs    []record.Part
	shared   int    // packs that later ones are counted against: 1, or those taken over from a fork network's leader
	taken    bool   // they are taken over
	based    string // when the first of them was made
}

// load reads the chain of a record. nil: there is none, or none that can be built upon, so that a new one is begun.
func load(ctx context.Context, sink source.Sink, rec *record.Record) (*chain, error) {
	if rec == nil || rec.Part(record.PartRefs) == nil || rec.Part(record.PartTips) == nil {
		return nil, nil
	}
	c := &chain{attrs: rec.Attrs, full: *rec.Part(record.PartRefs), tips: *rec.Part(record.PartTips),
		delta: rec.Part(record.PartRefsDelta), fsck: rec.Part(record.PartFsck), shared: 1}
	for _, p := range rec.Parts {
		if p.Kind == record.PartPack {
			c.packs = append(c.packs, p)
		}
	}
	if n, err := strconv.Atoi(rec.Attrs[attrShared]); err == nil && n > 0 && n <= len(c.packs) {
		c.shared, c.taken = n, true
	}
	if c.based = rec.Attrs[attrBased]; c.based == "" {
		c.based = rec.Attrs[attrCaptured]
	}
	full, err := sink.Read(ctx, &c.full)
	if err != nil {
		return nil, fromSink(err)
	}
	if c.base, err = refs.Decode(full); err != nil {
		return nil, nil
	}
	return c.current(ctx, sink)
}

// current applies what changed since the full manifest.
func (c *chain) current(ctx context.Context, sink source.Sink) (*chain, error) {
	c.manifest = c.base
	if c.delta != nil {
		delta, err := sink.Read(ctx, c.delta)
		if err != nil {
			return nil, fromSink(err)
		}
		if c.manifest, err = refs.Apply(c.base, delta); err != nil {
			return nil, nil
		}
	}
	if c.manifest.Digest() != c.attrs[attrRefs] {
		return nil, nil
	}
	return c, nil
}

func (c *chain) format() string { return c.manifest.Format }

func (c *chain) usesLFS() bool { return c.attrs[attrLFS] == yes }

// due reports whether the chain is so old that it is begun anew when it grows: what a server left out, or what was damaged unseen, heals by that.
func (c *chain) due(now time.Time) bool {
	made, err := time.Parse(time.RFC3339, c.based)
	age := now.Sub(made)
	return err != nil || age >= maxAge || age < -24*time.Hour // a clock was wrong
}

// damaged reports whether objects were missing or wrong at the source when its packs were made.
func (c *chain) damaged() bool { return c.damage() != "" }

// damage is what git fsck said of objects at the source by then.
func (c *chain) damage() string {
	for line := range strings.Lines(c.attrs[record.AttrOmitted]) {
		if said, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), noteDamage); ok {
			return strings.TrimSuffix(said, noteRepair)
		}
	}
	return ""
}

// reached are the tips that the first shared packs reach.
func (c *chain) reached(ctx context.Context, sink source.Sink) ([]string, error) {
	b, err := sink.Read(ctx, &c.tips)
	if err != nil {
		return nil, fromSink(err)
	}
	return strings.Fields(string(b)), nil
}

// clone returns a chain to which packs can be added without changing this one.
func (c *chain) clone() *chain {
	d := *c
	d.attrs, d.packs = maps.Clone(c.attrs), slices.Clone(c.packs)
	return &d
}

// trailer names the last pack.
func (c *chain) trailer() string {
	if len(c.packs) == 0 {
		return ""
	}
	return c.packs[len(c.packs)-1].Attrs[attrTrailer]
}

type growth int

const (
	extend   growth = iota // add a pack
	condense               // replace the increments by one
	rebase                 // begin anew
)

// growth says how the chain goes on: increments are merged when there are many, and a new self-contained pack is due when they are more than half of it, so that
// neither the chain nor what is stored twice grows without bound.
func (c *chain) growth(most int) growth {
	var base, more int64
	for i, p := range c.packs {
		if i < c.shared {
			base += p.Size
		} else {
			more += p.Size
		}
	}
	switch {
	case more > base/2:
		return rebase
	case len(c.packs)-c.shared >= most:
		return condense
	}
	return extend
}

// record puts the parts in their order.
func (c *chain) record() *record.Record {
	parts := []record.Part{c.full}
	if c.delta != nil {
		parts = append(parts, *c.delta)
	}
	parts = append(parts, c.tips)
	if c.fsck != nil {
		parts = append(parts, *c.fsck)
	}
	return &record.Record{Parts: append(parts, c.packs...)}
}

// describe begins a chain: with the tips that its first packs reach, and, for a repository on this machine, with what git finds wrong with it already.
func (h *history) describe(ctx context.Context, c *chain, tips []string) (err error) {
	var lines bytes.Buffer
	for _, t := range tips[:min(len(tips), maxHaves)] {
		lines.WriteString(t + "\n")
	}
	c.tips, err = h.sink.Lines(ctx, record.Part{Kind: record.PartTips}, lines.Bytes())
	if err != nil {
		return fromSink(err)
	}
	c.fsck, err = h.fsck(ctx)
	return err
}

// storeRefs gives the chain its manifest: what changed since the full one, or a new full one where that is little more.
func (h *history) storeRefs(ctx context.Context, c *chain) (err error) {
	c.manifest = h.now
	if c.base != nil {
		delta := refs.Diff(c.base, h.now)
		switch {
		case len(delta) == 0:
			c.delta = nil
			return nil
		case len(delta) <= minFull || int64(len(delta)) <= c.full.Size/2:
			p, err := h.sink.Lines(ctx, record.Part{Kind: record.PartRefsDelta}, delta)
			c.delta = &p
			return fromSink(err)
		}
	}
	c.base, c.delta = h.now, nil
	c.full, err = h.sink.Lines(ctx, record.Part{Kind: record.PartRefs}, h.now.Encode())
	return fromSink(err)
}

package vault

import (
	"context"
	"crypto/sha256"
	"io"

	"farshore/agent/record"
)

// spillExtents is how many extents a part may have before they go to pages; pageExtents how many one page has (docs/format.md, section 5.1).
const (
	spillExtents = 1024
	pageExtents  = 16384
	parallelHash = 512 << 10 // chunks from this size on are hashed on two cores
)

// Part implements source.Sink: it cuts the body into chunks, stores those that the vault does not have, and returns the part with its size, hash
// and place. Extents may go by temporary pack names, which only this Writer's segments resolve.
func (w *Writer) Part(ctx context.Context, p record.Part, size int64, body io.Reader) (record.Part, error) {
	h := sha256.New()
	p.Extents, p.Pages = nil, nil
	var covered, run int64
	lane := w.packer.enter()
	defer func() { lane.leave() }()
	n, err := w.cutter.Split(body, size, func(c []byte) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if run += int64(len(c)); run > laneRun {
			lane.leave()
			lane, run = w.packer.enter(), 0
		}
		e, err := w.hashAndAdd(lane, h.Write, c)
		if err != nil {
			return err
		}
		p.Extents = join(p.Extents, e)
		if len(p.Extents) > pageExtents {
			return w.spill(ctx, &p, pageExtents, &covered)
		}
		return nil
	})
	if err != nil {
		return p, err
	}
	for len(p.Pages) > 0 && len(p.Extents) > 0 || len(p.Extents) > spillExtents {
		if err := w.spill(ctx, &p, min(len(p.Extents), pageExtents), &covered); err != nil {
			return p, err
		}
	}
	p.Size = n
	h.Sum(p.SHA256[:0])
	return p, nil
}

// hashAndAdd runs the plaintext's SHA-256 beside naming and storing, for chunks that are worth it.
func (w *Writer) hashAndAdd(l *lane, hash func([]byte) (int, error), c []byte) (record.Extent, error) {
	done := make(chan struct{})
	if len(c) < parallelHash {
		_, _ = hash(c)
		close(done)
	} else {
		go func() {
			_, _ = hash(c) // a hash takes everything
			close(done)
		}()
	}
	e, isNew, err := l.add(w.namer.Name(c), c)
	<-done
	if isNew {
		w.newBytes.Add(e.Length)
		w.newChunks.Add(1)
	}
	return e, err
}

// join appends an extent, joining it with its neighbour in the same pack.
func join(extents []record.Extent, e record.Extent) []record.Extent {
	if n := len(extents); n > 0 {
		if l := &extents[n-1]; l.Pack.Name == e.Pack.Name && l.Offset+l.Length == e.Offset {
			l.Length += e.Length
			return extents
		}
	}
	return append(extents, e)
}

// spill moves the first n extents into a page. Their packs must be stored for that, so the open one is closed early.
func (w *Writer) spill(ctx context.Context, p *record.Part, n int, covered *int64) error {
	if err := w.packer.flush(); err != nil {
		return err
	}
	var packs []record.Ref
	index := map[record.Hash]int{}
	b := newPageBuilder(w.vault.codec, w.params.FrameSize)
	var length int64
	for _, e := range p.Extents[:n] {
		ref, err := w.packer.resolve(e.Pack)
		if err != nil {
			return err
		}
		i, ok := index[ref.Name]
		if !ok {
			i = len(packs)
			index[ref.Name] = i
			packs = append(packs, ref)
		}
		b.took(record.AppendExtent(b.room(), i, e.Offset, e.Length))
		length += e.Length
	}
	ref, err := w.put(ctx, b, record.AppendExtentsHeader(nil, packs))
	if err != nil {
		return err
	}
	p.Pages = append(p.Pages, record.PartPage{Ref: ref, Offset: *covered, Length: length})
	*covered += length
	p.Extents = append([]record.Extent(nil), p.Extents[n:]...)
	return nil
}

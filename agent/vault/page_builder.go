package vault

import (
	"context"
	"errors"

	"farshore/agent/pack"
	"farshore/agent/record"
	"farshore/crypto/seal"
	"farshore/providers"
)

// maxStored is the most stored bytes of an object.
const maxStored = providers.MaxObject

// pageBuilder gathers the lines of a page, compressing as it goes, so that only compressed bytes wait for the header. Not safe for concurrent use.
type pageBuilder struct {
	codec  *pack.Codec
	frame  []byte
	frames [][]byte
	raws   []int
	stored int64
	raw    int64
	size   int
}

func newPageBuilder(codec *pack.Codec, frameSize int64) *pageBuilder {
	return &pageBuilder{codec: codec, size: int(frameSize)}
}

// room returns the buffer to append the next line to; took hands it back.
func (b *pageBuilder) room() []byte { return b.frame }

func (b *pageBuilder) took(frame []byte) {
	b.frame = frame
	if len(b.frame) >= b.size {
		b.cut()
	}
}

// cut compresses what was gathered, in whole frames.
func (b *pageBuilder) cut() {
	rest := b.frame
	for len(rest) >= b.size {
		b.add(rest[:b.size])
		rest = rest[b.size:]
	}
	b.frame = append(b.frame[:0], rest...) // a remainder waits for more
}

func (b *pageBuilder) add(raw []byte) {
	c := b.codec.Compress(nil, raw)
	b.frames, b.raws = append(b.frames, c), append(b.raws, len(raw))
	b.stored += int64(len(c))
	b.raw += int64(len(raw))
}

// estimate guesses the stored bytes so far: what waits for its frame counts a quarter.
func (b *pageBuilder) estimate() int64 { return b.stored + int64(len(b.frame))/4 }

// sealTo writes the page with its header into a new blob.
func (b *pageBuilder) sealTo(s *seal.Sealer, pool *blocks, header []byte) (*blob, error) {
	for len(b.frame) > 0 {
		n := min(len(b.frame), b.size)
		b.add(b.frame[:n])
		b.frame = b.frame[n:]
	}
	out := newBlob(pool)
	if err := b.writeTo(s, out, header); err != nil {
		out.abandon()
		return nil, err
	}
	return out, nil
}

func (b *pageBuilder) writeTo(s *seal.Sealer, out *blob, header []byte) error {
	age, err := s.Writer(out)
	if err != nil {
		return err
	}
	w := pack.NewWriter(age)
	for len(header) > 0 {
		n := min(len(header), b.size)
		if err := w.Frame(b.codec.Compress(nil, header[:n]), n); err != nil {
			return err
		}
		header = header[n:]
	}
	for i, f := range b.frames {
		if err := w.Frame(f, b.raws[i]); err != nil {
			return err
		}
	}
	return errors.Join(w.Close(), age.Close())
}

// put seals a page and stores it.
func (w *Writer) put(ctx context.Context, b *pageBuilder, header []byte) (record.Ref, error) {
	out, err := b.sealTo(w.pageSealer, &w.blocks, header)
	if err != nil {
		return record.Ref{}, err
	}
	ref := record.Ref{Name: out.finish(), Size: out.size}
	if err := w.store(ctx, ref, out); err != nil {
		return record.Ref{}, err
	}
	out.free()
	return ref, nil
}

// putBytes seals and stores a page whose raw bytes are at hand.
func (w *Writer) putBytes(ctx context.Context, raw []byte) (record.Ref, error) {
	return w.put(ctx, newPageBuilder(w.vault.codec, w.params.FrameSize), raw)
}

// store uploads a meta object, keeps it in the cache, and remembers it for the next commit.
func (w *Writer) store(ctx context.Context, ref record.Ref, b *blob) error {
	if b.size > maxStored {
		return errors.New("a page came to more bytes than an object may have")
	}
	// That it exists already is no reason to leave it out: an earlier attempt, or an earlier run that came to no commit, may have stored it.
	name := record.MetaName(ref.Name)
	_, existed, err := w.vault.bucket.Create(ctx, name, b.section(), ref.Name)
	if err == nil {
		err = w.guard.checkStored(ctx, name, ref, existed)
	}
	if err != nil {
		return err
	}
	if w.vault.cache != nil {
		stored := make([]byte, b.size)
		if _, err := b.ReadAt(stored, 0); err != nil {
			return err
		}
		_ = w.vault.cache.PutMeta(ref.Name, stored) // disposable
	}
	w.addMeta(ref)
	return nil
}

// putPublic stores a public list as it is.
func (w *Writer) putPublic(ctx context.Context, text []byte) (record.Ref, error) {
	b := newBlob(&w.blocks)
	_, _ = b.Write(text) // a blob takes everything
	ref := record.Ref{Name: b.finish(), Size: b.size}
	return ref, w.store(ctx, ref, b)
}

package vault

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"

	"golang.org/x/sync/singleflight"

	"farshore/agent/pack"
	"farshore/agent/record"
	"farshore/crypto/seal"
)

// Reader reads items' contents from packs. It keeps a few opened packs, decoded frames and what was read of packs, so that neighbours cost one read. It may be used concurrently; memory is at most what
// its bounds come to, and a frame and a run of units for each copy under way. Memory that it holds is used again and again, so that it costs a restore neither clearing nor collecting.
type Reader struct {
	vault  *Vault
	flight singleflight.Group

	frames *buffers[frameKey]
	spans  *buffers[spanKey]

	mu    sync.Mutex
	packs *lru[record.Hash, *openPack]
	right *lru[record.Hash, string] // versions that were found to be right beneath others

	life context.Context                // of all its reads; nil: each has its own
	keys func(record.Hash) *seal.Opener // what opens a pack, nil where nothing does; nil: the vault's identities do
}

// frameKey names a decoded frame of a version of a pack.
type frameKey struct {
	pack    record.Hash
	version string
	index   int
}

// Bounds of a Reader: opened packs, with 128 KiB each, frames, and units of packs of 1 MiB each.
const (
	readerPacks      = 8
	readerFrameBytes = 20 << 20
	readerUnits      = 32
	readerVersions   = 4096 // packs whose right version is remembered: a name and an id each
)

// NewReader returns a Reader over the vault's packs. Reading needs a recovery identity.
func (v *Vault) NewReader() *Reader { return v.newReader(readerPacks, readerFrameBytes, readerUnits) }

func (v *Vault) newReader(packs, frameBytes, units int) *Reader {
	return &Reader{
		vault: v, packs: newLRU[record.Hash, *openPack](packs), right: newLRU[record.Hash, string](readerVersions),
		frames: newBuffers[frameKey](frameBytes), spans: newBuffers[spanKey](units * unitSize),
	}
}

// lasting is a context for what others may wait for, and what later reads come by: it does not end with the one that asked first, only with the Reader's life.
func (r *Reader) lasting(ctx context.Context) context.Context {
	if r.life != nil {
		return r.life
	}
	return context.WithoutCancel(ctx)
}

// opener returns what opens a pack.
func (r *Reader) opener(pack record.Hash) *seal.Opener {
	if r.keys == nil {
		return r.vault.opener
	}
	if o := r.keys(pack); o != nil {
		return o
	}
	return seal.NewOpener()
}

// ErrContent says that an item's bytes, put together from the vault, do not have the SHA-256 of its record.
var ErrContent = errors.New("the bytes do not have the SHA-256 that the record states")

// Copy writes the part's bytes to w and checks their number and SHA-256 on the way. After an error, what w received is not to be
// trusted. Damage in the vault is a *DamageError.
func (r *Reader) Copy(ctx context.Context, w io.Writer, p *record.Part) error {
	t := &tally{w: w, hash: sha256.New()}
	if err := r.vault.writeLines(ctx, t, p); err != nil {
		return err
	}
	if err := r.vault.eachExtent(ctx, p, func(e record.Extent) error { return r.extent(ctx, t, e) }); err != nil {
		return err
	}
	if t.n != p.Size || record.Hash(t.hash.Sum(nil)) != p.SHA256 {
		return fmt.Errorf("%d of %d bytes: %w", t.n, p.Size, ErrContent)
	}
	return nil
}

// tally hands on to w, and counts and hashes what w took.
type tally struct {
	w    io.Writer
	hash hash.Hash
	n    int64
}

func (t *tally) Write(p []byte) (int, error) {
	n, err := t.w.Write(p)
	if err == nil && n != len(p) {
		err = io.ErrShortWrite
	}
	t.n += int64(n)
	if err != nil {
		return n, err
	}
	return t.hash.Write(p)
}

// Extents calls fn with the part's extents in order, reading pages of extents where it has them: for that it needs a key that opens pages. An error of fn ends it.
func (v *Vault) Extents(ctx context.Context, p *record.Part, fn func(record.Extent) error) error {
	return v.eachExtent(ctx, p, fn)
}

// eachExtent calls fn with the part's extents in order, reading pages of extents where it has them.
func (v *Vault) eachExtent(ctx context.Context, p *record.Part, fn func(record.Extent) error) error {
	for _, e := range p.Extents {
		if err := fn(e); err != nil {
			return err
		}
	}
	for _, page := range p.Pages {
		extents, err := v.extentPage(ctx, page)
		if err != nil {
			return err
		}
		for _, e := range extents {
			if err := fn(e); err != nil {
				return err
			}
		}
	}
	return nil
}

func (v *Vault) extentPage(ctx context.Context, page record.PartPage) ([]record.Extent, error) {
	r, err := v.page(ctx, page.Name)
	if err != nil {
		return nil, err
	}
	extents, err := record.ReadExtents(r)
	if err != nil {
		return nil, &DamageError{record.MetaName(page.Name), err}
	}
	var n int64
	for _, e := range extents {
		n += e.Length
	}
	if n != page.Length {
		return nil, &DamageError{record.MetaName(page.Name), fmt.Errorf("its extents cover %d bytes, not %d", n, page.Length)}
	}
	return extents, nil
}

// extent writes one extent's bytes to w.
func (r *Reader) extent(ctx context.Context, w io.Writer, e record.Extent) error {
	p, err := r.open(ctx, e.Pack)
	if err != nil {
		return err
	}
	var n int64
	for n < e.Length {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := p.holds(e); err != nil {
			return err
		}
		i := p.reader.FrameAt(e.Offset + n)
		frame, err := r.frame(p, i)
		if err != nil {
			if p = r.instead(ctx, p, err); p == nil {
				return err
			}
			continue
		}
		_, _, rawOff, _ := p.reader.FrameRange(i)
		at := e.Offset + n - rawOff
		m, err := w.Write(frame.data[at:min(int64(len(frame.data)), at+e.Length-n)])
		r.frames.release(frame)
		if err != nil {
			return err
		}
		n += int64(m)
	}
	return nil
}

// frame returns a decoded frame, which must not be changed, and is to be released.
func (r *Reader) frame(p *openPack, i int) (*buffer[frameKey], error) {
	_, _, _, raw := p.reader.FrameRange(i)
	return r.frames.get(frameKey{p.ref.Name, p.version, i}, pack.Room(int(raw)), func(dst []byte) ([]byte, error) { return p.frame(i, dst) })
}

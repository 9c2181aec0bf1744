package vault

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sync/errgroup"

	"farshore/agent/record"
	"farshore/providers"
	"farshore/providers/mem"
)

// asked is a store that remembers what was read of packs.
type asked struct {
	providers.Driver
	mu    sync.Mutex
	reads [][2]int64
}

func (a *asked) Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	if strings.HasPrefix(name, "packs/") {
		a.mu.Lock()
		a.reads = append(a.reads, [2]int64{off, n})
		a.mu.Unlock()
	}
	return a.Driver.Open(ctx, name, off, n)
}

// twice returns how many bytes were read more than once, and how many were not.
func (a *asked) twice(size int64) (more, never int64) {
	times := make([]uint8, size)
	for _, r := range a.reads {
		for i := r[0]; i < r[0]+r[1]; i++ {
			times[i]++
		}
	}
	for _, n := range times {
		switch {
		case n == 0:
			never++
		case n > 1:
			more += int64(n) - 1
		}
	}
	return more, never
}

// onePack returns a reader of one pack with random bytes, through a Reader that keeps so many units.
func onePack(size int64, kept int) (*blockReader, *asked, []byte) {
	body := make([]byte, size)
	fill := rand.NewChaCha8([32]byte{byte(size)})
	_, _ = fill.Read(body)
	store := mem.New()
	ref := record.Ref{Name: record.Hash{7}, Size: size}
	store.Set(record.PackName(ref.Name), body)
	a := &asked{Driver: store}
	v := &Vault{bucket: providers.New(a, providers.Options{Attempts: 1})}
	return newBlockReader(context.Background(), v.newReader(1, 1<<20, kept), ref, ""), a, body
}

// TestBlocksOnce holds that no byte of a pack is asked for twice while there is room for it, whether it is read in order, backwards, or by several, and that the
// requests are few.
func TestBlocksOnce(t *testing.T) {
	const step = 65552 // as age reads
	for _, size := range []int64{1, tailSize, tailSize + 1, unitSize, unitSize + tailSize + 1, 9*unitSize + 12345} {
		steps := int((size + step - 1) / step)
		for name, order := range map[string]func(i int) int{
			"in order":  func(i int) int { return i },
			"backwards": func(i int) int { return steps - 1 - i },
			"scattered": func(i int) int { return i * 7919 % steps },
		} {
			for _, workers := range []int{1, 8} {
				b, a, body := onePack(size, 64)
				var g errgroup.Group
				g.SetLimit(workers)
				for i := range steps {
					g.Go(func() error {
						off := int64(order(i)) * step
						p := make([]byte, min(step, size-off))
						if n, err := b.ReadAt(p, off); n != len(p) || err != nil && err != io.EOF || !bytes.Equal(p, body[off:off+int64(n)]) {
							return errors.Join(errors.New("other bytes"), err)
						}
						return nil
					})
				}
				must(t, g.Wait())
				if more, never := a.twice(size); workers == 1 && more > 0 || never > 0 {
					t.Errorf("%d bytes %s by %d: %d were read again, %d never", size, name, workers, more, never)
				}
				if most := int(size/(runUnits*unitSize)) + 6; workers == 1 && len(a.reads) > most {
					t.Errorf("%d bytes %s: %d requests, %v", size, name, len(a.reads), a.reads)
				}
			}
		}
	}
}

// TestBlocksLittleRoom reads a pack with room for far less of it than workers want at a time.
func TestBlocksLittleRoom(t *testing.T) {
	const size = 12*unitSize + 777
	b, _, body := onePack(size, 1)
	var g errgroup.Group
	for w := range 6 {
		g.Go(func() error {
			r := rand.New(rand.NewPCG(uint64(w), 2))
			for range 40 {
				off := r.Int64N(size)
				p := make([]byte, r.Int64N(min(3*unitSize, size-off))+1)
				if n, err := b.ReadAt(p, off); n != len(p) || err != nil || !bytes.Equal(p, body[off:off+int64(n)]) {
					return errors.Join(errors.New("other bytes"), err)
				}
			}
			return nil
		})
	}
	must(t, g.Wait())
	b.reader.spans.bounded(t, runUnits*unitSize)
}

// TestBlocksShort says that a pack ends before the size that its commit states, and keeps nothing of it.
func TestBlocksShort(t *testing.T) {
	b, a, body := onePack(5*unitSize, 64)
	a.Driver.(*mem.Driver).Set(b.object, body[:2*unitSize+5])
	p := make([]byte, 10)
	for range 2 {
		if _, err := b.ReadAt(p, 2*unitSize); err == nil {
			t.Error("what is not there was read")
		}
		if _, err := b.ReadAt(p, 5*unitSize-10); err == nil {
			t.Error("an end that is not there was read")
		}
	}
	a.Driver.(*mem.Driver).Set(b.object, body)
	if _, err := b.ReadAt(p, 2*unitSize); err != nil || !bytes.Equal(p, body[2*unitSize:][:10]) {
		t.Errorf("once it is there: %v", err)
	}
}

// TestReaderReleases holds that a Reader has nothing in use once its copies have ended, whether well, at a writer that fails, or at damage.
func TestReaderReleases(t *testing.T) {
	b := newBench(t, tiny)
	w, done := b.writer()
	defer done()
	body := make([]byte, 3<<20)
	fill := rand.NewChaCha8([32]byte{1})
	_, _ = fill.Read(body)
	c := b.commit(w, object("a", b.part(w, body)))
	snap, err := b.open().Snapshot(t.Context(), c)
	must(t, err)
	rec, err := snap.Find(t.Context(), "a")
	must(t, err)
	part := rec.Parts[0]
	r := b.open().NewReader()
	var g errgroup.Group
	for range 4 {
		g.Go(func() error { return r.Copy(t.Context(), io.Discard, &part) })
		g.Go(func() error {
			if err := r.Copy(t.Context(), broken{}, &part); !errors.Is(err, io.ErrClosedPipe) {
				return errors.Join(errors.New("the writer's failure is not told"), err)
			}
			return nil
		})
	}
	must(t, g.Wait())
	r.frames.released(t)
	r.spans.released(t)
	object := record.PackName(part.Extents[0].Pack.Name)
	stored := bytes.Clone(b.store.Objects()[object])
	stored[1<<20] ^= 1
	b.store.Set(object, stored)
	r = b.open().NewReader()
	var damage *DamageError
	if err := r.Copy(t.Context(), io.Discard, &part); !errors.As(err, &damage) {
		t.Errorf("damage: %v", err)
	}
	r.frames.released(t)
	r.spans.released(t)
}

// TestReaderSmall holds that a small item whose frame is at hand costs few allocations: there are many of them.
func TestReaderSmall(t *testing.T) {
	b := newBench(t, tiny)
	w, done := b.writer()
	defer done()
	part := b.part(w, []byte("a small item"))
	c := b.commit(w, object("a", part))
	snap, err := b.open().Snapshot(t.Context(), c)
	must(t, err)
	rec, err := snap.Find(t.Context(), "a")
	must(t, err)
	r := b.open().NewReader()
	n := testing.AllocsPerRun(100, func() {
		if err := r.Copy(t.Context(), io.Discard, &rec.Parts[0]); err != nil {
			t.Error(err)
		}
	})
	if n > 6 {
		t.Errorf("%v allocations", n)
	}
}

// broken is a writer that fails.
type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

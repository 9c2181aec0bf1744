package vault

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"
)

// fillWith returns a fill that writes the key over and over.
func fillWith(key int) func([]byte) ([]byte, error) {
	return func(dst []byte) ([]byte, error) {
		for len(dst) < cap(dst) {
			dst = append(dst, byte(key), byte(key>>8))
		}
		return dst[:cap(dst):cap(dst)], nil
	}
}

// taken gets a buffer and fails unless it has what its key says.
func taken(t *testing.T, c *buffers[int], key, size int) *buffer[int] {
	t.Helper()
	b, err := c.get(key, size, fillWith(key))
	must(t, err)
	check(t, b)
	return b
}

func check(t *testing.T, b *buffer[int]) {
	t.Helper()
	if want := bytes.Repeat([]byte{byte(b.key), byte(b.key >> 8)}, b.size/2); !bytes.Equal(b.data, want) {
		t.Errorf("%d has other bytes than its own", b.key)
	}
}

// bounded fails where more is held than may be.
func (c *buffers[K]) bounded(t *testing.T, allowed int) {
	t.Helper()
	total, spare := 0, 0
	for e := c.order.Front(); e != nil; e = e.Next() {
		total += e.Value.(*buffer[K]).counts()
	}
	for _, m := range c.idle {
		spare += cap(m)
	}
	if total != c.total || spare != c.spare || len(c.items) != c.order.Len() {
		t.Errorf("%d and %d bytes are counted as %d and %d, %d items as %d", total, spare, c.total, c.spare, c.order.Len(), len(c.items))
	}
	if total+spare > allowed {
		t.Errorf("%d bytes are kept and %d idle, where %d may be", total, spare, allowed)
	}
}

// released fails where anything is in use.
func (c *buffers[K]) released(t *testing.T) {
	t.Helper()
	for e := c.order.Front(); e != nil; e = e.Next() {
		if b := e.Value.(*buffer[K]); b.users != 0 {
			t.Errorf("%v has %d users that are none", b.key, b.users)
		}
	}
}

// TestBuffersUsedAgain holds that memory serves again once it was dropped and everyone has released it, and not before.
func TestBuffersUsedAgain(t *testing.T) {
	const size = 1 << 20
	c := newBuffers[int](2 * size)
	one := taken(t, c, 1, size)
	room := &one.data[0]
	c.release(taken(t, c, 1, size))
	c.forget(one)
	c.bounded(t, 0)
	also := taken(t, c, 2, size)
	two := taken(t, c, 2, size)
	c.forget(also)
	c.release(also) // and the other has it yet
	three := taken(t, c, 3, size)
	four := taken(t, c, 4, size)
	check(t, one)
	check(t, two)
	if at := &three.data[0]; at == room || at == &two.data[0] {
		t.Fatal("memory in use was used again")
	}
	for _, b := range []*buffer[int]{one, two, three, four} {
		c.release(b)
	}
	c.bounded(t, 2*size)
	third := &three.data[0]
	five := taken(t, c, 5, size-size/8) // drops the third
	if &five.data[0] != third {
		t.Error("memory that nobody has is not used again")
	}
	c.release(five)
	if again := taken(t, c, 4, size); again != four {
		t.Error("what is kept was filled anew")
	}
	c.release(four)
	six := taken(t, c, 6, 4*size) // larger than all that may be kept
	c.release(six)
	c.bounded(t, 4*size)
	c.release(taken(t, c, 7, size))
	c.bounded(t, 2*size)
	for key := range 1000 {
		c.release(taken(t, c, 100+key, 2))
	}
	if n := c.order.Len(); n > 2*size/leastBuffer {
		t.Errorf("%d buffers are kept", n)
	}
}

// TestBuffersFilledOnce holds that what many want at a time is filled once, that a failure reaches them all and is tried again later, and that a fill which panics leaves nobody waiting.
func TestBuffersFilledOnce(t *testing.T) {
	c := newBuffers[int](1 << 20)
	broken := errors.New("broken")
	for _, c2 := range []struct {
		fail func() error
		want error
	}{{func() error { return nil }, nil}, {func() error { return broken }, broken}, {func() error { panic("in the fill") }, errUnfilled}} {
		var fills atomic.Int64
		waiting, begun := make(chan struct{}), make(chan struct{})
		fill := func(dst []byte) ([]byte, error) {
			fills.Add(1)
			close(begun)
			<-waiting
			if err := c2.fail(); err != nil {
				return nil, err
			}
			return append(dst, 1, 2), nil
		}
		var g errgroup.Group
		g.Go(func() error {
			defer func() { _ = recover() }()
			b, err := c.get(1, 2, fill)
			if err == nil {
				c.release(b)
			}
			return nil
		})
		<-begun
		var joined sync.WaitGroup
		for range 8 {
			b, found := c.claim(1, 2) // what get does first
			if !found {
				t.Fatal("what is being filled is not found")
			}
			joined.Add(1)
			g.Go(func() error {
				joined.Done()
				<-b.ready
				defer c.release(b)
				if !errors.Is(b.err, c2.want) || b.err == nil && !bytes.Equal(b.data, []byte{1, 2}) {
					return b.err
				}
				return nil
			})
		}
		joined.Wait()
		close(waiting)
		must(t, g.Wait())
		if fills.Load() != 1 {
			t.Errorf("filled %d times", fills.Load())
		}
		kept := c.sizeOf(1) > 0
		if kept != (c2.want == nil) {
			t.Errorf("after %v it is kept: %v", c2.want, kept)
		}
		if !kept {
			c.release(taken(t, c, 1, 2))
		}
		b, _ := c.claim(1, 2)
		c.forget(b)
		c.release(b)
	}
}

// TestBuffersTogether has many at work on few buffers: each reads its own bytes for as long as it holds them.
func TestBuffersTogether(t *testing.T) {
	const size = 2 * leastBuffer
	c := newBuffers[int](6 * size)
	failed := errors.New("now and then")
	var g errgroup.Group
	for worker := range 8 {
		g.Go(func() error {
			r := rand.New(rand.NewPCG(uint64(worker), 1))
			for range 400 {
				key := r.IntN(12)
				b, err := c.get(key, size+key*64, func(dst []byte) ([]byte, error) {
					if r.IntN(10) == 0 {
						return nil, failed
					}
					for len(dst) < cap(dst) {
						dst = binary.BigEndian.AppendUint64(dst, uint64(key))
					}
					return dst, nil
				})
				if err != nil {
					if !errors.Is(err, failed) {
						return err
					}
					continue
				}
				for i := 0; i < len(b.data); i += 8 {
					if binary.BigEndian.Uint64(b.data[i:]) != uint64(key) {
						return errors.New("other bytes than its own")
					}
				}
				c.release(b)
			}
			return nil
		})
	}
	must(t, g.Wait())
	c.bounded(t, 6*size)
	c.released(t)
}

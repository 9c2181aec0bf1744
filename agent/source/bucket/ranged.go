package bucket

import (
	"context"
	"io"
	"sync"
)

// rangesAhead is how many ranges of one object are read at a time, beside the one that is being taken.
const rangesAhead = 4

// block is one range of an object in memory.
type block struct {
	buf  []byte
	done chan struct{}
	err  error // valid once done is closed
}

// ranged reads the rest of a large object in ranges, several at a time, and gives them out in order. The ranges of all captures together
// stay within the source's memory. A range is admitted only after the ones before it, so that the one that is waited for is never
// behind others that wait for it. Not safe for concurrent use.
type ranged struct {
	s      *Source
	ctx    context.Context
	cancel context.CancelFunc
	like   stream // key, ETag and total of the object
	queue  chan *block
	now    *block
	rest   []byte // of now
	wg     sync.WaitGroup
}

// readRanges begins to read at off. The caller closes it.
func (s *Source) readRanges(ctx context.Context, like stream, off int64) *ranged {
	r := &ranged{s: s, like: like, queue: make(chan *block, rangesAhead)}
	r.ctx, r.cancel = context.WithCancel(ctx)
	r.wg.Go(func() {
		defer close(r.queue)
		for off < like.total {
			end := min(off+s.o.RangeSize, like.total)
			if !r.start(off, end) {
				return
			}
			off = end
		}
	})
	return r
}

// start admits one range and begins to read it; false when the capture has ended.
func (r *ranged) start(off, end int64) bool {
	if r.s.memory.Acquire(r.ctx, end-off) != nil {
		return false
	}
	b := &block{done: make(chan struct{})}
	select {
	case r.queue <- b:
	case <-r.ctx.Done():
		r.s.memory.Release(end - off)
		return false
	}
	r.wg.Go(func() {
		defer close(b.done)
		t := r.like
		t.ctx, t.off, t.end, t.tries = r.ctx, off, end, attempts{retry: r.s.retry}
		defer t.close()
		b.buf = r.s.buffer(end - off)
		_, b.err = io.ReadFull(&t, b.buf)
		t.finish()
	})
	return true
}

// Read gives out the next bytes in order.
func (r *ranged) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		r.release()
		b, ok := <-r.queue
		if !ok {
			if err := r.ctx.Err(); err != nil {
				return 0, err
			}
			return 0, io.EOF
		}
		<-b.done
		r.now, r.rest = b, b.buf
		if b.err != nil {
			r.rest = nil
			return 0, b.err
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// release gives the memory of the range just taken back.
func (r *ranged) release() {
	if r.now != nil {
		r.s.recycle(r.now.buf)
		r.s.memory.Release(int64(len(r.now.buf)))
		r.now, r.rest = nil, nil
	}
}

// close ends all requests, waits for them, and gives all memory back.
func (r *ranged) close() {
	r.cancel()
	r.wg.Wait()
	r.release()
	for b := range r.queue {
		r.now = b
		r.release()
	}
}

// buffer returns n bytes, used ones where there are.
func (s *Source) buffer(n int64) []byte {
	if b, ok := s.buffers.Get().(*[]byte); ok && int64(cap(*b)) >= n {
		return (*b)[:n]
	}
	return make([]byte, n, max(n, s.o.RangeSize))
}

func (s *Source) recycle(b []byte) {
	if b != nil {
		s.buffers.Put(&b)
	}
}

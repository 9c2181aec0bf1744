package vault

import (
	"crypto/rand"
	"sync"
	"sync/atomic"

	"farshore/agent/record"
)

// lane fills one pack at a time.
type lane struct {
	p      *packer
	jobs   chan *frameJob // in order of the packs' raw bytes
	inWork chan struct{}  // bounds frames between cutting and sealing
	users  atomic.Int32   // parts that put their chunks here now

	mu     sync.Mutex // held while waiting for room: that is the back-pressure
	closed bool
	open   *pendingPack
	frame  []byte
}

// pendingPack is a pack from its first chunk until the commit that names it. Until it is sealed it goes by a random temporary name.
type pendingPack struct {
	tmp    record.Hash
	chunks []record.TableChunk
	raw    int64
	// sealedRaw and sealedSize tell how many raw bytes were sealed so far and what they came to.
	sealedRaw, sealedSize atomic.Int64
	closing               atomic.Bool // it takes no further chunk
	done                  chan struct{}
	ref                   record.Ref
	err                   error
}

type frameJob struct {
	pack       *pendingPack
	raw        []byte
	compressed []byte
	ready      chan struct{}
	last       bool
}

// laneRun is how many bytes of a part go to one lane before another may be chosen: enough for extents to stay long.
const laneRun = 16 << 20

// enter chooses a lane for the next chunks of a part: the first, unless others keep it busy, so that small passes make one pack. leave gives it back.
func (p *packer) enter() *lane {
	best := p.lanes[0]
	if len(best.inWork) == cap(best.inWork) && p.lanes[1].users.Load() <= best.users.Load() {
		best = p.lanes[1]
	}
	best.users.Add(1)
	return best
}

func (l *lane) leave() { l.users.Add(-1) }

// add returns the place of a chunk, storing it unless that is known already. The chunk is copied.
func (l *lane) add(name [32]byte, chunk []byte) (e record.Extent, isNew bool, err error) {
	if e, ok, err := l.p.known(name); ok || err != nil {
		return e, false, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.p.err(); err != nil { // also after close: nothing is sent any more
		return e, false, err
	}
	if e, ok := l.p.flying(name); ok {
		return e, false, nil
	}
	if l.open != nil && l.full() {
		if err := l.finishPack(); err != nil {
			return e, false, err
		}
	}
	if l.open == nil {
		if err := l.begin(); err != nil {
			return e, false, err
		}
	}
	e = record.Extent{Pack: record.Ref{Name: l.open.tmp}, Offset: l.open.raw, Length: int64(len(chunk))}
	if err := l.gather(chunk); err != nil {
		return e, false, err
	}
	l.open.chunks = append(l.open.chunks, record.TableChunk{Name: name, Length: e.Length})
	l.p.mu.Lock()
	l.p.inFlight[name] = e
	l.p.mu.Unlock()
	return e, true, nil
}

func (l *lane) begin() error {
	pp := &pendingPack{done: make(chan struct{})}
	if _, err := rand.Read(pp.tmp[:]); err != nil {
		return err
	}
	l.open = pp
	l.p.mu.Lock()
	l.p.pending[pp.tmp] = pp
	l.p.mu.Unlock()
	return nil
}

// full reports whether the open pack should take no further chunk: what is sealed, and what is not by the same ratio.
func (l *lane) full() bool {
	pp, params := l.open, l.p.w.params
	sealedRaw, sealedSize := pp.sealedRaw.Load(), pp.sealedSize.Load()
	rest := float64(pp.raw - sealedRaw)
	if sealedRaw > 0 {
		rest *= min(1, float64(sealedSize)/float64(sealedRaw))
	}
	return len(pp.chunks) >= maxPackChunks || float64(sealedSize)+rest >= float64(params.PackSize) || pp.raw >= maxRaw-params.ChunkMax
}

// gather appends the chunk to the pack's raw bytes, handing on each frame that is full.
func (l *lane) gather(chunk []byte) error {
	size := l.p.w.frameSize
	for len(chunk) > 0 {
		if l.frame == nil {
			l.frame = (*l.p.frames.Get().(*[]byte))[:0]
		}
		n := min(len(chunk), size-len(l.frame))
		l.frame = append(l.frame, chunk[:n]...)
		l.open.raw += int64(n)
		chunk = chunk[n:]
		if len(l.frame) == size {
			if err := l.dispatch(false); err != nil {
				return err
			}
		}
	}
	return nil
}

// dispatch hands the gathered frame to the compressors and the sealer. It blocks while they have enough.
func (l *lane) dispatch(last bool) error {
	p := l.p
	job := &frameJob{pack: l.open, raw: l.frame, ready: make(chan struct{}), last: last}
	l.frame = nil
	select {
	case l.inWork <- struct{}{}:
	case <-p.ctx.Done():
		return p.err()
	}
	if len(job.raw) == 0 {
		close(job.ready)
	} else {
		go func() {
			job.compressed = p.w.vault.codec.Compress((*p.frames.Get().(*[]byte))[:0], job.raw)
			close(job.ready)
		}()
	}
	select {
	case l.jobs <- job:
		return nil
	case <-p.ctx.Done():
		return p.err()
	}
}

// finishPack closes the open pack; l.mu is held.
func (l *lane) finishPack() error {
	l.p.stored.Add(1)
	l.open.closing.Store(true)
	if err := l.dispatch(true); err != nil {
		l.p.stored.Done()
		return err
	}
	l.open = nil
	return nil
}

// flushIf closes the open pack, if there is one that it is wanted for.
func (l *lane) flushIf(wanted func(tmp record.Hash) bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.p.err(); err != nil || l.open == nil || !wanted(l.open.tmp) {
		return err
	}
	return l.finishPack()
}

// seal runs in a goroutine of its own: it writes frames in order into the sealed file of their pack.
func (l *lane) seal() {
	p := l.p
	var cur *sealing
	for job := range l.jobs {
		<-job.ready
		if p.ctx.Err() == nil {
			if cur == nil {
				cur = p.startSealing(job.pack)
			}
			if cur != nil {
				p.check(cur.frame(job))
			}
		}
		p.recycle(job)
		<-l.inWork
		if job.last {
			p.finishSealing(cur, job.pack)
			cur = nil
		}
	}
	if cur != nil {
		cur.key.Forget()
		cur.blob.abandon()
		<-p.slots
	}
}

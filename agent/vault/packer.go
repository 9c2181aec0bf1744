package vault

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"

	"farshore/agent/pack"
	"farshore/agent/record"
)

// maxPackChunks is the most chunks of one pack (docs/format.md, section 4.3). It bounds what waits for a pack to be stored.
const maxPackChunks = 32768

// packSlots is how many packs there may be at a time, one open and the others on their way: with 32 MiB each they are the largest part of
// the agent's memory.
const packSlots = 3

// packer turns chunks into stored packs. Chunks go to one of two lanes, each of which fills a pack of its own: it gathers chunks into frames, has them compressed on
// all cores, and seals them in order, since the sealing of one pack is one stream and slower than a core. Packs are uploaded while the next ones fill.
// Everything waits in bounded queues, so that a slow store slows the source.
type packer struct {
	w      *Writer
	ctx    context.Context
	fail   context.CancelCauseFunc
	frames sync.Pool // raw and compressed frame buffers
	lanes  [2]*lane
	slots  chan struct{}  // bounds packs
	sealed sync.WaitGroup // the sealing goroutines
	stored sync.WaitGroup // packs that are not stored yet

	mu       sync.Mutex                    // never held while waiting
	inFlight map[[32]byte]record.Extent    // chunks of packs that are not stored yet, under the packs' temporary names
	pending  map[record.Hash]*pendingPack  // by temporary name, until stored
	settled  [2]map[record.Hash]record.Ref // temporary name → stored pack, and its real name → the temporary one; newest first
}

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

// settledRecords is how many records a temporary name outlives, at the least. Records wait in a short queue between capture and segment, of which this is many
// times the length; that bounds the memory of a long pass.
const settledRecords = 32 << 10

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

func newPacker(ctx context.Context, w *Writer) *packer {
	p := &packer{
		w: w, slots: make(chan struct{}, packSlots),
		inFlight: map[[32]byte]record.Extent{}, pending: map[record.Hash]*pendingPack{}, settled: [2]map[record.Hash]record.Ref{{}, {}},
	}
	p.ctx, p.fail = context.WithCancelCause(ctx)
	size := int(w.params.FrameSize)
	p.frames.New = func() any { b := make([]byte, 0, size+size/64); return &b }
	for i := range p.lanes {
		l := &lane{p: p, jobs: make(chan *frameJob, 64), inWork: make(chan struct{}, runtime.GOMAXPROCS(0)+1)}
		p.lanes[i] = l
		p.sealed.Go(l.seal)
	}
	return p
}

// errClosed is the cause of a packer that was closed.
var errClosed = errors.New("the writer is closed")

// close stops the packer without storing what is open.
func (p *packer) close() {
	p.fail(errClosed)
	for _, l := range p.lanes {
		l.mu.Lock()
		if !l.closed {
			l.closed = true
			close(l.jobs)
		}
		l.mu.Unlock()
	}
	p.sealed.Wait()
	p.stored.Wait()
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

func (p *packer) err() error {
	if err := context.Cause(p.ctx); err != nil {
		return err
	}
	return nil
}

// known returns where a chunk is, if it was stored or is on its way.
func (p *packer) known(name [32]byte) (record.Extent, bool, error) {
	if e, ok := p.flying(name); ok {
		return e, true, nil
	}
	var e record.Extent
	loc, ok, err := p.w.local.Lookup(p.w.domain, name)
	if err != nil || !ok {
		return e, false, err
	}
	return record.Extent{Pack: loc.Pack, Offset: loc.Offset, Length: loc.Length}, true, nil
}

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

// flying returns where a chunk is that is on its way to the store.
func (p *packer) flying(name [32]byte) (record.Extent, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e, ok := p.inFlight[name]
	return e, ok
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
	size := int(l.p.w.params.FrameSize)
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

// flush closes the open packs.
func (p *packer) flush() error {
	for _, l := range p.lanes {
		if err := l.flushIf(func(record.Hash) bool { return true }); err != nil {
			return err
		}
	}
	return nil
}

// flushFor closes those of the packs that are open.
func (p *packer) flushFor(packs []record.Ref) error {
	names := make(map[record.Hash]bool, len(packs))
	for _, r := range packs {
		names[r.Name] = true
	}
	for _, l := range p.lanes {
		if err := l.flushIf(func(tmp record.Hash) bool { return names[tmp] }); err != nil {
			return err
		}
	}
	return nil
}

// drain closes the open packs and waits until all that was added before is stored.
func (p *packer) drain() error {
	if err := p.flush(); err != nil {
		return err
	}
	p.mu.Lock()
	var waiting []*pendingPack
	for _, pp := range p.pending {
		if pp.closing.Load() {
			waiting = append(waiting, pp)
		}
	}
	p.mu.Unlock()
	for _, pp := range waiting {
		select {
		case <-pp.done:
			if pp.err != nil {
				return pp.err
			}
		case <-p.ctx.Done():
			return p.err()
		}
	}
	return p.err()
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
		cur.blob.abandon()
		<-p.slots
	}
}

func (p *packer) check(err error) {
	if err != nil {
		p.fail(err)
	}
}

func (p *packer) recycle(job *frameJob) {
	if job.raw != nil {
		raw, compressed := job.raw[:0], job.compressed[:0]
		p.frames.Put(&raw)
		p.frames.Put(&compressed)
	}
}

// sealing is a pack whose sealed file is being written.
type sealing struct {
	pack  *pendingPack
	blob  *blob
	age   io.WriteCloser
	codec *pack.Writer
}

func (p *packer) startSealing(pp *pendingPack) *sealing {
	select {
	case p.slots <- struct{}{}:
	case <-p.ctx.Done():
		return nil
	}
	s := &sealing{pack: pp, blob: newBlob(&p.w.blocks)}
	var err error
	if s.age, err = p.w.packSealer.Writer(s.blob); err != nil {
		p.fail(err)
		s.blob.abandon()
		<-p.slots
		return nil
	}
	s.codec = pack.NewWriter(s.age)
	return s
}

func (s *sealing) frame(job *frameJob) error {
	if len(job.raw) == 0 {
		return nil
	}
	if err := s.codec.Frame(job.compressed, len(job.raw)); err != nil {
		return err
	}
	s.pack.sealedSize.Store(s.codec.Size())
	s.pack.sealedRaw.Add(int64(len(job.raw)))
	return nil
}

// finishSealing ends the sealed file and uploads it in the background.
func (p *packer) finishSealing(s *sealing, pp *pendingPack) {
	if s == nil || p.ctx.Err() != nil {
		if s != nil {
			s.blob.abandon()
			<-p.slots
		}
		p.settle(pp, p.err())
		return
	}
	if err := errors.Join(s.codec.Close(), s.age.Close()); err != nil {
		s.blob.abandon()
		<-p.slots
		p.settle(pp, err)
		return
	}
	pp.ref = record.Ref{Name: s.blob.finish(), Size: s.blob.size}
	go func() {
		sent, err := p.upload(pp, s.blob)
		if sent {
			s.blob.free()
		}
		<-p.slots
		p.settle(pp, err)
	}()
}

// upload stores the pack. sent is true when the store took the body, so that nothing reads it any more: after a failure, or an answer that came early, the transport
// may still do so, and the blocks are left to the garbage collector.
func (p *packer) upload(pp *pendingPack, b *blob) (sent bool, err error) {
	name := record.PackName(pp.ref.Name)
	if b.size > maxStored {
		return true, fmt.Errorf("%s came to %d bytes, more than an object may have", name, b.size)
	}
	_, existed, err := p.w.vault.bucket.Create(p.ctx, name, b.section(), pp.ref.Name)
	if err != nil {
		return false, err
	}
	return !existed, p.w.packStored(pp)
}

// settle ends a pack's time in flight. Its chunks are in the local index now, or the writer has failed.
func (p *packer) settle(pp *pendingPack, err error) {
	if err != nil {
		p.fail(err)
	}
	pp.err = err
	p.mu.Lock()
	for _, c := range pp.chunks {
		delete(p.inFlight, c.Name)
	}
	if err == nil {
		p.settled[0][pp.tmp] = pp.ref
		p.settled[0][pp.ref.Name] = record.Ref{Name: pp.tmp}
		delete(p.pending, pp.tmp)
	}
	p.mu.Unlock()
	pp.chunks = nil
	close(pp.done)
	p.stored.Done()
}

// resolve returns the reference of a stored pack for a name that may be temporary, waiting until the pack is stored. Real names are returned as they are.
func (p *packer) resolve(ref record.Ref) (record.Ref, error) {
	if ref.Size > 0 {
		return ref, nil
	}
	p.mu.Lock()
	pp := p.pending[ref.Name]
	for _, m := range p.settled {
		if r, ok := m[ref.Name]; ok {
			p.mu.Unlock()
			return r, nil
		}
	}
	p.mu.Unlock()
	if pp == nil {
		return ref, nil
	}
	select {
	case <-pp.done:
		return pp.ref, pp.err
	case <-p.ctx.Done():
		return ref, p.err()
	}
}

// otherName returns the real name of a stored pack for its temporary one and the other way round, or zero: one pack may stand in records by both.
func (p *packer) otherName(name record.Hash) record.Hash {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.settled {
		if r, ok := m[name]; ok {
			return r.Name
		}
	}
	return record.Hash{}
}

// rotate begins a new generation of temporary names after a commit, and forgets the one before the last.
func (p *packer) rotate() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.settled = [2]map[record.Hash]record.Ref{{}, p.settled[0]}
}

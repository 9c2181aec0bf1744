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

// packer turns chunks into stored packs: it gathers them into frames, compresses frames on all cores, seals them in order, and uploads packs
// while the next one fills. Everything waits in bounded queues, so that a slow store slows the source.
type packer struct {
	w      *Writer
	ctx    context.Context
	fail   context.CancelCauseFunc
	frames sync.Pool      // raw and compressed frame buffers
	jobs   chan *frameJob // in order of the packs' raw bytes
	inWork chan struct{}  // bounds frames between cutting and sealing
	slots  chan struct{}  // bounds packs
	sealed sync.WaitGroup // the sealing goroutine
	stored sync.WaitGroup // packs that are not stored yet

	mu       sync.Mutex
	closed   bool
	open     *pendingPack
	frame    []byte
	inFlight map[[32]byte]record.Extent    // chunks of packs that are not stored yet, under the packs' temporary names
	pending  map[record.Hash]*pendingPack  // by temporary name, until stored
	settled  [2]map[record.Hash]record.Ref // temporary name → stored pack, and its real name → the temporary one; newest first
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
		w: w, jobs: make(chan *frameJob, 64), slots: make(chan struct{}, packSlots),
		inWork:   make(chan struct{}, runtime.GOMAXPROCS(0)+3),
		inFlight: map[[32]byte]record.Extent{}, pending: map[record.Hash]*pendingPack{}, settled: [2]map[record.Hash]record.Ref{{}, {}},
	}
	p.ctx, p.fail = context.WithCancelCause(ctx)
	size := int(w.params.FrameSize)
	p.frames.New = func() any { b := make([]byte, 0, size+size/64); return &b }
	p.sealed.Add(1)
	go p.seal()
	return p
}

// errClosed is the cause of a packer that was closed.
var errClosed = errors.New("the writer is closed")

// close stops the packer without storing what is open.
func (p *packer) close() {
	p.fail(errClosed)
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		close(p.jobs)
	}
	p.mu.Unlock()
	p.sealed.Wait()
	p.stored.Wait()
}

func (p *packer) err() error {
	if err := context.Cause(p.ctx); err != nil {
		return err
	}
	return nil
}

// known returns where a chunk is, if it was stored or is on its way.
func (p *packer) known(name [32]byte) (record.Extent, bool, error) {
	p.mu.Lock()
	e, ok := p.inFlight[name]
	p.mu.Unlock()
	if ok {
		return e, true, nil
	}
	loc, ok, err := p.w.local.Lookup(p.w.domain, name)
	if err != nil || !ok {
		return e, false, err
	}
	return record.Extent{Pack: loc.Pack, Offset: loc.Offset, Length: loc.Length}, true, nil
}

// add returns the place of a chunk, storing it unless that is known already. The chunk is copied.
func (p *packer) add(name [32]byte, chunk []byte) (e record.Extent, isNew bool, err error) {
	if e, ok, err := p.known(name); ok || err != nil {
		return e, false, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.err(); err != nil { // also after close: nothing is sent any more
		return e, false, err
	}
	if e, ok := p.inFlight[name]; ok {
		return e, false, nil
	}
	if p.open != nil && p.full() {
		if err := p.finishPack(); err != nil {
			return e, false, err
		}
	}
	if p.open == nil {
		if err := p.begin(); err != nil {
			return e, false, err
		}
	}
	e = record.Extent{Pack: record.Ref{Name: p.open.tmp}, Offset: p.open.raw, Length: int64(len(chunk))}
	if err := p.gather(chunk); err != nil {
		return e, false, err
	}
	p.open.chunks = append(p.open.chunks, record.TableChunk{Name: name, Length: e.Length})
	p.inFlight[name] = e
	return e, true, nil
}

func (p *packer) begin() error {
	pp := &pendingPack{done: make(chan struct{})}
	if _, err := rand.Read(pp.tmp[:]); err != nil {
		return err
	}
	p.open = pp
	p.pending[pp.tmp] = pp
	return nil
}

// full reports whether the open pack should take no further chunk: what is sealed, and what is not by the same ratio.
func (p *packer) full() bool {
	pp := p.open
	sealedRaw, sealedSize := pp.sealedRaw.Load(), pp.sealedSize.Load()
	rest := float64(pp.raw - sealedRaw)
	if sealedRaw > 0 {
		rest *= min(1, float64(sealedSize)/float64(sealedRaw))
	}
	return len(pp.chunks) >= maxPackChunks || float64(sealedSize)+rest >= float64(p.w.params.PackSize) ||
		pp.raw >= maxRaw-p.w.params.ChunkMax
}

// gather appends the chunk to the pack's raw bytes, handing on each frame that is full.
func (p *packer) gather(chunk []byte) error {
	size := int(p.w.params.FrameSize)
	for len(chunk) > 0 {
		if p.frame == nil {
			p.frame = (*p.frames.Get().(*[]byte))[:0]
		}
		n := min(len(chunk), size-len(p.frame))
		p.frame = append(p.frame, chunk[:n]...)
		p.open.raw += int64(n)
		chunk = chunk[n:]
		if len(p.frame) == size {
			if err := p.dispatch(false); err != nil {
				return err
			}
		}
	}
	return nil
}

// dispatch hands the gathered frame to the compressors and the sealer. It blocks while they have enough: that is the back-pressure.
func (p *packer) dispatch(last bool) error {
	job := &frameJob{pack: p.open, raw: p.frame, ready: make(chan struct{}), last: last}
	p.frame = nil
	select {
	case p.inWork <- struct{}{}:
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
	case p.jobs <- job:
		return nil
	case <-p.ctx.Done():
		return p.err()
	}
}

// finishPack closes the open pack; p.mu is held.
func (p *packer) finishPack() error {
	p.stored.Add(1)
	if err := p.dispatch(true); err != nil {
		p.stored.Done()
		return err
	}
	p.open = nil
	return nil
}

// flush closes the open pack, if any.
func (p *packer) flush() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.err(); err != nil || p.open == nil {
		return err
	}
	return p.finishPack()
}

// flushFor closes the open pack if one of the packs is the open one.
func (p *packer) flushFor(packs []record.Ref) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.err(); err != nil || p.open == nil {
		return err
	}
	for _, r := range packs {
		if r.Name == p.open.tmp {
			return p.finishPack()
		}
	}
	return nil
}

// drain closes the open pack and waits until all that was added before is stored.
func (p *packer) drain() error {
	if err := p.flush(); err != nil {
		return err
	}
	p.mu.Lock()
	var waiting []*pendingPack
	for _, pp := range p.pending {
		if pp != p.open {
			waiting = append(waiting, pp)
		}
	}
	p.mu.Unlock()
	for _, pp := range waiting {
		<-pp.done
		if pp.err != nil {
			return pp.err
		}
	}
	return p.err()
}

// seal runs in a goroutine of its own: it writes frames in order into the sealed file of their pack.
func (p *packer) seal() {
	defer p.sealed.Done()
	var cur *sealing
	for job := range p.jobs {
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
		<-p.inWork
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

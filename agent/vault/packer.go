package vault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"

	"farshore/agent/pack"
	"farshore/agent/record"
	"farshore/crypto/seal"
)

// maxPackChunks is the most chunks of one pack (docs/format.md, section 4.3). It bounds what waits for a pack to be stored.
const maxPackChunks = 32768

// packSlots is how many packs there may be at a time, open ones and those on their way: with 32 MiB each they are the largest part of
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

// settledRecords is how many records a temporary name outlives, at the least. Records wait in a short queue between capture and segment, of which this is many
// times the length; that bounds the memory of a long pass.
const settledRecords = 32 << 10

func newPacker(ctx context.Context, w *Writer) *packer {
	p := &packer{
		w: w, slots: make(chan struct{}, packSlots),
		inFlight: map[[32]byte]record.Extent{}, pending: map[record.Hash]*pendingPack{}, settled: [2]map[record.Hash]record.Ref{{}, {}},
	}
	p.ctx, p.fail = context.WithCancelCause(ctx)
	size := w.frameSize
	p.frames.New = func() any { b := make([]byte, 0, size+size/64); return &b }
	for i := range p.lanes {
		l := &lane{p: p, jobs: make(chan *frameJob, 64), inWork: make(chan struct{}, framesInWork(size))}
		p.lanes[i] = l
		p.sealed.Go(l.seal)
	}
	return p
}

// framesInWork is how many frames of a lane are compressed or wait for their turn: one more than there are cores keeps these busy, but large frames are counted
// out, since each takes its size twice.
func framesInWork(size int) int {
	const most = 12 << 20
	return max(2, min(runtime.GOMAXPROCS(0)+1, most/size))
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

func (p *packer) err() error {
	if err := context.Cause(p.ctx); err != nil {
		return err
	}
	return nil
}

// known returns where a chunk is, if it was stored or is on its way, and may be rested on.
func (p *packer) known(name [32]byte) (record.Extent, bool, error) {
	if e, ok := p.flying(name); ok {
		return e, true, nil
	}
	var e record.Extent
	loc, ok, err := p.w.local.Lookup(p.w.domain, name)
	if err != nil || !ok {
		return e, false, err
	}
	if p.w.damaged[loc.Pack.Name] {
		return e, false, nil
	}
	if _, ok, err := p.w.guard.packLasts(p.ctx, loc.Pack); err != nil || !ok {
		return e, false, err
	}
	return record.Extent{Pack: loc.Pack, Offset: loc.Offset, Length: loc.Length}, true, nil
}

// flying returns where a chunk is that is on its way to the store.
func (p *packer) flying(name [32]byte) (record.Extent, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e, ok := p.inFlight[name]
	return e, ok
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
	key   *seal.FileKey
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
	if s.age, s.key, err = p.w.packSealer.KeyedWriter(s.blob); err != nil {
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
			s.key.Forget()
			s.blob.abandon()
			<-p.slots
		}
		p.settle(pp, p.err())
		return
	}
	if err := errors.Join(s.codec.Close(), s.age.Close()); err != nil {
		s.key.Forget()
		s.blob.abandon()
		<-p.slots
		p.settle(pp, err)
		return
	}
	pp.ref = record.Ref{Name: s.blob.finish(), Size: s.blob.size}
	go func() {
		sent, err := p.upload(pp, s.blob, s.key)
		if sent {
			s.blob.free()
		}
		<-p.slots
		p.settle(pp, err)
	}()
}

// upload stores the pack. sent is true when the store took the body, so that nothing reads it any more: after a failure, or an answer that came early, the transport
// may still do so, and the blocks are left to the garbage collector.
func (p *packer) upload(pp *pendingPack, b *blob, key *seal.FileKey) (sent bool, err error) {
	name := record.PackName(pp.ref.Name)
	if b.size > maxStored {
		key.Forget()
		return true, fmt.Errorf("%s came to %d bytes, more than an object may have", name, b.size)
	}
	_, existed, err := p.w.vault.bucket.Create(p.ctx, name, b.section(), pp.ref.Name)
	if err == nil {
		err = p.w.guard.checkStored(p.ctx, name, pp.ref, existed)
	}
	if err != nil {
		key.Forget()
		return false, err
	}
	p.w.remember(pp.ref.Name, key) // before anybody can find a chunk in it
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

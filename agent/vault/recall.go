package vault

import (
	"context"
	"sync"

	"farshore/agent/record"
	"farshore/crypto/seal"
)

// Bounds of what a Writer remembers of what it stored. Captures run ahead of commits: what an item rests on may be named by an earlier commit than the item is, so that file keys
// outlive a few. What is forgotten too early is not read back, and is counted as such.
const (
	recallAges = 4
	recallMost = 16 << 10 // packs: half a terabyte of full ones, in about 3 MB
)

// recall is what a Writer remembers of the objects that it stored, in memory alone: the file keys of packs, with which they can be opened until they are forgotten. It may be
// used concurrently.
type recall struct {
	mu    sync.Mutex
	packs map[record.Hash]*seal.FileKey // nil for those that can't be opened: found again after a restart, or not to be read back
	pages map[record.Hash]bool
	ages  [recallAges][]record.Hash // the names in both, newest first
}

func newRecall() *recall {
	return &recall{packs: map[record.Hash]*seal.FileKey{}, pages: map[record.Hash]bool{}}
}

// pack remembers a pack, and its key unless that is nil.
func (r *recall) pack(name record.Hash, key *seal.FileKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.packs) >= recallMost {
		key.Forget()
		key = nil
	}
	r.packs[name] = key
	r.ages[0] = append(r.ages[0], name)
}

// page remembers a page.
func (r *recall) page(name record.Hash) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pages[name] = true
	r.ages[0] = append(r.ages[0], name)
}

// hasPack reports whether the pack was stored in this run, and whether it can be opened.
func (r *recall) hasPack(name record.Hash) (stored, opens bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key, ok := r.packs[name]
	return ok, key != nil
}

// hasPage reports whether the page was stored in this run.
func (r *recall) hasPage(name record.Hash) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pages[name]
}

// opener returns what opens the pack, or nil.
func (r *recall) opener(name record.Hash) *seal.Opener {
	r.mu.Lock()
	defer r.mu.Unlock()
	if key := r.packs[name]; key != nil {
		return key.Opener()
	}
	return nil
}

// rotate makes everything one commit older, and forgets what is too old.
func (r *recall) rotate() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.drop(r.ages[recallAges-1])
	copy(r.ages[1:], r.ages[:])
	r.ages[0] = nil
}

// forget drops everything.
func (r *recall) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.ages {
		r.drop(r.ages[i])
		r.ages[i] = nil
	}
}

func (r *recall) drop(names []record.Hash) {
	for _, name := range names {
		r.packs[name].Forget()
		delete(r.packs, name)
		delete(r.pages, name)
	}
}

// rests is how much of a part rests on what this run stored, and whether all that it rests on can be opened.
func (r *recall) rests(ctx context.Context, v *Vault, p *record.Part) (fresh, opens bool, err error) {
	opens = true
	look := func(extents []record.Extent) {
		for _, e := range extents {
			if e.Pack.Size == 0 { // a temporary name: it is on its way
				fresh = true
				continue
			}
			stored, can := r.hasPack(e.Pack.Name)
			fresh, opens = fresh || stored, opens && can
		}
	}
	for _, l := range p.Lines {
		fresh = fresh || r.hasPage(l.Name)
	}
	for _, page := range p.Pages {
		if !r.hasPage(page.Name) {
			opens = false
			continue // what it points to was stored before it
		}
		extents, err := v.extentPage(ctx, page)
		if err != nil {
			return false, false, err
		}
		look(extents)
	}
	look(p.Extents)
	return fresh, opens, nil
}

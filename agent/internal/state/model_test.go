package state

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"farshore/agent/record"
)

// model is what a domain must say, in maps.
type model struct {
	chunks map[int]Location
	packs  map[record.Hash]bool // true: committed
	open   []Pack
	loaded map[record.Hash]bool
}

func newModel() *model {
	return &model{chunks: map[int]Location{}, packs: map[record.Hash]bool{}, loaded: map[record.Hash]bool{}}
}

func (m *model) add(name int, p Pack, chunks []int, committed bool) {
	if _, known := m.packs[p.Name]; !known && !committed {
		m.open = append(m.open, p)
	}
	m.packs[p.Name] = m.packs[p.Name] || committed
	if committed {
		m.close(p.Name)
	}
	var offset int64
	for _, n := range chunks {
		if _, known := m.chunks[n]; !known {
			m.chunks[n] = at(name, offset, int64(n+1))
		}
		offset += int64(n + 1)
	}
}

func (m *model) close(name record.Hash) {
	m.open = slices.DeleteFunc(m.open, func(p Pack) bool { return p.Name == name })
}

func (m *model) forget(name record.Hash) {
	m.close(name)
	delete(m.packs, name)
	for n, loc := range m.chunks {
		if loc.Pack.Name == name {
			delete(m.chunks, n)
		}
	}
}

// TestModel does random things to a store and to maps, and compares them.
func TestModel(t *testing.T) {
	const steps, chunks, names = 1000, 150, 60
	for seed := range uint64(2) {
		rng := rand.New(rand.NewPCG(seed, 2))
		s := open(t, t.TempDir())
		models := map[string]*model{domainA: newModel(), domainB: newModel()}
		for range steps {
			domain := []string{domainA, domainB}[rng.IntN(2)]
			m, name := models[domain], rng.IntN(names)
			switch op := rng.IntN(100); {
			case op < 40:
				// A pack's name stands for its content: one name, one list of chunks.
				list := make([]int, name%7)
				own := rand.New(rand.NewPCG(uint64(name), 3))
				for i := range list {
					list[i] = own.IntN(chunks)
				}
				committed := rng.IntN(3) == 0
				must(t, s.AddPack(domain, pack(name, list...), committed))
				m.add(name, pack(name, list...), list, committed)
			case op < 55:
				must(t, s.Commit(domain, []record.Hash{hash(name), hash(name + 1)}))
				m.close(hash(name))
				m.close(hash(name + 1))
			case op < 65:
				must(t, s.Forget(domain, hash(name)))
				m.forget(hash(name))
			case op < 70:
				must(t, s.MarkLoaded(domain, hash(name)))
				m.loaded[hash(name)] = true
			case op < 71:
				must(t, s.Reset(domain))
				models[domain] = newModel()
			case op < 73:
				s = reopen(t, s)
			case op < 76:
				must(t, s.db.Flush())
			default:
				compare(t, s, domain, m, rng.IntN(chunks), hash(name))
			}
		}
		for domain, m := range models {
			for n := range chunks {
				compare(t, s, domain, m, n, hash(n))
			}
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// compare asks store and model for one chunk, one table, and the uncommitted packs.
func compare(t *testing.T, s *Store, domain string, m *model, chunk int, table record.Hash) {
	t.Helper()
	if want, known := m.chunks[chunk]; known {
		wantAt(t, s, domain, chunk, want)
	} else {
		wantAbsent(t, s, domain, chunk)
	}
	if got, err := s.Loaded(domain, table); err != nil || got != m.loaded[table] {
		t.Errorf("loaded: %v, %v; want %v", got, err, m.loaded[table])
	}
	if got := uncommitted(t, s, domain); !samePacks(got, m.open) {
		t.Errorf("uncommitted: %d packs, want %d", len(got), len(m.open))
	}
}

// TestConcurrency uses everything at once. What is checked is what holds in any order.
func TestConcurrency(t *testing.T) {
	s, err := Open(t.TempDir(), Options{Vault: vaultID, MetaCache: 20 * blockSize})
	must(t, err)
	const workers, rounds = 4, 60
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			for i := range rounds {
				name := w*rounds + i
				page, stored := content(i, 3000)
				chain := strings.Repeat(string(rune('a'+w)), 32)
				errs := []error{
					s.AddPack(domainA, pack(name, i, 1000+name), i%2 == 0),
					s.PutMeta(page, stored),
					s.SetHead(Head{chain, int64(i + 1), hash(i)}),
				}
				if i%10 == 9 {
					errs = append(errs, s.Commit(domainA, []record.Hash{hash(name)}), s.Forget(domainB, hash(name)), s.Reset(domainB))
				}
				must(t, errors.Join(errs...))
				wantAt(t, s, domainA, 1000+name, at(name, int64(i+1), int64(1001+name)))
				if loc, found, err := s.Lookup(domainA, chunkName(i)); err != nil || !found || loc.Length != int64(i+1) || loc.Offset != 0 {
					t.Errorf("chunk %d: %v, %v, %v", i, loc, found, err)
				}
				if got, found, err := s.Meta(page); err != nil || found && !bytes.Equal(got, stored) {
					t.Errorf("page %d: %v, %v", i, found, err)
				}
				if h, found, err := s.Head(chain); err != nil || !found || h.Seq != int64(i+1) {
					t.Errorf("head %v, %v, %v", h, found, err)
				}
			}
		})
	}
	group.Wait()
	must(t, s.Close())
}

// TestCloseWaits closes the store under its users: each call works or says that it is closed.
func TestCloseWaits(t *testing.T) {
	s := open(t, t.TempDir())
	started := make(chan struct{}, 3)
	var group sync.WaitGroup
	for w := range 3 {
		group.Go(func() {
			for i := 0; ; i++ {
				err := s.AddPack(domainA, pack(w*1000000+i, i), false)
				if errors.Is(err, ErrClosed) {
					return
				}
				if err != nil {
					t.Error(err)
				}
				if i == 3 {
					started <- struct{}{}
				}
			}
		})
	}
	for range 3 {
		<-started
	}
	must(t, s.Close())
	group.Wait()
}

// TestMissReadsNothing holds the index to its bloom filters: looking for what is not there reads no block from disk, once the filters are in
// memory, on the lowest level too and while both memtables are in use.
func TestMissReadsNothing(t *testing.T) {
	s := open(t, t.TempDir())
	const n = 30000
	for i := 0; i < n; i += 10000 {
		must(t, s.AddPack(domainA, numbered(i, 10000), true))
	}
	must(t, s.db.Flush())
	id, err := parseChain(domainA)
	must(t, err)
	from, to := span(kindChunk, id)
	must(t, s.db.Compact(t.Context(), from, to, false))
	const lookups = 500
	look := func(first int) (stopped, read int64) {
		before := s.db.Metrics()
		for i := range lookups {
			wantAbsent(t, s, domainA, 1000000+first+i)
		}
		after := s.db.Metrics()
		return after.Filter.Hits - before.Filter.Hits, after.BlockCache.Misses - before.BlockCache.Misses
	}
	// One lookup in a hundred gets past the filter and reads a block.
	if stopped, _ := look(0); stopped < lookups*19/20 {
		t.Errorf("the filters stopped %d lookups of %d", stopped, lookups)
	}
	must(t, s.AddPack(domainA, numbered(n, MaxChunks), true))
	look(lookups)
	if _, read := look(2 * lookups); read > lookups/20 {
		t.Errorf("%d lookups read %d blocks", lookups, read)
	}
}

func FuzzEntries(f *testing.F) {
	f.Add(place{7, 1 << 30, 1 << 22}.append(nil))
	f.Add(appendPack(nil, pack(1, 2, 3)))
	f.Add(Head{domainA, 3, hash(3)}.append(nil))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := parsePlace(b); err == nil {
			if q, err := parsePlace(p.append(nil)); err != nil || q != p {
				t.Errorf("place %v comes back as %v, %v", p, q, err)
			}
		}
		if p, err := parsePack(b); err == nil {
			if q, err := parsePack(appendPack(nil, p)); err != nil || !samePacks([]Pack{p}, []Pack{q}) {
				t.Errorf("pack comes back as %v, %v", q, err)
			}
		}
		if h, err := parseHead(domainA, b); err == nil && !bytes.Equal(h.append(nil), b) {
			t.Errorf("head %v is not what it was", h)
		}
		if id, err := parseChain(string(b)); err == nil && id.String() != string(b) {
			t.Errorf("chain %v is not what it was", id)
		}
	})
}

package state

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"farshore/agent/record"
)

const (
	domainA = "00112233445566778899aabbccddeeff"
	domainB = "00112233445566778899aabbccddef00"
)

var vaultID = record.Hash(sha256.Sum256([]byte("vault")))

// open opens a store that must not need a reset.
func open(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(dir, Options{Vault: vaultID, OnReset: func(reason string) { t.Errorf("reset: %s", reason) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil && !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	})
	return s
}

func reopen(t testing.TB, s *Store) *Store {
	t.Helper()
	must(t, s.Close())
	return open(t, s.dir)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// hash derives a name from numbers.
func hash(n ...int) record.Hash { return sha256.Sum256(fmt.Append(nil, n)) }

// chunkName is a chunk's name: cheap, and spread evenly enough.
func chunkName(n int) (name [32]byte) {
	binary.BigEndian.PutUint64(name[:], uint64(n)*0x9E3779B97F4A7C15)
	binary.BigEndian.PutUint64(name[24:], uint64(n))
	return name
}

// pack makes a pack with the chunks of the given numbers, chunk n of n+1 bytes.
func pack(name int, chunks ...int) Pack {
	p := Pack{Name: hash(name), Size: int64(1000 + name)}
	for _, n := range chunks {
		p.Chunks = append(p.Chunks, record.TableChunk{Name: chunkName(n), Length: int64(n + 1)})
	}
	return p
}

// at is a place in the pack of that name.
func at(name int, offset, length int64) Location {
	return Location{record.Ref{Name: hash(name), Size: int64(1000 + name)}, offset, length}
}

func wantAt(t *testing.T, s *Store, domain string, chunk int, want Location) {
	t.Helper()
	got, found, err := s.Lookup(domain, chunkName(chunk))
	if err != nil || !found || got != want {
		t.Errorf("chunk %d: %v, %v, %v; want %v", chunk, got, found, err, want)
	}
}

func wantAbsent(t *testing.T, s *Store, domain string, chunk int) {
	t.Helper()
	if got, found, err := s.Lookup(domain, chunkName(chunk)); err != nil || found {
		t.Errorf("chunk %d: %v, %v, %v; want none", chunk, got, found, err)
	}
}

func uncommitted(t *testing.T, s *Store, domain string) []Pack {
	t.Helper()
	packs, err := s.Uncommitted(domain)
	must(t, err)
	return packs
}

func samePacks(a, b []Pack) bool {
	return slices.EqualFunc(a, b, func(x, y Pack) bool {
		return x.Name == y.Name && x.Size == y.Size && slices.Equal(x.Chunks, y.Chunks)
	})
}

func TestLookup(t *testing.T) {
	s := open(t, t.TempDir())
	must(t, s.AddPack(domainA, pack(1, 10, 20, 30, 20), false))
	must(t, s.AddPack(domainA, pack(2, 40, 30), true))
	must(t, s.AddPack(domainA, Pack{Name: hash(3)}, true))
	for range 2 {
		wantAt(t, s, domainA, 10, at(1, 0, 11))
		wantAt(t, s, domainA, 20, at(1, 11, 21))
		wantAt(t, s, domainA, 30, at(1, 32, 31)) // not in pack 2: the first place holds
		wantAt(t, s, domainA, 40, at(2, 0, 41))
		wantAbsent(t, s, domainA, 50)
		wantAbsent(t, s, domainB, 10)
		s = reopen(t, s)
	}
}

// TestLookupAllLevels finds and misses chunks in compacted tables too.
func TestLookupAllLevels(t *testing.T) {
	s := open(t, t.TempDir())
	const n = 10000
	for i := 0; i < n; i += 1000 {
		must(t, s.AddPack(domainA, numbered(i, 1000), true))
	}
	must(t, s.db.Flush())
	from, to := span(kindChunk, chainID{})
	copy(to[1:], []byte(strings.Repeat("\xff", 16)))
	must(t, s.db.Compact(t.Context(), from, to, false))
	must(t, s.AddPack(domainA, numbered(n, 10), true))
	for i := 0; i < n+10; i += 37 {
		wantAt(t, s, domainA, i, at(i/1000*1000, int64(i%1000*100), 100))
		wantAbsent(t, s, domainA, i+n+10)
	}
}

// numbered is a pack named after the first of its n chunks, all of 100 bytes.
func numbered(first, n int) Pack {
	p := Pack{Name: hash(first), Size: int64(1000 + first)}
	for i := range n {
		p.Chunks = append(p.Chunks, record.TableChunk{Name: chunkName(first + i), Length: 100})
	}
	return p
}

func TestLargestPack(t *testing.T) {
	s := open(t, t.TempDir())
	p := numbered(0, MaxChunks)
	must(t, s.AddPack(domainA, p, false))
	s = reopen(t, s)
	if got := uncommitted(t, s, domainA); !samePacks(got, []Pack{p}) {
		t.Errorf("%d packs back", len(got))
	}
	wantAt(t, s, domainA, MaxChunks-1, at(0, (MaxChunks-1)*100, 100))
	if err := s.AddPack(domainA, numbered(1, MaxChunks+1), false); err == nil {
		t.Error("a pack with too many chunks was accepted")
	}
}

func TestRefusedPacks(t *testing.T) {
	s := open(t, t.TempDir())
	for name, p := range map[string]Pack{
		"negative size":   {Name: hash(1), Size: -1},
		"negative length": {Name: hash(1), Chunks: []record.TableChunk{{Name: chunkName(1), Length: -1}}},
		"huge length":     {Name: hash(1), Chunks: []record.TableChunk{{Name: chunkName(1), Length: 1 << 40}}},
	} {
		if err := s.AddPack(domainA, p, true); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	wantAbsent(t, s, domainA, 1)
}

func TestUncommitted(t *testing.T) {
	s := open(t, t.TempDir())
	one, two, three := pack(9, 1, 2), pack(3, 3), pack(5, 1, 4)
	must(t, s.AddPack(domainA, one, false))
	must(t, s.AddPack(domainA, two, false))
	must(t, s.AddPack(domainA, three, false))
	must(t, s.AddPack(domainA, pack(7, 7), true))
	must(t, s.AddPack(domainB, pack(8, 8), false))
	s = reopen(t, s)
	if got := uncommitted(t, s, domainA); !samePacks(got, []Pack{one, two, three}) {
		t.Errorf("got %v", got)
	}
	must(t, s.Commit(domainA, []record.Hash{two.Name, hash(7), hash(8), hash(1000)}))
	if got := uncommitted(t, s, domainA); !samePacks(got, []Pack{one, three}) {
		t.Errorf("after Commit: %v", got)
	}
	must(t, s.AddPack(domainA, one, true))  // a chunk table names it
	must(t, s.AddPack(domainA, two, false)) // never turns back
	must(t, s.Forget(domainA, three.Name))
	s = reopen(t, s)
	if got := uncommitted(t, s, domainA); len(got) != 0 {
		t.Errorf("after all: %v", got)
	}
	if got := uncommitted(t, s, domainB); len(got) != 1 {
		t.Errorf("other domain: %v", got)
	}
}

func TestForget(t *testing.T) {
	s := open(t, t.TempDir())
	must(t, s.AddPack(domainA, pack(1, 1, 2), true))
	must(t, s.AddPack(domainB, pack(1, 1, 2), true))
	must(t, s.AddPack(domainA, pack(2, 3), true))
	must(t, s.Forget(domainA, hash(1)))
	must(t, s.Forget(domainA, hash(99)))
	for range 2 {
		wantAbsent(t, s, domainA, 1)
		wantAbsent(t, s, domainA, 2)
		wantAt(t, s, domainA, 3, at(2, 0, 4))
		wantAt(t, s, domainB, 2, at(1, 2, 3))
		s = reopen(t, s)
	}
	// New packs neither inherit the forgotten one's chunks, nor are kept from having them.
	must(t, s.AddPack(domainA, pack(4, 5), true))
	wantAbsent(t, s, domainA, 1)
	must(t, s.AddPack(domainA, pack(5, 2), true))
	wantAt(t, s, domainA, 2, at(5, 0, 3))
	must(t, s.AddPack(domainA, pack(1, 1, 2), true))
	wantAt(t, s, domainA, 1, at(1, 0, 2))
	wantAt(t, s, domainA, 2, at(5, 0, 3))
}

func TestReset(t *testing.T) {
	s := open(t, t.TempDir())
	must(t, s.AddPack(domainA, pack(1, 1, 2), false))
	must(t, s.AddPack(domainB, pack(1, 1), false))
	must(t, s.MarkLoaded(domainA, hash(100)))
	must(t, s.MarkLoaded(domainB, hash(100)))
	must(t, s.SetHead(Head{domainA, 3, hash(3)}))
	must(t, s.Reset(domainA))
	for range 2 {
		wantAbsent(t, s, domainA, 1)
		wantAt(t, s, domainB, 1, at(1, 0, 2))
		for domain, want := range map[string]bool{domainA: false, domainB: true} {
			if got, err := s.Loaded(domain, hash(100)); err != nil || got != want {
				t.Errorf("loaded in %s: %v, %v", domain, got, err)
			}
			if got := uncommitted(t, s, domain); (len(got) == 1) != want {
				t.Errorf("uncommitted in %s: %v", domain, got)
			}
		}
		s = reopen(t, s)
	}
	if _, found, err := s.Head(domainA); err != nil || !found {
		t.Errorf("the head went with the domain: %v, %v", found, err)
	}
	must(t, s.AddPack(domainA, pack(6, 2), true))
	wantAt(t, s, domainA, 2, at(6, 0, 3))
	wantAbsent(t, s, domainA, 1)
	// A lookup that began before Reset must not find the new pack under the old one's number.
	id, err := parseChain(domainA)
	must(t, err)
	name := hash(6)
	var number uint32
	if found, err := get(s.db, key(nil, kindPack, id, name[:]), func(v []byte) error { return readNumber(&number, v) }); err != nil || !found || number == 0 {
		t.Errorf("the pack has number %d, %v, %v", number, found, err)
	}
}

func TestHeads(t *testing.T) {
	s := open(t, t.TempDir())
	if h, found, err := s.Head(domainA); err != nil || found {
		t.Errorf("head of nothing: %v, %v, %v", h, found, err)
	}
	head, intent := Head{domainA, 7, hash(7)}, Head{domainA, 8, hash(8)}
	must(t, s.SetHead(Head{domainA, 6, hash(6)}))
	must(t, s.SetHead(head))
	must(t, s.SetIntent(intent))
	s = reopen(t, s)
	if h, found, err := s.Head(domainA); err != nil || !found || h != head {
		t.Errorf("head: %v, %v, %v", h, found, err)
	}
	if h, found, err := s.Intent(domainA); err != nil || !found || h != intent {
		t.Errorf("intent: %v, %v, %v", h, found, err)
	}
	if h, found, err := s.Head(domainB); err != nil || found {
		t.Errorf("other chain: %v, %v, %v", h, found, err)
	}
	if err := s.SetHead(Head{domainA, 0, hash(1)}); err == nil {
		t.Error("seq 0 was accepted")
	}
}

func TestChains(t *testing.T) {
	s := open(t, t.TempDir())
	must(t, s.SetChain("photos", domainA))
	must(t, s.SetChain("photos2", domainB))
	must(t, s.SetChain("", domainB))
	s = reopen(t, s)
	for source, want := range map[string]string{"photos": domainA, "photos2": domainB, "": domainB, "phot": ""} {
		if got, found, err := s.Chain(source); err != nil || got != want || found != (want != "") {
			t.Errorf("%q: %q, %v, %v", source, got, found, err)
		}
	}
	must(t, s.ClearChain("photos"))
	must(t, s.ClearChain("never"))
	if got, found, err := s.Chain("photos"); err != nil || found {
		t.Errorf("after clearing: %q, %v, %v", got, found, err)
	}
}

func TestChainIDs(t *testing.T) {
	s := open(t, t.TempDir())
	for _, id := range []string{"", "00", domainA + "00", domainA[1:], strings.ToUpper(domainA), "zz" + domainA[2:]} {
		_, _, lookup := s.Lookup(id, chunkName(1))
		_, _, head := s.Head(id)
		_, list := s.Uncommitted(id)
		_, loaded := s.Loaded(id, hash(1))
		for op, err := range map[string]error{
			"lookup": lookup, "head": head, "uncommitted": list, "loaded": loaded, "add": s.AddPack(id, pack(1, 1), true), "commit": s.Commit(id, nil),
			"forget": s.Forget(id, hash(1)), "reset": s.Reset(id), "mark": s.MarkLoaded(id, hash(1)), "set": s.SetHead(Head{id, 1, hash(1)}), "chain": s.SetChain("x", id),
		} {
			if err == nil {
				t.Errorf("%s accepted %q", op, id)
			}
		}
	}
}

func TestOtherVault(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	must(t, s.SetHead(Head{domainA, 1, hash(1)}))
	must(t, s.Close())
	_, err := Open(dir, Options{Vault: hash(1), OnReset: func(reason string) { t.Errorf("reset: %s", reason) }})
	if !errors.Is(err, ErrOtherVault) || !strings.Contains(err.Error(), dir) {
		t.Errorf("got %v", err)
	}
	if _, err := Open(dir, Options{}); err == nil {
		t.Error("opened without a vault's id")
	}
	s = open(t, dir) // and the refusals left no lock behind
	if _, found, err := s.Head(domainA); err != nil || !found {
		t.Errorf("head: %v, %v", found, err)
	}
}

func TestClosed(t *testing.T) {
	s := open(t, t.TempDir())
	must(t, s.Close())
	_, _, lookup := s.Lookup(domainA, chunkName(1))
	_, _, meta := s.Meta(hash(1))
	for op, err := range map[string]error{"lookup": lookup, "meta": meta, "put": s.PutMeta(hash(1), nil), "add": s.AddPack(domainA, pack(1), true), "close": s.Close()} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s: %v", op, err)
		}
	}
}

func TestModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "state")
	open(t, dir)
	for _, sub := range []string{".", dbDir, "meta"} {
		info, err := os.Stat(filepath.Join(dir, sub))
		must(t, err)
		if info.Mode().Perm() != 0o700 {
			t.Errorf("%s: mode %v", sub, info.Mode())
		}
	}
}

func TestFull(t *testing.T) {
	dir := t.TempDir()
	free := int64(minRoom)
	s, err := Open(dir, Options{Vault: vaultID, freeRoom: func(string) (int64, error) { return free, nil }})
	must(t, err)
	defer s.Close()
	must(t, s.AddPack(domainA, pack(1, 1), true))
	free--
	for op, err := range map[string]error{
		"add": s.AddPack(domainA, pack(2, 2), true), "head": s.SetHead(Head{domainA, 1, hash(1)}), "put": s.PutMeta(hash(1), []byte("x")),
	} {
		if !errors.Is(err, ErrFull) {
			t.Errorf("%s: %v", op, err)
		}
	}
	wantAt(t, s, domainA, 1, at(1, 0, 2)) // reading goes on
}

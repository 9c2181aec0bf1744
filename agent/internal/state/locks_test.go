package state

import (
	"errors"
	"testing"
	"time"

	"farshore/agent/record"

	"github.com/cockroachdb/pebble/v2"
)

// wantLock holds an object's remembered end to a time, zero for none.
func wantLock(t *testing.T, s *Store, domain string, of LockOf, object record.Hash, want time.Time) {
	t.Helper()
	end, known, err := s.Lock(domain, of, object)
	if err != nil || known == want.IsZero() || !end.Equal(want) {
		t.Errorf("lock %c of %s: %v, %v, %v; want %v", of, object, end, known, err, want)
	}
}

func TestLocksAreRemembered(t *testing.T) {
	s := open(t, t.TempDir())
	end := time.Date(2031, 5, 17, 12, 0, 1, 0, time.UTC)
	must(t, s.SetLock(domainA, LockOfObject, hash(1), end.Add(999*time.Millisecond)))
	must(t, s.SetLock(domainA, LockOfRefs, hash(1), end.Add(-time.Hour)))
	must(t, s.SetLock(domainB, LockOfObject, hash(1), end.Add(time.Hour)))
	must(t, s.SetLock(domainA, LockOfObject, hash(2), time.Time{}))
	for range 2 {
		wantLock(t, s, domainA, LockOfObject, hash(1), end)
		wantLock(t, s, domainA, LockOfRefs, hash(1), end.Add(-time.Hour))
		wantLock(t, s, domainB, LockOfObject, hash(1), end.Add(time.Hour))
		wantLock(t, s, domainA, LockOfObject, hash(2), time.Unix(0, 0))
		wantLock(t, s, domainA, LockOfRefs, hash(2), time.Time{})
		s = reopen(t, s)
	}
	must(t, s.SetLock(domainA, LockOfObject, hash(1), end.Add(time.Hour)))
	wantLock(t, s, domainA, LockOfObject, hash(1), end.Add(time.Hour))
	must(t, s.Reset(domainA))
	wantLock(t, s, domainA, LockOfObject, hash(1), time.Time{})
	wantLock(t, s, domainB, LockOfObject, hash(1), end.Add(time.Hour))
	if _, _, err := s.Lock("no domain", LockOfObject, hash(1)); err == nil {
		t.Error("a lock was found in no domain")
	}
	if err := s.SetLock("no domain", LockOfObject, hash(1), end); err == nil {
		t.Error("a lock was remembered in no domain")
	}
}

func TestForgetForgetsLocks(t *testing.T) {
	s := open(t, t.TempDir())
	must(t, s.AddPack(domainA, pack(1, 1), true))
	for _, of := range []LockOf{LockOfObject, LockOfRefs, LockOfStuck} {
		must(t, s.SetLock(domainA, of, pack(1, 1).Name, time.Unix(1000, 0)))
	}
	must(t, s.Forget(domainA, pack(1, 1).Name))
	for _, of := range []LockOf{LockOfObject, LockOfRefs, LockOfStuck} {
		wantLock(t, s, domainA, of, pack(1, 1).Name, time.Time{})
	}
}

// TestAddPackOver gives chunks of packs whose locks end too soon a new place, and no others.
func TestAddPackOver(t *testing.T) {
	s := open(t, t.TempDir())
	need := time.Unix(5000, 0)
	same := func(n int) Pack {
		return Pack{Name: hash(n), Size: 100, Chunks: []record.TableChunk{{Name: chunkName(n), Length: 10}, {Name: chunkName(77), Length: 5}}}
	}
	where := func() record.Hash {
		t.Helper()
		loc, found, err := s.Lookup(domainA, chunkName(77))
		if err != nil || !found || loc.Offset != 10 || loc.Length != 5 {
			t.Fatalf("%+v, %v, %v", loc, found, err)
		}
		return loc.Pack.Name
	}
	steps := []struct {
		pack int
		over bool
		lock time.Time // of the pack, once it is added
		want int       // which pack has the chunk
	}{
		{1, true, time.Time{}, 1},
		{2, true, time.Unix(4999, 0), 1}, // nothing is known of the first: it stays
		{3, false, time.Time{}, 1},
		{1, true, time.Unix(4999, 0), 1}, // it is not replaced by itself
		{4, false, time.Unix(5000, 0), 1},
		{4, true, time.Unix(5000, 0), 4},
		{2, true, time.Unix(4999, 0), 4},
		{5, true, time.Unix(9000, 0), 4}, // just long enough
	}
	for i, step := range steps {
		if step.over {
			must(t, s.AddPackOver(domainA, same(step.pack), true, need))
		} else {
			must(t, s.AddPack(domainA, same(step.pack), true))
		}
		if got := where(); got != hash(step.want) {
			t.Fatalf("step %d: the chunk is in %s, want pack %d", i, got, step.want)
		}
		if !step.lock.IsZero() {
			must(t, s.SetLock(domainA, LockOfObject, hash(step.pack), step.lock))
		}
	}
	for n := 1; n <= 5; n++ { // what only one pack has stays there
		if loc, found, err := s.Lookup(domainA, chunkName(n)); err != nil || !found || loc.Pack.Name != hash(n) {
			t.Errorf("chunk of pack %d alone: %+v, %v, %v", n, loc, found, err)
		}
	}
}

func TestDamagedLock(t *testing.T) {
	s := open(t, t.TempDir())
	id, err := parseChain(domainA)
	must(t, err)
	must(t, s.db.Set(lockKey(id, LockOfObject, hash(1)), []byte("short"), pebble.Sync))
	if _, _, err := s.Lock(domainA, LockOfObject, hash(1)); !errors.Is(err, ErrDamaged) {
		t.Errorf("error %v, want %v", err, ErrDamaged)
	}
}

package vault

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"farshore/providers"
)

// TestSampleIsUniform draws from objects of which some are added many times, and holds each to be drawn about as often as any other.
func TestSampleIsUniform(t *testing.T) {
	const objects, draws, rounds = 40, 10, 4000
	seen := make([]int, objects)
	for range rounds {
		s, err := newSample(draws)
		must(t, err)
		for i := range objects {
			for range 1 + i%5*3 {
				s.add(fmt.Sprint(i), 1)
			}
		}
		if len(s.kept) != draws || len(s.has) != draws || !s.full {
			t.Fatalf("%d drawn, %d known, full %v", len(s.kept), len(s.has), s.full)
		}
		for _, d := range s.sorted() {
			var i int
			_, err := fmt.Sscan(d.object, &i)
			must(t, err)
			seen[i]++
		}
	}
	// Each is drawn with probability 1/4: 1000 times, with a standard deviation of 27. Eight of these are never met by chance.
	for i, n := range seen {
		if n < 1000-220 || n > 1000+220 {
			t.Errorf("object %d was drawn %d times of %d", i, n, rounds)
		}
	}
}

func TestSampleCounts(t *testing.T) {
	for _, n := range []int{0, 1, 1999, 2000} {
		s := filled(t, MaxLocks, n)
		if s.full || s.size() != int64(n) || len(s.sorted()) != n {
			t.Errorf("%d objects: %d, full %v", n, s.size(), s.full)
		}
	}
	for _, n := range []int{2001, 30_000, 200_000} {
		s := filled(t, MaxLocks, n)
		// The estimate's standard deviation is 2.2 %; eight of these are never met by chance.
		if got := float64(s.size()); !s.full || got < 0.82*float64(n) || got > 1.18*float64(n) || len(s.sorted()) != MaxLocks {
			t.Errorf("%d objects: estimated %v, full %v", n, got, s.full)
		}
	}
}

func filled(t *testing.T, max, n int) *sample {
	t.Helper()
	s, err := newSample(max)
	must(t, err)
	for i := range n {
		s.add(fmt.Sprint("packs/", i), 1)
		s.add(fmt.Sprint("packs/", i/2), 1)
	}
	return s
}

func TestLockCounts(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	in := func(d int) time.Time { return now.AddDate(0, 0, d) }
	var c LockCount
	for i, x := range []struct {
		lock  providers.Lock
		found bool
		err   error
	}{
		{providers.Lock{Mode: providers.Compliance, Until: in(30)}, true, nil},
		{providers.Lock{Mode: providers.Policy, Until: in(20)}, true, nil},
		{providers.Lock{Mode: providers.Policy, Until: in(20)}, true, nil},
		{providers.Lock{Mode: providers.Governance, Until: in(3)}, true, nil},
		{providers.Lock{Mode: providers.PolicyUnlocked, Until: in(3)}, true, nil},
		{providers.Lock{Mode: providers.Governance, Until: in(-3)}, true, nil},
		{providers.Lock{Hold: true}, true, nil},
		{providers.Lock{}, true, nil},
		{providers.Lock{}, false, nil},
		{providers.Lock{}, true, errors.New("first")},
		{providers.Lock{}, false, errors.New("second")},
	} {
		c.count(fmt.Sprintf("packs/%02d", 50-i), x.lock, x.found, x.err, now)
	}
	want := LockCount{Locked: 3, Liftable: 2, Expired: 1, Unlocked: 2, Missing: 1, Unknown: 2, First: in(20), FirstObject: "packs/48", Why: "first"}
	if c != want {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
	c.count("packs/60", providers.Lock{Mode: providers.Compliance, Until: in(-1)}, true, nil, now)
	if c.Expired != 2 || !c.First.Equal(in(-1)) || c.FirstObject != "packs/60" {
		t.Errorf("a lock that is over: %+v", c)
	}
}

// TestLocksOfAStoreThatTellsNothing is a survey of a store that can't be asked: nothing is claimed.
func TestLocksOfAStoreThatTellsNothing(t *testing.T) {
	b := newBench(t, tiny)
	w, end := b.writer()
	defer end()
	c := b.commit(w, object("a", b.part(w, []byte(strings.Repeat("some content ", 100)))))
	locks, err := b.open().Locks(context.Background(), w.Chain(), c, MaxLocks, time.Now())
	must(t, err)
	for name, n := range map[string]LockCount{"contents": locks.Contents, "commits": locks.Commits} {
		if n.Asked < 2 || n.Unknown != n.Asked || n.Locked+n.Unlocked+n.Missing != 0 || n.Why == "" || !n.First.IsZero() {
			t.Errorf("%s: %+v", name, n)
		}
	}
}

func TestLocksEndWithTheirContext(t *testing.T) {
	b := newBench(t, tiny)
	w, end := b.writer()
	defer end()
	c := b.commit(w, object("a", b.part(w, []byte("content"))))
	v := b.open()
	ctx, cancel := context.WithCancelCause(context.Background())
	why := errors.New("enough")
	cancel(why)
	if _, err := v.Locks(ctx, w.Chain(), c, MaxLocks, time.Now()); !errors.Is(err, why) && !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

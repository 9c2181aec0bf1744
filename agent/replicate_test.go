package agent_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"farshore/agent"
	"farshore/agent/source"
)

// noise returns n random bytes, the same for the same seed.
func noise(seed uint64, n int) []byte {
	var key [32]byte
	for i := range 8 {
		key[i] = byte(seed >> (8 * i))
	}
	b := make([]byte, n)
	_, _ = rand.NewChaCha8(key).Read(b)
	return b
}

func TestReplicateAndReadBack(t *testing.T) {
	r, src := newRig(t), newFakeSource()
	src.put("empty", nil)
	src.put("small", []byte("hello"))
	src.put("dir/a", noise(1, 300_000))
	src.put("dir/b", noise(2, 5<<20))
	src.put("dir/b-again", noise(2, 5<<20))
	src.put("\xff\xfe not utf-8", []byte("odd"))
	want1 := src.copy()
	sum := r.mustReplicate(src, agent.Options{})
	if !sum.Complete || sum.New != 6 || sum.Changed != 0 || sum.Deleted != 0 {
		t.Errorf("first pass: %+v", sum)
	}
	if sum.StoredBytes > 5<<20+400_000 {
		t.Errorf("stored %d new bytes: equal items were not deduplicated", sum.StoredBytes)
	}

	src.put("small", []byte("changed"))
	src.put("zz", []byte("new"))
	src.del("dir/a")
	want2 := src.copy()
	sum = r.mustReplicate(src, agent.Options{})
	if !sum.Complete || sum.New != 1 || sum.Changed != 1 || sum.Deleted != 1 || sum.Unchanged != 4 {
		t.Errorf("second pass: %+v", sum)
	}
	head := r.mustReplicate(src, agent.Options{}).Head // the range is rewritten now: what changed was much of it
	sum = r.mustReplicate(src, agent.Options{})
	if sum.New+sum.Changed+sum.Deleted != 0 || *sum.Head.Root != *head.Root {
		t.Errorf("a pass without change wrote a new root: %+v", sum)
	}

	v := r.open()
	c := r.chain(v)
	if len(c.Commits) != 5 {
		t.Fatalf("%d commits, want 5", len(c.Commits))
	}
	diff(t, "first", r.contents(v, c.Commits[1]), want1)
	diff(t, "second", r.contents(v, c.Commits[2]), want2)
	diff(t, "third", r.contents(v, c.Commits[3]), want2)
	diff(t, "fourth", r.contents(v, c.Commits[4]), want2)
}

func TestManyPassesKeepStacksShort(t *testing.T) {
	r, src := newRig(t), newFakeSource()
	for i := range 500 {
		src.put(fmt.Sprintf("k%04d", i), noise(uint64(i), 100))
	}
	r.mustReplicate(src, agent.Options{})
	var wants []map[string][]byte
	for pass := range 30 {
		for j := range 1 + pass%7 {
			k := (pass*37 + j*11) % 600
			if (pass+j)%5 == 0 {
				src.del(fmt.Sprintf("k%04d", k))
			} else {
				src.put(fmt.Sprintf("k%04d", k), noise(uint64(1000*pass+j), 150))
			}
		}
		wants = append(wants, src.copy())
		r.mustReplicate(src, agent.Options{})
	}
	v := r.open()
	c := r.chain(v)
	for i, want := range wants {
		diff(t, fmt.Sprintf("pass %d", i), r.contents(v, c.Commits[i+2]), want)
	}
}

func TestFailingListingRecordsNoDeletionBehindIt(t *testing.T) {
	r, src := newRig(t), newFakeSource()
	for i := range 100 {
		src.put(fmt.Sprintf("k%04d", i), noise(uint64(i), 100))
	}
	r.mustReplicate(src, agent.Options{})
	want := src.copy()
	for i := range 100 {
		if i%2 == 0 {
			src.del(fmt.Sprintf("k%04d", i))
		}
	}
	src.put("k0001", []byte("new"))
	src.listFail = "k0051"
	sum, err := r.replicate(context.Background(), src, agent.Options{})
	if err == nil || sum.Complete {
		t.Fatalf("a failed listing made a complete pass: %+v", sum)
	}
	for i := range 50 {
		if i%2 == 0 {
			delete(want, fmt.Sprintf("k%04d", i))
		}
	}
	want["k0001"] = []byte("new")
	v := r.open()
	c := r.chain(v)
	diff(t, "cut short", r.contents(v, c.Head()), want)
	if c.Head().Complete {
		t.Error("the commit says it is complete")
	}
	src.listFail = ""
	r.mustReplicate(src, agent.Options{})
	v = r.open()
	diff(t, "after", r.contents(v, r.chain(v).Head()), src.copy())
}

func TestUnreadableAndGone(t *testing.T) {
	r, src := newRig(t), newFakeSource()
	for _, k := range []string{"a", "b", "c"} {
		src.put(k, []byte("first "+k))
	}
	r.mustReplicate(src, agent.Options{})
	for _, k := range []string{"a", "b", "c"} {
		src.put(k, []byte("second "+k))
	}
	src.onCapture = func(path string) error {
		switch path {
		case "a":
			return &source.Unreadable{Reason: "archived", Detail: "in the archive"}
		case "b":
			return source.ErrGone
		}
		return nil
	}
	sum := r.mustReplicate(src, agent.Options{})
	if sum.Unreadable["archived"] != 1 || sum.Gone != 1 || !sum.Complete {
		t.Errorf("summary: %+v", sum)
	}
	v := r.open()
	got := r.contents(v, r.chain(v).Head())
	diff(t, "after", got, map[string][]byte{"a": []byte("first a"), "b": []byte("first b"), "c": []byte("second c")})
}

func TestInterruptedPassCommitsWhatIsWhole(t *testing.T) {
	r, src := newRig(t), newFakeSource()
	for i := range 200 {
		src.put(fmt.Sprintf("k%04d", i), noise(uint64(i), 1000))
	}
	ctx, cancel := context.WithCancel(context.Background())
	src.onCapture = func(path string) error {
		if path == "k0120" {
			cancel()
			return context.Canceled
		}
		return nil
	}
	sum, err := r.replicate(ctx, src, agent.Options{Captures: 2})
	if !errors.Is(err, context.Canceled) || sum.Complete {
		t.Fatalf("err %v, %+v", err, sum)
	}
	v := r.open()
	got := r.contents(v, r.chain(v).Head())
	if len(got) < 100 || len(got) > 120 {
		t.Errorf("%d items were committed, want about 120", len(got))
	}
	src.onCapture = nil
	before := src.captures
	r.mustReplicate(src, agent.Options{})
	if n := src.captures - before; n > 200-len(got) {
		t.Errorf("the next pass read %d items again, %d were committed", n, len(got))
	}
	v = r.open()
	diff(t, "after", r.contents(v, r.chain(v).Head()), src.copy())
}

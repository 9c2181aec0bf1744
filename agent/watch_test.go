package agent_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"farshore/agent"
	"farshore/agent/source"
	"farshore/agent/tripwire"
)

// watched is a source in memory with its vault, replicated under the default thresholds.
type watched struct {
	*rig
	src *fakeSource
	// as is what is replicated where it is not src itself.
	as source.Source
}

func newWatched(t testing.TB, items, size int) *watched {
	w := &watched{rig: newRig(t), src: newFakeSource()}
	for i := range items {
		w.src.put(path(i), words(uint64(i), size))
	}
	return w
}

func path(i int) string { return fmt.Sprintf("dir%d/%04d", i%7, i) }

func (w *watched) options() agent.Options {
	limits := tripwire.Default()
	return agent.Options{Tripwire: &limits}
}

// pass makes a pass and holds it to be marked with the codes, in their order.
func (w *watched) pass(what string, codes ...string) *agent.Summary {
	w.t.Helper()
	return w.passWith(what, w.options(), codes...)
}

func (w *watched) passWith(what string, o agent.Options, codes ...string) *agent.Summary {
	w.t.Helper()
	var src source.Source = w.src
	if w.as != nil {
		src = w.as
	}
	sum, err := w.replicate(context.Background(), src, o)
	if err != nil {
		w.t.Fatalf("%s: %v", what, err)
	}
	w.marked(what, sum, codes)
	return sum
}

// marked compares the marks of the summary, and of the commit that readers see, with the codes.
func (w *watched) marked(what string, sum *agent.Summary, codes []string) {
	w.t.Helper()
	for i, reasons := range [][]string{sum.Suspicious, w.chain(w.open()).Head().Suspicious} {
		var got []string
		for _, r := range reasons {
			got = append(got, tripwire.CodeOf(r))
		}
		if !slices.Equal(got, codes) {
			w.t.Errorf("%s: %s is marked %v, want %v", what, []string{"the summary", "the commit"}[i], reasons, codes)
		}
	}
}

// good holds the newest good snapshot to be of that commit, and to have these items.
func (w *watched) good(what string, seq int64, want map[string][]byte) {
	w.t.Helper()
	v := w.open()
	k := w.chain(v).NewestGood()
	if k == nil || k.Seq != seq {
		w.t.Fatalf("%s: the newest good snapshot is %+v, want %d", what, k, seq)
	}
	if want != nil {
		diff(w.t, what, w.contents(v, k), want)
	}
}

// forget loses the local state.
func (w *watched) forget() { w.dir = filepath.Join(w.t.TempDir(), "state") }

// TestMassDelete deletes half of a source: the snapshot is taken and marked, those after it too, also by an agent without local state, until the items are back.
func TestMassDelete(t *testing.T) {
	w := newWatched(t, 200, 100)
	first := w.pass("first")
	if first.Good != 0 {
		t.Errorf("the first pass was compared with %d", first.Good)
	}
	before := w.src.copy()
	seq := first.Head.Seq
	w.pass("nothing changed")
	for i := range 100 {
		w.src.del(path(i))
	}
	bad := w.pass("half deleted", tripwire.DeletedShare)
	w.good("half deleted", seq+1, before)
	diff(t, "the suspicious snapshot", w.contents(w.open(), bad.Head), w.src.copy())
	since := fmt.Sprintf("since-%d", bad.Head.Seq)
	w.pass("nothing more", tripwire.DeletedShare, since)
	w.forget()
	w.pass("without local state", tripwire.DeletedShare, since)
	for i := range 50 {
		w.src.put(path(i), before[path(i)])
	}
	last := w.pass("half of them are back")
	if last.Good != seq+1 {
		t.Errorf("compared with %d, want %d", last.Good, seq+1)
	}
	w.good("half of them are back", last.Head.Seq, w.src.copy())
	w.pass("and now that is usual")
}

// TestDeletedThenCreated deletes items in one pass and makes as many others in the next: what the last good snapshot has is what counts.
func TestDeletedThenCreated(t *testing.T) {
	w := newWatched(t, 100, 100)
	w.pass("first")
	for i := range 40 {
		w.src.del(path(i))
		w.src.put("new/"+path(i), words(uint64(i), 100))
	}
	bad := w.pass("replaced", tripwire.DeletedShare)
	for i := range 40 {
		w.src.del("new/" + path(i))
	}
	w.pass("what was new is gone too", tripwire.DeletedShare, fmt.Sprintf("since-%d", bad.Head.Seq))
}

// TestEmptied empties a source.
func TestEmptied(t *testing.T) {
	for _, n := range []int{3, 50} {
		w := newWatched(t, n, 100)
		first := w.pass("first")
		before := w.src.copy()
		for p := range before {
			w.src.del(p)
		}
		want := []string{tripwire.EmptyListing}
		if n == 50 {
			want = []string{tripwire.DeletedShare, tripwire.EmptyListing}
		}
		w.pass("emptied", want...)
		w.good("emptied", first.Head.Seq, before)
	}
}

// random are bytes that can't be compressed.
func random(seed uint64, n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	_, _ = r.Read(b)
	return b
}

// TestMassEncryption replaces contents by random bytes: many of them, or so few that only how they compress shows it. That stays so in the passes after it, until the contents
// are what they were.
func TestMassEncryption(t *testing.T) {
	const size = 640 << 10
	for _, x := range []struct {
		encrypted int
		renamed   bool
		codes     []string
	}{
		{60, false, []string{tripwire.ModifiedShare, tripwire.Compressibility}},
		{20, false, []string{tripwire.Compressibility}},
		{20, true, []string{tripwire.Compressibility}},
	} {
		w := newWatched(t, 100, size)
		first := w.pass("first")
		before := w.src.copy()
		for i := range x.encrypted {
			to := path(i)
			if x.renamed {
				w.src.del(to)
				to += ".locked"
			}
			w.src.put(to, random(uint64(i), size))
		}
		what := fmt.Sprintf("%d encrypted, renamed %v", x.encrypted, x.renamed)
		bad := w.pass(what, x.codes...)
		w.good(what, first.Head.Seq, nil)
		w.forget()
		w.pass(what+", and nothing more", append(slices.Clone(x.codes), fmt.Sprintf("since-%d", bad.Head.Seq))...)
		for p := range w.src.copy() {
			w.src.del(p)
		}
		for p, b := range before {
			w.src.put(p, b)
		}
		w.pass(what + ", and put back")
	}
}

// TestNewArchives adds what can't be compressed to what can: nothing is lost by that.
func TestNewArchives(t *testing.T) {
	w := newWatched(t, 100, 100<<10)
	w.pass("first")
	for i := range 20 {
		w.src.put(fmt.Sprintf("zip%d", i), random(uint64(i), 1<<20))
	}
	w.pass("archives")
}

// TestTruncatedListing lets a listing fail half-way: it is a failure, and no deletion.
func TestTruncatedListing(t *testing.T) {
	w := newWatched(t, 100, 100)
	first := w.pass("first")
	before := w.src.copy()
	w.src.listFail = path(7)
	sum, err := w.replicate(context.Background(), w.src, w.options())
	if err == nil || sum.Complete || sum.Deleted != 0 {
		t.Fatalf("error %v, %+v", err, sum)
	}
	w.good("truncated", first.Head.Seq, before)
	w.src.listFail = ""
	w.pass("whole again")
}

// TestGrowth makes two hundred passes over a source that grows and changes as sources do. None is marked.
func TestGrowth(t *testing.T) {
	w := newWatched(t, 100, 50)
	r := rand.New(rand.NewPCG(1, 2))
	s := w.state()
	defer s.Close()
	next := 100
	for n := range 200 {
		for p := range w.src.copy() {
			switch r.IntN(20) {
			case 0:
				w.src.put(p, words(r.Uint64(), 50+r.IntN(50)))
			case 1:
				w.src.del(p)
			}
		}
		for range 3 + r.IntN(8) {
			w.src.put(path(next), words(r.Uint64(), 50+r.IntN(50)))
			next++
		}
		sum, err := w.replicateWith(context.Background(), s, w.src, w.options())
		if err != nil {
			t.Fatal(err)
		}
		if len(sum.Suspicious) > 0 {
			t.Fatalf("pass %d: %v", n, sum.Suspicious)
		}
	}
}

// TestAccept has a person accept a change: what that snapshot shows is usual from then on, and nothing else.
func TestAccept(t *testing.T) {
	w := newWatched(t, 200, 100)
	w.pass("first")
	for i := range 100 {
		w.src.del(path(i))
	}
	bad := w.pass("half deleted", tripwire.DeletedShare)
	for _, n := range []int64{1, bad.Head.Seq - 1, bad.Head.Seq + 1} {
		o := w.options()
		o.Accept = n
		if _, err := w.replicate(context.Background(), w.src, o); !errors.Is(err, agent.ErrAccept) {
			t.Errorf("accepting %d: %v", n, err)
		}
	}
	for i := 100; i < 150; i++ {
		w.src.del(path(i))
	}
	o := w.options()
	o.Accept = bad.Head.Seq
	since := fmt.Sprintf("since-%d", bad.Head.Seq)
	more := w.passWith("accepted, but more is gone", o, tripwire.DeletedShare, since)
	if len(more.Accepted) > 0 {
		t.Errorf("accepted %v", more.Accepted)
	}
	o.Accept = more.Head.Seq
	ok := w.passWith("accepted", o)
	if c := w.chain(w.open()).Head(); !slices.Equal(c.Accepted, more.Suspicious) || !slices.Equal(ok.Accepted, more.Suspicious) {
		t.Errorf("the commit says that %v was accepted, want %v", c.Accepted, more.Suspicious)
	}
	w.good("accepted", ok.Head.Seq, w.src.copy())
	next := w.pass("usual by now")
	if len(next.Accepted) > 0 || next.Good != ok.Head.Seq {
		t.Errorf("accepted %v, compared with %d", next.Accepted, next.Good)
	}
}

// TestInterrupted deletes most of a source and interrupts the pass that finds it: what it commits midway is marked as soon as that is known, and no pass after it takes the half that
// was left for usual.
func TestInterrupted(t *testing.T) {
	w := newWatched(t, 300, 100)
	first := w.pass("first")
	before := w.src.copy()
	for i := range 300 {
		if p := path(i); p < "dir4" {
			w.src.del(p)
		}
	}
	w.src.put("dir5/new", []byte("new"))
	ctx, cancel := context.WithCancel(context.Background())
	w.src.onCapture = func(string) error { cancel(); return ctx.Err() }
	sum, err := w.replicate(ctx, w.src, w.options())
	if !errors.Is(err, context.Canceled) || sum.Commits != 1 || sum.Complete {
		t.Fatalf("error %v, %+v", err, sum)
	}
	w.marked("interrupted", sum, []string{tripwire.DeletedShare})
	w.good("interrupted", first.Head.Seq, before)
	w.src.onCapture = nil
	last := w.pass("to its end", tripwire.DeletedShare, fmt.Sprintf("since-%d", sum.Head.Seq))
	if last.Deleted != 0 {
		t.Errorf("%d were deleted once more", last.Deleted)
	}
	w.good("to its end", first.Head.Seq, before)
}

// governed is a source with settings.
type governed struct {
	*fakeSource
	now string
}

func (g *governed) Settings(context.Context, [][]byte) ([][]byte, error) {
	return [][]byte{[]byte(g.now)}, nil
}

func (g *governed) Worse(before, now [][]byte) (alarms, notices []string) {
	if len(before) > 0 && !bytes.Equal(before[0], now[0]) {
		if strings.HasPrefix(string(now[0]), "worse") {
			return []string{"it is worse"}, []string{"look"}
		}
		return nil, []string{"it is another"}
	}
	return nil, nil
}

// TestSettings compares a source's own settings with those of the last good snapshot, which are in the vault.
func TestSettings(t *testing.T) {
	w := newWatched(t, 10, 100)
	g := &governed{w.src, "plain"}
	w.as = g
	first := w.pass("first")
	same := w.pass("the same")
	if *same.Head.Root != *first.Head.Root {
		t.Error("a pass that found nothing new stored a root")
	}
	g.now = "other"
	if sum := w.pass("another"); len(sum.Notices) == 0 || !strings.Contains(sum.Notices[len(sum.Notices)-1].Text, "another") {
		t.Errorf("notices %v", sum.Notices)
	}
	g.now = "worse"
	bad := w.pass("worse", tripwire.SourcePolicy)
	w.forget()
	w.pass("still", tripwire.SourcePolicy, fmt.Sprintf("since-%d", bad.Head.Seq))
	g.now = "other"
	w.pass("as it was")
	g.now = "worse again"
	bad = w.pass("worse again", tripwire.SourcePolicy)
	o := w.options()
	o.Accept = bad.Head.Seq
	w.passWith("accepted", o)
	w.pass("usual by now")
	g.now = "plain"
	o = w.options()
	o.Tripwire.Policy = false
	w.passWith("not asked", o)
}

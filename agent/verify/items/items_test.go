package items_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"filippo.io/age"

	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/agent/source"
	"farshore/agent/verify/internal/rig"
	"farshore/agent/verify/items"
	"farshore/crypto/seal"
	"farshore/providers"
	"farshore/providers/mem"
)

// scene is a vault with a source, and what a sample notes.
type scene struct {
	*rig.Rig
	t     *testing.T
	src   *rig.Source
	notes []report.AuditFinding
	names []string
}

// newScene replicates n items of 2,000 bytes each.
func newScene(t *testing.T, n int) *scene {
	t.Helper()
	s := &scene{Rig: rig.New(t), t: t, src: rig.NewSource("shop")}
	for i := range n {
		s.src.Put(fmt.Sprintf("secret-%03d", i), rig.Noise(uint64(i), 2000))
	}
	s.Pass(s.src)
	return s
}

// sample draws with the recovery key, and checks what holds for every result.
func (s *scene) sample(ctx context.Context, d providers.Driver, o items.Options, id age.Identity) (*items.Result, error) {
	s.t.Helper()
	v, chains := s.Open(d, id)
	o.Chains, o.Workers, o.Scratch = chains, 3, cmp.Or(o.Scratch, s.t.TempDir())
	s.notes, s.names = nil, nil
	o.Note = func(f report.AuditFinding) { s.notes = append(s.notes, f) }
	o.Name = func(source, path string) int64 {
		s.names = append(s.names, source+": "+path)
		return int64(len(s.names))
	}
	res, err := items.Sample(ctx, v, o)
	s.consistent(res)
	if left, rerr := os.ReadDir(o.Scratch); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) || len(left) > 0 {
		s.t.Errorf("left in the scratch directory: %v, %v", left, rerr)
	}
	return res, err
}

// restored samples everything with the recovery key.
func (s *scene) restored(o items.Options) *items.Result {
	s.t.Helper()
	o.Restore = true
	res, err := s.sample(s.t.Context(), s.Store, o, s.Recovery)
	s.Must(err)
	return res
}

func (s *scene) live() map[string]source.Source { return map[string]source.Source{"shop": s.src} }

// consistent holds a result to its own sums, and that no text has a name.
func (s *scene) consistent(r *items.Result) {
	s.t.Helper()
	c := r.Counts
	if c.Drawn != c.Restored+c.Failed+c.Locked || c.Compared != c.Same+c.Differ || r.Failed > r.Sampled || r.Sampled > c.Drawn || r.Sampled > 0 && r.Failed != c.Failed+c.Locked {
		s.t.Errorf("sums: %+v", *r)
	}
	if r.Population > 0 && r.Sampled > r.Population {
		s.t.Errorf("more than there are: %+v", *r)
	}
	if r.Counts.Tried && !r.Complete && len(r.NotChecked) == 0 {
		s.t.Errorf("not complete, and nothing says why: %+v", *r)
	}
	text, err := json.Marshal([]any{s.notes, r.NotChecked})
	s.Must(err)
	if bytes.Contains(text, []byte("secret")) || bytes.Contains(text, []byte("shop")) {
		s.t.Errorf("a text names an item or a source: %s", text)
	}
}

// packs returns the packs, by name.
func (s *scene) packs() (names []string) {
	for name := range s.Store.Objects() {
		if strings.HasPrefix(name, "packs/") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func TestWell(t *testing.T) {
	s := newScene(t, 30)
	res := s.restored(items.Options{Live: s.live()})
	want := report.ItemCounts{Tried: true, Drawn: 30, Restored: 30, Bytes: 60000, Compared: 30, Same: 30}
	if res.Counts != want || res.Population != 30 || res.Sampled != 30 || res.Failed != 0 || !res.Complete || len(res.Lost)+len(s.notes)+len(res.NotChecked) > 0 {
		t.Errorf("%+v, %+v", res, s.notes)
	}
	some := s.restored(items.Options{Most: 10})
	if some.Population != 0 || some.Sampled != 10 || some.Counts.Restored != 10 || !some.Complete {
		t.Errorf("ten of more: %+v", some)
	}
}

// TestLost damages the only pack in each way that it can be, and says what is wrong with it.
func TestLost(t *testing.T) {
	s := newScene(t, 8)
	name := s.packs()[0]
	good := bytes.Clone(s.Store.Objects()[name])
	flipped := bytes.Clone(good)
	flipped[len(good)/2] ^= 1
	opener := seal.NewOpener(s.Recovery)
	plain, err := seal.OpenBytes(opener, good, 1<<26)
	s.Must(err)
	_, stranger := rig.Identity(t)
	sealer, err := seal.NewSealer([]string{stranger})
	s.Must(err)
	var other bytes.Buffer
	w, err := sealer.Writer(&other)
	s.Must(err)
	_, err = w.Write(plain)
	s.Must(errors.Join(err, w.Close()))
	for _, c := range []struct {
		what, kind string
		bytes      []byte
	}{
		{"missing", report.DamageMissing, nil},
		{"one bit", report.DamageBytes, flipped},
		{"cut short", report.DamageBytes, good[:len(good)-100]},
		{"sealed to another key, under its name", report.DamageBytes, other.Bytes()},
	} {
		if c.bytes == nil {
			s.Store.Remove(name)
		} else {
			s.Store.Set(name, c.bytes)
		}
		res := s.restored(items.Options{})
		if res.Counts.Failed == 0 || res.Counts.Locked != 0 || res.Sampled != 8 || res.Failed != res.Counts.Failed || int64(len(res.Lost)) != res.Failed || len(s.notes) != len(res.Lost) {
			t.Errorf("%s: %+v, %+v", c.what, res, s.notes)
			continue
		}
		l := res.Lost[0]
		if l.Object != name || l.Kind != c.kind || l.Source != "shop" || !strings.HasPrefix(l.Path, "secret-") || l.Why == "" || s.notes[0].Item == 0 || s.notes[0].Severity != "damage" {
			t.Errorf("%s: %+v, %+v", c.what, l, s.notes[0])
		}
	}
}

// TestLocked has the key of another recipient at hand: nothing is known to be wrong, and nothing is claimed.
func TestLocked(t *testing.T) {
	s := newScene(t, 5)
	res, err := s.sample(t.Context(), s.Store, items.Options{Restore: true}, s.Metadata)
	s.Must(err)
	if c := res.Counts; c.Locked != 5 || c.Failed != 0 || res.Sampled != 0 || len(res.NotChecked) == 0 || len(s.notes) != 0 {
		t.Errorf("the metadata key: %+v %+v", res, s.notes)
	}
	stranger, _ := rig.Identity(t)
	res, err = s.sample(t.Context(), s.Store, items.Options{Restore: true}, stranger)
	s.Must(err)
	if c := res.Counts; c.Drawn != 0 || res.Sampled != 0 || len(res.NotChecked) != 1 || res.NotChecked[0].Count != 5 {
		t.Errorf("a stranger's key: %+v", res)
	}
}

// TestNoKey restores nothing without a key that opens packs, and still compares what the records state.
func TestNoKey(t *testing.T) {
	s := newScene(t, 5)
	s.src.Items["secret-002"].Lie = []byte("other bytes")
	res, err := s.sample(t.Context(), s.Store, items.Options{Live: s.live()}, s.Metadata)
	s.Must(err)
	if res.Counts != (report.ItemCounts{Compared: 5, Same: 4, Differ: 1}) || res.Sampled != 0 {
		t.Errorf("compared: %+v", res)
	}
	res, err = s.sample(t.Context(), s.Store, items.Options{}, s.Metadata)
	s.Must(err)
	if res.Counts != (report.ItemCounts{}) || len(res.NotChecked) != 1 || res.NotChecked[0].Count != -1 {
		t.Errorf("neither key nor source: %+v", res)
	}
}

// TestSource compares with a source that does all that sources do.
func TestSource(t *testing.T) {
	for _, c := range []struct {
		what   string
		change func(s *rig.Source, it *rig.Item)
		want   report.ItemCounts
		notes  int
	}{
		{"the same", func(*rig.Source, *rig.Item) {}, report.ItemCounts{Compared: 4, Same: 4}, 0},
		{"other bytes", func(_ *rig.Source, it *rig.Item) { it.Lie = rig.Noise(99, 2000) }, report.ItemCounts{Compared: 4, Same: 3, Differ: 1}, 1},
		{"fewer bytes", func(_ *rig.Source, it *rig.Item) { it.Lie = []byte{} }, report.ItemCounts{Compared: 4, Same: 3, Differ: 1}, 1},
		{"far more bytes than may be read", func(_ *rig.Source, it *rig.Item) { it.Lie = make([]byte, 3<<20) }, report.ItemCounts{Compared: 3, Same: 3, Unseen: 1}, 0},
		{"another version", func(s *rig.Source, _ *rig.Item) { s.Put("secret-001", []byte("new")) }, report.ItemCounts{Compared: 3, Same: 3, Changed: 1}, 0},
		{"deleted", func(s *rig.Source, _ *rig.Item) { delete(s.Items, "secret-001") }, report.ItemCounts{Compared: 3, Same: 3, Changed: 1}, 0},
		{"changed while it was read", func(_ *rig.Source, it *rig.Item) { it.Flip, it.Lie = true, []byte("new") }, report.ItemCounts{Compared: 3, Same: 3, Changed: 1}, 0},
		{"gone while it was read", func(_ *rig.Source, it *rig.Item) { it.Gone = true }, report.ItemCounts{Compared: 3, Same: 3, Changed: 1}, 0},
		{"unreadable", func(_ *rig.Source, it *rig.Item) { it.Unreadable = true }, report.ItemCounts{Compared: 3, Same: 3, Unseen: 1}, 0},
		{"failing", func(_ *rig.Source, it *rig.Item) { it.Fail = true }, report.ItemCounts{Compared: 3, Same: 3, Unseen: 1}, 0},
		{"down", func(s *rig.Source, _ *rig.Item) { s.Down = true }, report.ItemCounts{Unseen: 4}, 0},
	} {
		t.Run(c.what, func(t *testing.T) {
			s := newScene(t, 4)
			c.change(s.src, s.src.Items["secret-001"])
			res := s.restored(items.Options{Live: s.live()})
			c.want.Tried, c.want.Drawn, c.want.Restored, c.want.Bytes = true, 4, 4, 8000
			if res.Counts != c.want || len(s.notes) != c.notes {
				t.Errorf("%+v, want %+v; %+v", res.Counts, c.want, s.notes)
			}
			if c.notes > 0 && (s.notes[0].Severity != "damage" || s.notes[0].Item != 1 || s.names[0] != "shop: secret-001") {
				t.Errorf("%+v %v", s.notes, s.names)
			}
		})
	}
}

// TestSourceDown asks a source that does not answer only a few times.
func TestSourceDown(t *testing.T) {
	s := newScene(t, 60)
	s.src.Down = true
	s.src.Listed.Store(0)
	res := s.restored(items.Options{Live: s.live()})
	if n := s.src.Listed.Load(); n > 20 || res.Counts.Unseen != n || len(res.NotChecked) != 1 || res.NotChecked[0].Count != 60-n {
		t.Errorf("asked %d times: %+v", n, res)
	}
}

// TestUnreadable counts what the source could not read by what was captured before, and leaves out what never was.
func TestUnreadable(t *testing.T) {
	s := newScene(t, 3)
	s.src.Put("never", []byte("x"))
	s.src.Items["never"].Unreadable = true
	s.src.Put("secret-001", rig.Noise(5, 100))
	s.src.Items["secret-001"].Unreadable = true
	s.Pass(s.src)
	res := s.restored(items.Options{})
	if res.Counts.Restored != 3 || res.Population != 3 || res.Counts.Bytes != 6000 {
		t.Errorf("%+v", res)
	}
}

// TestBudget ends the sample at the first item that does not fit, and never before the first item: what is drawn is a run from the beginning of what is drawn without a budget. That it
// ends there is told and makes the run no less complete, or each sample of a vault that is larger than the budget would be called incomplete.
func TestBudget(t *testing.T) {
	s := newScene(t, 20)
	for _, c := range []struct{ bytes, want int64 }{{1, 1}, {1 << 20, 1}, {3 << 20, 3}, {7<<20 + 5, 7}, {20 << 20, 20}, {0, 20}} {
		res := s.restored(items.Options{Bytes: c.bytes})
		if res.Sampled != c.want || res.Counts.Restored != c.want || !res.Complete || (len(res.NotChecked) > 0) != (c.want < 20) || res.Population != 20 {
			t.Errorf("%d bytes: %+v", c.bytes, res)
		}
	}
}

// hooked is a store that calls a function before each read.
type hooked struct {
	*mem.Driver
	n    atomic.Int64
	hook func(n int64, name string) error
}

func (h *hooked) Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	if err := h.hook(h.n.Add(1), name); err != nil {
		return nil, err
	}
	return h.Driver.Open(ctx, name, off, n)
}

// TestInterrupted cancels after each read of the store: what was done until then counts, and nothing is taken for damage.
func TestInterrupted(t *testing.T) {
	s := newScene(t, 12)
	for k := int64(1); ; k++ {
		ctx, cancel := context.WithCancel(t.Context())
		var armed atomic.Bool
		var n atomic.Int64
		h := &hooked{Driver: s.Store, hook: func(int64, string) error {
			if armed.Load() && n.Add(1) == k {
				cancel()
			}
			return nil
		}}
		v, chains := s.Open(h, s.Recovery)
		armed.Store(true)
		res, err := items.Sample(ctx, v, items.Options{Chains: chains, Restore: true, Workers: 2})
		stopped := ctx.Err() != nil
		cancel()
		s.consistent(res)
		if res.Counts.Failed > 0 || len(res.Lost) > 0 {
			t.Fatalf("after %d reads: %+v", k, res)
		}
		if !stopped {
			if err != nil || res.Counts.Restored != 12 {
				t.Fatalf("not stopped: %v %+v", err, res)
			}
			return
		}
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Fatalf("after %d reads: %v", k, err)
		}
	}
}

// TestStoreFails fails each read in turn, as a store does that is overloaded: that is an error of the run and no damage.
func TestStoreFails(t *testing.T) {
	s := newScene(t, 12)
	for k := int64(1); ; k++ {
		var armed atomic.Bool
		var n atomic.Int64
		h := &hooked{Driver: s.Store, hook: func(_ int64, name string) error {
			if armed.Load() && n.Add(1) >= k {
				return &providers.Error{Kind: providers.Temporary, Op: "open", Name: name, Err: errors.New("busy")}
			}
			return nil
		}}
		v, chains := s.Open(h, s.Recovery)
		armed.Store(true)
		res, err := items.Sample(t.Context(), v, items.Options{Chains: chains, Restore: true, Workers: 1})
		s.consistent(res)
		if res.Counts.Failed > 0 || len(res.Lost) > 0 {
			t.Fatalf("from read %d on: %+v", k, res)
		}
		if err == nil {
			if n.Load() >= k {
				t.Fatalf("from read %d on: no error", k)
			}
			return
		}
	}
}

// TestWithheld has the store list a pack and not give it: its items are lost as long as that is so.
func TestWithheld(t *testing.T) {
	s := newScene(t, 4)
	name := s.packs()[0]
	h := &hooked{Driver: s.Store, hook: func(_ int64, n string) error {
		if n == name {
			return &providers.Error{Kind: providers.Denied, Op: "open", Name: n, Err: errors.New("no")}
		}
		return nil
	}}
	res, err := s.sample(t.Context(), h, items.Options{Restore: true}, s.Recovery)
	s.Must(err)
	if res.Counts.Failed == 0 || res.Lost[0].Kind != report.DamageWithheld || res.Lost[0].Object != name {
		t.Errorf("%+v", res)
	}
}

// TestDeadline stops where the time is over: that is no error. What is left is told, and cuts the sample short where there were bytes to read yet.
func TestDeadline(t *testing.T) {
	s := newScene(t, 4)
	for _, bytes := range []int64{0, 1 << 30} {
		res := s.restored(items.Options{Bytes: bytes, Deadline: time.Now().Add(-time.Second)})
		if res.Complete != (bytes == 0) || res.Sampled != 0 || len(res.NotChecked) == 0 {
			t.Errorf("%d bytes: %+v", bytes, res)
		}
	}
}

// TestPageLost loses each page of the newest snapshot in turn: a root and a segment lose their items, others lose none.
func TestPageLost(t *testing.T) {
	s := newScene(t, 6)
	other := rig.NewSource("other")
	for i := range 6 {
		other.Put(fmt.Sprintf("secret-%d", i), []byte("content"))
	}
	s.Pass(other)
	v, chains := s.Open(s.Store, s.Recovery)
	k := chains[0].Newest()
	snap, err := v.Snapshot(t.Context(), k)
	s.Must(err)
	for _, c := range []struct {
		what, name string
		most       int
	}{
		{"root", record.MetaName(k.Root.Name), 0},
		{"segment", record.MetaName(snap.Segments()[0].Name), 0},
		{"segment, of a draw", record.MetaName(snap.Segments()[0].Name), 10},
	} {
		kept := bytes.Clone(s.Store.Objects()[c.name])
		s.Store.Remove(c.name)
		res := s.restored(items.Options{Most: c.most})
		s.Store.Set(c.name, kept)
		if res.Counts.Failed == 0 || res.Counts.Restored == 0 || len(res.Lost) == 0 || res.Lost[0].Object != c.name || res.Lost[0].Kind != report.DamageMissing {
			t.Errorf("%s: %+v", c.what, res)
		}
		if c.most == 0 && (res.Counts.Failed != 6 || res.Counts.Restored != 6) {
			t.Errorf("%s: %+v", c.what, res.Counts)
		}
	}
}

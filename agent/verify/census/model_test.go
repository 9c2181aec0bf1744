package census

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/agent/vault"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// collect returns all objects.
func collect(t testing.TB, objects iter.Seq2[Object, error]) (out []Object) {
	t.Helper()
	for o, err := range objects {
		must(t, err)
		out = append(out, o)
	}
	return out
}

// fake is a vault of commits that were never encoded.
type fake struct {
	chains []*vault.Chain
	packs  map[*vault.Commit][]record.Ref
	meta   map[*vault.Commit][]record.Ref
	lists  map[record.Hash]*record.List
	fail   func(c *vault.Commit) error
	gone   map[record.Hash]bool // lists that can't be read

	mu    sync.Mutex
	reads int // of lists
}

func newFake() *fake {
	return &fake{packs: map[*vault.Commit][]record.Ref{}, meta: map[*vault.Commit][]record.Ref{}, lists: map[record.Hash]*record.List{}, gone: map[record.Hash]bool{}}
}

func (f *fake) Added(_ context.Context, c *vault.Commit) (packs, meta []record.Ref, err error) {
	if f.fail != nil {
		if err := f.fail(c); err != nil {
			return nil, nil, err
		}
	}
	return f.packs[c], f.meta[c], nil
}

func (f *fake) Live(ctx context.Context, ref record.Ref) (*vault.Live, error) {
	l, err := f.List(ctx, ref.Name)
	if err != nil {
		return nil, err
	}
	live := &vault.Live{Lists: []record.Ref{ref}, Meta: l.Meta}
	for _, s := range l.Segments {
		if s.List.IsZero() {
			s.List = ref.Name
		}
		live.Segments = append(live.Segments, s)
	}
	return live, nil
}

func (f *fake) List(_ context.Context, name record.Hash) (*record.List, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reads++
	l := f.lists[name]
	if l == nil || f.gone[name] {
		return nil, &vault.DamageError{Object: record.MetaName(name), Err: errors.New("missing")}
	}
	return l, nil
}

func (f *fake) Withheld(context.Context, error) bool { return false }

// chain adds a chain.
func (f *fake) chain(id string) *vault.Chain {
	c := &vault.Chain{ID: id}
	f.chains = append(f.chains, c)
	return c
}

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// commit adds a commit to a chain.
func (f *fake) commit(c *vault.Chain, packs, meta []record.Ref) *vault.Commit {
	k := &vault.Commit{StoredSize: 1000}
	k.Chain, k.Seq = c.ID, int64(len(c.Commits)+1)
	k.Time = epoch.Add(time.Duration(len(f.packs)) * time.Minute)
	k.Hash = sha256.Sum256(fmt.Append(nil, c.ID, k.Seq))
	f.packs[k], f.meta[k] = packs, meta
	c.Commits = append(c.Commits, k)
	return k
}

// take takes a census that the test closes.
func (f *fake) take(t testing.TB, memory int64) *Census {
	t.Helper()
	c, err := take(t.Context(), f, counting(f.chains), Options{Dir: t.TempDir(), Memory: memory})
	must(t, err)
	t.Cleanup(func() { must(t, c.Close()) })
	return c
}

func ref(n, size int64) record.Ref {
	return record.Ref{Name: sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(n))), Size: size}
}

// model is what a census should say, computed with a plain map.
type model struct {
	objects  []Object
	counts   report.Population
	disputed int64
}

// modelOf reads the chains one after the other, as the words of Take have it.
func (f *fake) model() model {
	type key struct {
		name record.Hash
		meta bool
	}
	var m model
	found, disputed := map[key]Object{}, map[key]bool{}
	chains := counting(f.chains)
	m.counts.Chains = int64(len(chains))
	for i, c := range chains {
		for _, k := range c.Commits {
			if k.Revoked {
				continue
			}
			m.counts.Commits++
			for room, refs := range [][]record.Ref{f.packs[k], f.meta[k]} {
				for _, r := range refs {
					at := key{r.Name, room == 1}
					if old, ok := found[at]; ok {
						disputed[at] = disputed[at] || old.Size != r.Size
						if !k.Time.Before(chains[old.Chain].Commits[old.Seq-1].Time) {
							continue
						}
					}
					found[at] = Object{Name: r.Name, Meta: room == 1, Size: r.Size, Chain: int32(i), Seq: k.Seq}
				}
			}
		}
	}
	m.disputed = int64(len(slices.DeleteFunc(slices.Collect(maps.Values(disputed)), func(b bool) bool { return !b })))
	m.objects = slices.SortedFunc(maps.Values(found), Compare)
	for _, o := range m.objects {
		if o.Meta {
			m.counts.Pages++
			m.counts.PageBytes += o.Size
		} else {
			m.counts.Packs++
			m.counts.PackBytes += o.Size
		}
	}
	return m
}

// holds holds a census to the model.
func (m *model) holds(t *testing.T, c *Census) {
	t.Helper()
	got := collect(t, c.Objects(t.Context()))
	if !slices.Equal(got, m.objects) {
		t.Fatalf("%d objects, wanted %d; the first that differ are at %d", len(got), len(m.objects), mismatch(got, m.objects))
	}
	if c.Population() != m.counts || c.Disputed() != m.disputed {
		t.Errorf("%+v, %d disputed; wanted %+v, %d", c.Population(), c.Disputed(), m.counts, m.disputed)
	}
}

func mismatch(a, b []Object) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

// random makes a vault of chains and commits, in which names, sizes and rooms collide often.
func random(seed uint64) *fake {
	r := rand.New(rand.NewPCG(seed, 1))
	f := newFake()
	names := int64(1 + r.IntN(3000))
	for i := range r.IntN(5) {
		c := f.chain(fmt.Sprintf("%032x", (i+1)*7919%1000))
		for range r.IntN(30) {
			var refs [2][]record.Ref
			for room := range refs {
				once := map[record.Hash]bool{}
				for range r.IntN(150) {
					n := ref(r.Int64N(names), 100)
					switch r.IntN(20) {
					case 0:
						n.Size += r.Int64N(3)
					case 1: // a liar's choice of names
						n.Name = record.Hash{0xff, 31: byte(r.IntN(100))}
					}
					if !once[n.Name] {
						refs[room] = append(refs[room], n)
					}
					once[n.Name] = true
				}
			}
			f.commit(c, refs[0], refs[1]).Revoked = r.IntN(10) == 0
		}
	}
	return f
}

// TestModel holds a census to the plain map, in memories from the least, with which there are many files and several rounds of merging, to one that holds everything.
func TestModel(t *testing.T) {
	spilled := 0
	for seed := range uint64(20) {
		f := random(seed)
		m := f.model()
		for _, memory := range []int64{1, 20_000, 300_000, 0} {
			c := f.take(t, memory)
			m.holds(t, c)
			m.holds(t, c) // once more
			if c.table.file != nil {
				spilled++
			}
			for _, o := range m.objects[:min(3, len(m.objects))] {
				chain := counting(f.chains)[o.Chain]
				if want := chain.Commits[o.Seq-1].Time; !c.Time(o).Equal(want) || c.Heads()[o.Chain].Chain != chain.ID {
					t.Errorf("%v: time %v, wanted %v; %+v", o, c.Time(o), want, c.Heads())
				}
			}
		}
	}
	if spilled < 20 {
		t.Errorf("only %d of them needed a file: this test looks at too little", spilled)
	}
}

// TestFrom begins in the middle, at names that are there and that are not.
func TestFrom(t *testing.T) {
	f := random(3)
	m := f.model()
	r := rand.New(rand.NewPCG(5, 5))
	for _, memory := range []int64{1, 0} {
		c := f.take(t, memory)
		for range 100 {
			name := m.objects[r.IntN(len(m.objects))].Name
			switch r.IntN(4) {
			case 0:
				name[31]++
			case 1:
				name = record.Hash{byte(r.IntN(256))}
			}
			at, _ := slices.BinarySearchFunc(m.objects, name, func(o Object, n record.Hash) int { return bytes.Compare(o.Name[:], n[:]) })
			if got := collect(t, c.table.objects(t.Context(), name)); !slices.Equal(got, m.objects[at:]) {
				t.Fatalf("from %v: %d objects, wanted %d", name, len(got), len(m.objects)-at)
			}
		}
	}
}

// TestConcurrently reads a census in several goroutines at a time.
func TestConcurrently(t *testing.T) {
	f := random(3)
	m := f.model()
	c := f.take(t, 1)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			n := 0
			for o, err := range c.Objects(context.Background()) {
				if err != nil || o != m.objects[n] {
					t.Errorf("object %d: %v, %v", n, o, err)
					return
				}
				n++
			}
		})
	}
	all.Wait()
}

// left returns what lies in a directory.
func left(t testing.TB, dir string) []os.DirEntry {
	t.Helper()
	names, err := os.ReadDir(dir)
	must(t, err)
	return names
}

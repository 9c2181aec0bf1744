package agent_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"farshore/agent"
	"farshore/agent/internal/state"
	"farshore/agent/record"
	"farshore/agent/vault"
	"farshore/providers"
	"farshore/providers/faults"
	"farshore/providers/mem"
)

// world is what is left when a process ends: the vault's objects and the local state directory, which may be "" for none.
type world struct {
	when    string
	objects map[string][]byte
	dir     string
}

// in returns the rig on a copy of the world.
func (r *rig) in(t testing.TB, w world) (*rig, *mem.Driver) {
	t.Helper()
	d := mem.New()
	for name, b := range w.objects {
		d.Set(name, b)
	}
	out := *r
	out.t, out.driver, out.bucket = t, d, providers.New(d, providers.Options{})
	out.dir = filepath.Join(t.TempDir(), "state")
	if w.dir != "" {
		must(t, os.CopyFS(out.dir, os.DirFS(w.dir)))
	}
	return &out, d
}

// id is the same for worlds that do not differ.
func (w world) id(t testing.TB) string {
	t.Helper()
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(w.objects)) {
		fmt.Fprintln(h, name)
	}
	if w.dir != "" {
		must(t, filepath.WalkDir(w.dir, func(path string, e os.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			b, err := os.ReadFile(path)
			fmt.Fprintf(h, "%s %x\n", path[len(w.dir):], sha256.Sum256(b))
			return err
		}))
	}
	return string(h.Sum(nil))
}

// killScript is a pass that is killed.
type killScript struct {
	name    string
	prepare func(*fakeSource) // before an undisturbed pass that comes first; nil for none
	change  func(*fakeSource)
	o       agent.Options
	back    vault.ReadBack
}

func killScripts() []killScript {
	some := func(src *fakeSource) {
		for i := range 6 {
			src.put(fmt.Sprintf("k%02d", i), noise(uint64(i), 500*i))
		}
		src.put("large", noise(99, 700_000))
		src.put("large again", noise(99, 700_000))
	}
	few := func(src *fakeSource) {
		for i := range 4 {
			src.put(fmt.Sprintf("k%02d", i), noise(uint64(i), 500*i))
		}
	}
	changes := func(src *fakeSource) {
		src.put("k01", []byte("changed"))
		src.put("k03", noise(99, 700_000))
		src.put("k09", noise(9, 300_000))
		src.del("k04")
		src.del("large")
	}
	return []killScript{
		{"first pass", nil, some, agent.Options{}, vault.ReadBack{}},
		{"second pass", some, changes, agent.Options{}, vault.ReadBack{}},
		{"commits on the way", some, changes, agent.Options{CommitBytes: 1, Captures: 2}, vault.ReadBack{}},
		{"first pass, commits on the way", nil, few, agent.Options{CommitEvery: 1, Captures: 2}, vault.ReadBack{}},
		{"reading back, commits on the way", few, changes, agent.Options{CommitBytes: 1, Captures: 2}, vault.AutoReadBack()},
	}
}

// begin returns the rig and the source at the script's beginning, and what the vault has then.
func (k *killScript) begin(t *testing.T) (*rig, *fakeSource, world) {
	r, src := newRig(t), newFakeSource()
	r.back = k.back
	if k.prepare != nil {
		k.prepare(src)
		r.mustReplicate(src, agent.Options{})
	}
	w := world{objects: r.driver.(*mem.Driver).Objects()}
	if k.prepare != nil {
		w.dir = r.dir
	}
	return r, src, w
}

// TestKillAnywhere kills a pass at each operation of the store, before it and after its effect: all memory is gone, and the vault and the state directory are as
// they were at that moment. The next pass goes on from there, with the state directory and without.
func TestKillAnywhere(t *testing.T) {
	for _, script := range killScripts() {
		t.Run(script.name, func(t *testing.T) {
			t.Parallel()
			r, src, begin := script.begin(t)
			before := src.copy()
			script.change(src)
			watched, d := r.in(t, begin)
			w := &witness{Driver: d, store: d, state: watched.dir, out: t.TempDir()}
			watched.bucket = providers.New(w, providers.Options{})
			watched.mustReplicate(src, script.o)
			must(t, w.err)
			runs := 0
			seen := map[string]bool{} // worlds that are no different are tried once
			try := func(k world, lost func() map[string]bool) {
				if id := k.id(t); !seen[id] {
					seen[id] = true
					s := survivor{src: src, before: before}
					s.run(t, r, k, lost())
					runs++
				}
			}
			for _, k := range w.worlds {
				try(k, func() map[string]bool { return stranded(t, r, k) })
				try(world{k.when + ", the state directory is lost", k.objects, ""}, func() map[string]bool { return nil })
			}
			t.Logf("killed in %d places, %d recoveries", len(w.worlds), runs)
		})
	}
}

// TestFailAnywhere has each operation of the store fail once, before and after its effect, in a process that goes on and reports the failure, and in one for
// which the store is gone from then on.
func TestFailAnywhere(t *testing.T) {
	for _, script := range killScripts() {
		t.Run(script.name, func(t *testing.T) {
			t.Parallel()
			r, src, begin := script.begin(t)
			before := src.copy()
			script.change(src)
			stride := 5
			if long() {
				stride = 1
			}
			for mode := range 3 {
				for k := 1 + rand.IntN(stride); ; k += stride {
					broken, d := r.in(t, begin)
					f := faults.New(d)
					how := fmt.Sprintf("operation %d fails %v its effect", k, faults.Action(mode))
					if mode == 2 {
						how = fmt.Sprintf("the store is gone after operation %d", k)
						f.DieAfter(k)
					} else {
						f.Add(faults.Fault{At: k, Action: faults.Action(mode), Err: errors.New("scripted")})
					}
					broken.bucket = providers.New(f, providers.Options{})
					_, err := broken.replicate(context.Background(), src, script.o)
					left := world{when: how, objects: d.Objects(), dir: broken.dir}
					lost := map[string]bool{}
					if mode == int(faults.After) {
						lost = nil // nobody learned that it was stored
					}
					s := survivor{src: src, before: before}
					s.run(t, r, left, lost)
					if err == nil && f.Ops() < k {
						break
					}
					if t.Failed() {
						t.Fatalf("the pass with the failure said: %v", err)
					}
				}
			}
		})
	}
}

// TestStumblingStore has each operation fail in a way that is worth another try: nothing shows.
func TestStumblingStore(t *testing.T) {
	for _, script := range killScripts() {
		t.Run(script.name, func(t *testing.T) {
			t.Parallel()
			r, src, begin := script.begin(t)
			script.change(src)
			for _, action := range []faults.Action{faults.Before, faults.After} {
				shaky, d := r.in(t, begin)
				f := faults.New(d)
				for i := range 300 {
					f.Add(faults.Fault{At: 3*i + 1, Action: action})
				}
				shaky.bucket = providers.New(f, providers.Options{BackoffBase: time.Microsecond, BackoffCap: time.Microsecond})
				shaky.mustReplicate(src, script.o)
				whole, _ := r.in(t, world{objects: d.Objects()})
				diff(t, action.String(), whole.contents(whole.open(), whole.chain(whole.open()).Head()), src.copy())
				checkVault(t, whole)
			}
		})
	}
}

// witness copies the world at each operation.
type witness struct {
	providers.Driver
	store      *mem.Driver
	state, out string

	mu     sync.Mutex
	worlds []world
	err    error
}

func (w *witness) look(when string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	k := world{when: when, objects: w.store.Objects(), dir: filepath.Join(w.out, fmt.Sprint(len(w.worlds)))}
	err := os.CopyFS(k.dir, os.DirFS(w.state))
	for tries := 0; errors.Is(err, os.ErrNotExist) && tries < 10; tries++ { // the index removed a file meanwhile
		if err = os.RemoveAll(k.dir); err == nil {
			err = os.CopyFS(k.dir, os.DirFS(w.state))
		}
	}
	w.err = errors.Join(w.err, err)
	w.worlds = append(w.worlds, k)
}

func (w *witness) Create(ctx context.Context, name string, body *io.SectionReader, sum [32]byte) (providers.Info, error) {
	w.look("before create " + name)
	info, err := w.Driver.Create(ctx, name, body, sum)
	w.look("after create " + name)
	return info, err
}

func (w *witness) Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	w.look("before open " + name)
	return w.Driver.Open(ctx, name, off, n)
}

func (w *witness) Stat(ctx context.Context, name string) (providers.Info, error) {
	w.look("before stat " + name)
	return w.Driver.Stat(ctx, name)
}

// stranded returns the packs that are stored in the world and that neither a commit nor the local state knows: only these may be sent again.
func stranded(t *testing.T, r *rig, k world) map[string]bool {
	t.Helper()
	out := packsOf(k.objects)
	c, _ := r.in(t, k)
	for name := range committed(t, c) {
		delete(out, name)
	}
	s := c.state()
	chain, ok, err := s.Chain("fake")
	must(t, err)
	if ok {
		packs, err := s.Uncommitted(chain)
		must(t, err)
		for _, p := range packs {
			delete(out, record.PackName(p.Name))
		}
	}
	must(t, s.Close())
	if len(out) > 3 {
		t.Errorf("%s: %d packs are stored and not known: more than are on their way at a time", k.when, len(out))
	}
	return out
}

func packsOf(objects map[string][]byte) map[string]bool {
	out := map[string]bool{}
	for name := range objects {
		if strings.HasPrefix(name, "packs/") {
			out[name] = true
		}
	}
	return out
}

// committed returns the packs that commits name.
func committed(t *testing.T, r *rig) map[string]bool {
	t.Helper()
	v := r.open()
	chains, err := v.Chains(context.Background())
	must(t, err)
	out := map[string]bool{}
	for _, c := range chains {
		for _, k := range c.Commits {
			packs, _, err := v.Added(context.Background(), k)
			must(t, err)
			for _, p := range packs {
				out[record.PackName(p.Name)] = true
			}
		}
	}
	return out
}

// survivor goes on after a process ended.
type survivor struct {
	src    *fakeSource
	before map[string][]byte // what the source had at the last complete pass
}

// run makes the next pass in the world, and checks what is there then. Packs that no commit names must be among lost, unless that is nil.
func (s *survivor) run(t *testing.T, r *rig, k world, lost map[string]bool) {
	t.Helper()
	next, d := r.in(t, k)
	sum, err := next.replicate(context.Background(), s.src, agent.Options{})
	if err != nil || !sum.Complete {
		t.Fatalf("%s: the next pass: %v", k.when, err)
	}
	if t.Failed() {
		t.Fatalf("failed: %s", k.when)
	}
	v := next.open()
	chain := next.chain(v)
	for _, c := range chain.Commits {
		got := next.contents(v, c)
		if c.Complete && c != chain.Commits[len(chain.Commits)-1] && !maps.Equal(hashes(got), hashes(s.before)) && !maps.Equal(hashes(got), hashes(s.src.copy())) {
			t.Errorf("%s: commit %d is complete and has neither what was nor what is: %s", k.when, c.Seq, difference(hashes(got), hashes(s.src.copy())))
		}
		s.between(t, fmt.Sprintf("%s: commit %d", k.when, c.Seq), got)
	}
	diff(t, k.when, next.contents(v, chain.Head()), s.src.copy())
	for name := range packsOf(d.Objects()) {
		if lost != nil && !lost[name] && !committed(t, next)[name] {
			t.Errorf("%s: %s was stored and known, and is not used", k.when, name)
		}
	}
	checkVault(t, next)
	if t.Failed() {
		t.Fatalf("failed: %s", k.when)
	}
}

// between holds that each item is as it was or as it is.
func (s *survivor) between(t *testing.T, what string, got map[string][]byte) {
	t.Helper()
	was, is, has := hashes(s.before), hashes(s.src.copy()), hashes(got)
	all := maps.Clone(was)
	maps.Copy(all, is)
	maps.Copy(all, has)
	for p := range all {
		if !same(has, was, p) && !same(has, is, p) && len(has) > 0 {
			t.Errorf("%s: %q is neither what it was nor what it is", what, p)
		}
	}
}

// TestStateGoesAway holds that a Writer's failure is not made worse by the state directory's: both may go at any time.
func TestStateGoesAway(t *testing.T) {
	r, src := newRig(t), newFakeSource()
	src.put("a", []byte("1"))
	r.mustReplicate(src, agent.Options{})
	before := src.copy()
	src.put("b", []byte("2"))
	s := r.state()
	src.onCapture = func(string) error { return s.Close() }
	if _, err := r.replicateWith(context.Background(), s, src, agent.Options{}); err == nil || !errors.Is(err, state.ErrClosed) {
		t.Errorf("a pass whose state went away: %v", err)
	}
	src.onCapture = nil
	diff(t, "after the failure", r.contents(r.open(), r.chain(r.open()).Head()), before)
	r.mustReplicate(src, agent.Options{})
	diff(t, "after the next pass", r.contents(r.open(), r.chain(r.open()).Head()), src.copy())
}

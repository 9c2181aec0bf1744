package agent_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"farshore/agent"
	"farshore/agent/record"
	"farshore/agent/vault"
	"farshore/providers"
	"farshore/providers/faults"
	"farshore/providers/mem"
)

// long reports whether the hundreds-fold forms of the tests were asked for.
func long() bool { return os.Getenv("FARSHORE_TEST_LONG") != "" }

// TestModel holds random histories of a source against plain maps: what was committed as complete is what the source had, what was cut short has for
// each path the old or the new, and nothing that was committed ever changes.
func TestModel(t *testing.T) {
	runs, steps := 8, 12
	if long() {
		runs, steps = 1500, 25
	}
	histories(t, runs, steps, func(t *testing.T, seed uint64) history {
		m := newModel(t, seed)
		return history{m.step, m.finish, &m.log}
	})
}

// history is one random history: what a step does, what is compared at the end, and what was done.
type history struct {
	step, finish func()
	log          *[]string
}

// histories runs as many histories of so many steps, or the one that FARSHORE_TEST_SEED names, and says of one that failed how to repeat it.
func histories(t *testing.T, runs, steps int, begin func(t *testing.T, seed uint64) history) {
	first := rand.Uint64()
	if s := os.Getenv("FARSHORE_TEST_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		must(t, err)
		first, runs = n, 1
	}
	for i := range runs {
		seed := first + uint64(i)
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			h := begin(t, seed)
			defer func() {
				if t.Failed() {
					t.Logf("repeat with FARSHORE_TEST_SEED=%d; what was done:\n%v", seed, *h.log)
				}
			}()
			for range steps {
				if h.step(); t.Failed() {
					return
				}
			}
			h.finish()
		})
	}
}

// model is one history.
type model struct {
	t      *testing.T
	rng    *rand.Rand
	rig    *rig
	store  *mem.Driver
	src    *fakeSource
	log    []string
	chain  string
	points []point // what each commit had when it was made
	passes int
}

// point is a commit and the hashes of its items' contents.
type point struct {
	hash  record.Hash
	time  time.Time
	whole bool
	items map[string][32]byte
}

func newModel(t *testing.T, seed uint64) *model {
	store := mem.New()
	return &model{t: t, rng: rand.New(rand.NewPCG(seed, 1)), rig: newRigOn(t, store), store: store, src: newFakeSource()}
}

func (m *model) note(format string, args ...any) {
	m.log = append(m.log, fmt.Sprintf("  "+format+"\n", args...))
}

func (m *model) step() {
	for range m.rng.IntN(12) {
		m.change()
	}
	if m.rng.IntN(40) == 0 {
		m.note("everything is deleted")
		for p := range m.src.copy() {
			m.src.del(p)
		}
	}
	if m.rng.IntN(8) == 0 {
		m.note("the state directory is lost")
		must(m.t, os.RemoveAll(m.rig.dir))
	}
	m.pass()
	m.check()
}

// change puts, overwrites or deletes one item.
func (m *model) change() {
	path := m.path()
	now := m.src.copy()
	switch old, there := now[path]; m.rng.IntN(10) {
	case 0, 1:
		m.src.del(path)
		m.note("delete %q", path)
	case 2:
		other := m.path()
		m.src.put(path, now[other])
		m.note("put %q with the content of %q", path, other)
	case 3:
		if there {
			m.src.put(path, append(slices.Clone(old), noise(m.rng.Uint64(), m.rng.IntN(100_000))...))
			m.note("grow %q", path)
		}
	case 4:
		if there {
			m.src.put(path, slices.Clone(old[:m.rng.IntN(len(old)+1)]))
			m.note("shrink %q", path)
		}
	case 5:
		for i := range m.rng.IntN(30) {
			m.src.put(fmt.Sprintf("%s/%02d", path, i), noise(m.rng.Uint64(), m.rng.IntN(400)))
		}
		m.note("put many below %q", path)
	default:
		n := m.size()
		m.src.put(path, noise(m.rng.Uint64(), n))
		m.note("put %q, %d bytes", path, n)
	}
}

func (m *model) size() int {
	switch n := m.rng.IntN(40); {
	case n < 4:
		return 0
	case n < 28:
		return m.rng.IntN(3000)
	case n < 38:
		return m.rng.IntN(60_000)
	case n < 39:
		return m.rng.IntN(1_000_000)
	}
	return 4<<20 + m.rng.IntN(3<<20)
}

var modelPaths = []string{"", "a", "a/", "a//b", "a/b", "a\x00", "b", "k/", "k/1", "\xff", "\xff\xff/x", "z", "ü"}

func (m *model) path() string {
	if m.rng.IntN(4) == 0 {
		return modelPaths[m.rng.IntN(len(modelPaths))]
	}
	return fmt.Sprintf("k/%03d", m.rng.IntN(60))
}

// pass makes one pass in one of the ways in which a pass can go.
func (m *model) pass() {
	m.passes++
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	o := agent.Options{Captures: 1 + m.rng.IntN(8)}
	if m.rng.IntN(3) == 0 {
		o.CommitBytes = 1 + m.rng.Int64N(400_000)
	}
	if m.rng.IntN(25) == 0 {
		o.CommitEvery = 1
	}
	f := faults.New(m.store)
	r := *m.rig
	r.bucket = providers.New(f, providers.Options{BackoffBase: time.Microsecond, BackoffCap: time.Microsecond})
	m.src.listFail, m.src.onCapture, m.src.onEntry = "", nil, nil
	how, mayFail := "to its end", true
	switch m.rng.IntN(9) {
	case 0:
		how = "with a listing that fails"
		m.src.listFail = m.path()
	case 1:
		how = "cancelled in a capture"
		m.src.onCapture = m.after(cancel)
	case 2:
		how = "cancelled in the listing"
		hook := m.after(cancel)
		m.src.onEntry = func(p string) { _ = hook(p) }
	case 3:
		k := m.rng.IntN(60)
		how = fmt.Sprintf("killed after store operation %d", k)
		f.DieAfter(k)
	case 4:
		k := 1 + m.rng.IntN(60)
		how = fmt.Sprintf("with store operation %d failing, before or after its effect", k)
		f.Add(faults.Fault{At: k, Action: faults.Action(m.rng.IntN(2)), Err: errors.New("no")})
	case 5:
		how, mayFail = "with a store that stumbles", false
		for range 5 {
			action := []faults.Action{faults.Before, faults.After, faults.Break}[m.rng.IntN(3)]
			f.Add(faults.Fault{At: 1 + m.rng.IntN(60), Times: 1 + m.rng.IntN(2), Action: action})
		}
	default:
		mayFail = false
	}
	sum, err := r.replicate(ctx, m.src, o)
	m.note("pass %d %s, commits every %d bytes or %v: %v", m.passes, how, o.CommitBytes, o.CommitEvery, err)
	switch {
	case errors.Is(err, vault.ErrForeignCommit), errors.Is(err, vault.ErrRolledBack):
		m.t.Errorf("pass %d: false alarm: %v", m.passes, err)
	case err != nil && !mayFail:
		m.t.Errorf("pass %d %s: %v", m.passes, how, err)
	case err == nil && !sum.Complete:
		m.t.Errorf("pass %d ended without error and is not complete", m.passes)
	}
	m.src.listFail, m.src.onCapture, m.src.onEntry = "", nil, nil
}

// after returns a hook that cancels at its n-th call.
func (m *model) after(cancel func()) func(string) error {
	n := int64(m.rng.IntN(40))
	var calls counter
	return func(string) error {
		if calls.next() >= n {
			cancel()
		}
		return nil
	}
}

// check compares the commits that came with the last pass with what they may have.
func (m *model) check() {
	v := m.rig.open()
	chains, err := v.Chains(context.Background())
	must(m.t, err)
	for _, c := range chains {
		for _, f := range c.Findings {
			m.t.Errorf("finding: %+v", f)
		}
		if m.chain == "" {
			m.chain = c.ID
		}
		if c.ID != m.chain {
			m.t.Fatalf("there is a second chain %s", c.ID)
		}
		for _, k := range c.Commits[min(len(m.points), len(c.Commits)):] {
			m.arrived(v, k)
		}
		if len(c.Commits) < len(m.points) {
			m.t.Errorf("the chain has %d commits and had %d", len(c.Commits), len(m.points))
		}
	}
}

func (m *model) arrived(v *vault.Vault, k *vault.Commit) {
	got, now := hashes(m.rig.contents(v, k)), hashes(m.src.copy())
	var before map[string][32]byte
	if n := len(m.points); n > 0 {
		before = m.points[n-1].items
		if k.Time.Before(m.points[n-1].time) {
			m.t.Errorf("commit %d goes back in time", k.Seq)
		}
	}
	if k.Complete && !maps.Equal(got, now) {
		m.t.Errorf("commit %d is complete and is not what the source has: %s", k.Seq, difference(got, now))
	}
	all := maps.Clone(now)
	maps.Copy(all, got)
	maps.Copy(all, before)
	for p := range all {
		if !same(got, before, p) && !same(got, now, p) {
			m.t.Errorf("commit %d: %q is neither what it was nor what it is", k.Seq, p)
		}
	}
	if k.Complete && (k.Counts.Items != int64(len(now)) || k.Counts.Bytes != m.src.bytes()) {
		m.t.Errorf("commit %d counts %d items with %d bytes, the source has %d with %d", k.Seq, k.Counts.Items, k.Counts.Bytes, len(now), m.src.bytes())
	}
	m.points = append(m.points, point{k.Hash, k.Time, k.Complete, got})
}

// finish makes a last undisturbed pass, reads every point in time again, and checks the vault as a whole.
func (m *model) finish() {
	m.rig.mustReplicate(m.src, agent.Options{})
	m.check()
	v := m.rig.open()
	chain := m.rig.chain(v)
	var last *point
	for i := range m.points {
		p := &m.points[i]
		k := chain.Number(int64(i + 1))
		if k == nil || k.Hash != p.hash {
			m.t.Fatalf("commit %d is not what it was", i+1)
		}
		if got := hashes(m.rig.contents(v, k)); !maps.Equal(got, p.items) {
			m.t.Errorf("commit %d is not what it was: %s", i+1, difference(got, p.items))
		}
		if p.whole {
			last = p
		}
		switch k := chain.AsOf(p.time); {
		case last == nil && k != nil, last != nil && (k == nil || k.Hash != last.hash):
			m.t.Errorf("as of %v: %+v, want %+v", p.time, k, last)
		}
	}
	checkVault(m.t, m.rig)
	objects, commits := len(m.store.Objects()), len(m.points)
	if most := 10 + 9*commits + 3*m.passes; objects > most {
		m.t.Errorf("%d objects after %d commits and %d passes, want at most %d", objects, commits, m.passes, most)
	}
}

func same[K, V comparable](a, b map[K]V, k K) bool {
	x, okX := a[k]
	y, okY := b[k]
	return okX == okY && x == y
}

func hashes(contents map[string][]byte) map[string][32]byte {
	out := make(map[string][32]byte, len(contents))
	for p, b := range contents {
		out[p] = sha256.Sum256(b)
	}
	return out
}

// difference names some paths at which two contents differ.
func difference(got, want map[string][32]byte) string {
	var out []string
	for p := range got {
		if _, ok := want[p]; !ok {
			out = append(out, fmt.Sprintf("%q too much", p))
		} else if !same(got, want, p) {
			out = append(out, fmt.Sprintf("%q differs", p))
		}
	}
	for p := range want {
		if _, ok := got[p]; !ok {
			out = append(out, fmt.Sprintf("%q missing", p))
		}
	}
	slices.Sort(out)
	return fmt.Sprint(out[:min(len(out), 5)], " of ", len(out))
}

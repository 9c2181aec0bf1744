package agent_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"filippo.io/age"

	"farshore/agent"
	"farshore/agent/internal/state"
	"farshore/agent/record"
	"farshore/agent/vault"
	"farshore/crypto/seal"
	"farshore/providers"
	"farshore/providers/mem"
)

const day = 24 * time.Hour

// lockRig is a vault on a store that locks what is new for 45 days, and an agent that wants 30 of them left.
type lockRig struct {
	*rig
	store *mem.Versioned
	keeps *keeps
	src   *fakeSource
	left  time.Duration
	clock atomic.Int64
}

// keeps stands before the store: it counts questions about locks, and can refuse them, and pages.
type keeps struct {
	*mem.Versioned
	mu      sync.Mutex
	refuse  error
	noPages error
	asked   map[string]int
	// settings is how often the bucket's were asked for.
	settings int
}

func (k *keeps) Settings(ctx context.Context) (providers.Settings, error) {
	k.mu.Lock()
	k.settings++
	k.mu.Unlock()
	return k.Versioned.Settings(ctx)
}

func (k *keeps) Lock(ctx context.Context, name, id string) (providers.Lock, error) {
	k.mu.Lock()
	k.asked[name]++
	err := k.refuse
	k.mu.Unlock()
	if err != nil {
		return providers.Lock{}, err
	}
	return k.Versioned.Lock(ctx, name, id)
}

func (k *keeps) Create(ctx context.Context, name string, body *io.SectionReader, sum [32]byte) (providers.Info, error) {
	if k.noPages != nil && strings.HasPrefix(name, "meta/") {
		return providers.Info{}, k.noPages
	}
	return k.Versioned.Create(ctx, name, body, sum)
}

// deny makes the store refuse to tell of locks, with that error; nil ends it.
func (k *keeps) deny(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.refuse = err
}

func newLockRig(t testing.TB) *lockRig {
	l := &lockRig{store: mem.NewVersioned(), src: newFakeSource(), left: 30 * day}
	l.clock.Store(time.Now().UnixNano())
	l.store.SetClock(l.time)
	l.store.Configure(providers.Settings{Versioning: "on", Lock: true, Mode: providers.Compliance, Retention: 45 * day})
	l.keeps = &keeps{Versioned: l.store, asked: map[string]int{}}
	l.rig = newRigWith(t, l.keeps, seal.GenerateX25519)
	l.now = l.time
	return l
}

// time is the clock of agent and store.
func (l *lockRig) time() time.Time { return time.Unix(0, l.clock.Add(int64(time.Microsecond))) }

// wait lets time go by.
func (l *lockRig) wait(d time.Duration) { l.clock.Add(int64(d)) }

// in is a point in time from now.
func (l *lockRig) in(d time.Duration) time.Time { return l.time().Add(d) }

// pass makes a pass of a run of its own.
func (l *lockRig) pass() (*agent.Summary, error) { return l.passWith(agent.Options{}) }

func (l *lockRig) passWith(o agent.Options) (*agent.Summary, error) {
	l.t.Helper()
	ctx := context.Background()
	s, err := state.Open(l.dir, state.Options{Vault: mustHash(l.id)})
	must(l.t, err)
	defer func() { must(l.t, s.Close()) }()
	pub := l.owner.Public()
	// A Bucket of its own, as each run has: what the store shows is asked anew.
	b := providers.New(l.keeps, providers.Options{})
	v, err := vault.Open(ctx, b, vault.Options{Owner: &pub, Identities: []age.Identity{l.metadata}, Cache: s})
	if err != nil {
		return nil, err
	}
	w, err := v.Begin(ctx, vault.BeginOptions{Source: l.src.Place(), Agent: l.agent, Local: s, Now: l.now, MinLockLeft: l.left})
	if err != nil {
		return nil, err
	}
	defer w.Close()
	return agent.Replicate(ctx, w, l.src, o)
}

func (l *lockRig) mustPass() *agent.Summary {
	l.t.Helper()
	sum, err := l.pass()
	if err != nil {
		l.t.Fatalf("pass: %v", err)
	}
	return sum
}

// check holds that all packs and pages which the newest snapshot needs are locked until then at the least, and that it has what the source has.
func (l *lockRig) check(until time.Time) {
	l.t.Helper()
	v := l.open()
	c := l.chain(v).Newest()
	diff(l.t, fmt.Sprintf("snapshot %d", c.Seq), l.contents(v, c), l.src.copy())
	locks, err := v.Locks(context.Background(), l.chain(v), c, vault.MaxLocks, l.time())
	must(l.t, err)
	n := locks.Contents
	if n.Asked < 5 || n.Locked != n.Needed || n.Asked != n.Needed || n.First.Before(until) {
		l.t.Errorf("snapshot %d: %+v; want all locked until %v", c.Seq, n, until)
	}
}

// fill puts items into the source, some of which share content.
func (l *lockRig) fill() {
	for i := range 20 {
		l.src.put(fmt.Sprintf("item/%02d", i), words(uint64(i%15), 3000+100*i))
	}
}

func TestFarLocksAreRestedOn(t *testing.T) {
	l := newLockRig(t)
	l.fill()
	l.mustPass()
	l.wait(10 * day)
	l.src.put("item/copy", l.src.copy()["item/03"])
	sum := l.mustPass()
	if sum.StoredChunks != 0 || sum.New != 1 || sum.Renewed != 0 || sum.Unchanged != 20 {
		t.Errorf("%d chunks stored, %d new, %d renewed, %d unchanged; want 0, 1, 0 and 20", sum.StoredChunks, sum.New, sum.Renewed, sum.Unchanged)
	}
	l.check(l.in(30 * day))
}

func TestNearLocksAreNot(t *testing.T) {
	l := newLockRig(t)
	l.fill()
	l.mustPass()
	l.wait(16 * day) // 29 days are left
	l.src.put("item/copy", l.src.copy()["item/03"])
	sum := l.mustPass()
	if sum.StoredChunks == 0 || sum.New != 1 || sum.Renewed != 20 || sum.Unchanged != 0 || sum.Changed != 0 || len(sum.Notices) != 0 {
		t.Errorf("%d chunks stored, %d new, %d renewed, %d unchanged, %d changed, notices %v", sum.StoredChunks, sum.New, sum.Renewed, sum.Unchanged, sum.Changed, sum.Notices)
	}
	if c := sum.Head.Counts; c.New != 1 || c.Changed != 0 || c.Items != 21 {
		t.Errorf("the commit counts %+v: what did not change counts as changed", c)
	}
	l.check(l.in(30 * day))

	// What was stored anew is found from then on: the old packs are not asked for again, and nothing is stored a third time.
	clear(l.keeps.asked)
	l.src.put("item/another", l.src.copy()["item/05"])
	if sum := l.mustPass(); sum.StoredChunks != 0 || sum.Renewed != 0 {
		t.Errorf("the next pass stored %d chunks, renewed %d", sum.StoredChunks, sum.Renewed)
	}
	for name := range l.keeps.asked {
		if strings.HasPrefix(name, "packs/") {
			t.Errorf("%s was asked for again", name)
		}
	}
}

// TestSnapshotsAreNeverOlder makes passes over two months of a source that hardly changes, and loses the local state twice.
func TestSnapshotsAreNeverOlder(t *testing.T) {
	l := newLockRig(t)
	l.fill()
	var stored int64
	for n := range 20 {
		if n%3 == 0 {
			l.src.put("item/07", words(uint64(n), 5000))
		}
		if n == 9 || n == 17 {
			l.dir += "lost"
		}
		stored += l.mustPass().StoredBytes
		l.check(l.in(30*day - time.Minute))
		l.wait(4 * day)
	}
	// 80 days: everything is due every 15 or 16 days, at the fourth pass after it was stored.
	if most := 9 * l.src.bytes(); stored > most {
		t.Errorf("%d bytes were stored, more than %d: what was stored anew is not found again", stored, most)
	}
}

func TestLostStateFindsTheYoungerCopy(t *testing.T) {
	l := newLockRig(t)
	l.fill()
	l.mustPass()
	l.wait(20 * day)
	l.mustPass()
	l.dir += "lost"
	l.src.put("item/copy", l.src.copy()["item/03"])
	if sum := l.mustPass(); sum.StoredChunks != 0 || sum.Renewed != 0 {
		t.Errorf("after the loss of the local state %d chunks were stored, %d items renewed", sum.StoredChunks, sum.Renewed)
	}
	l.check(l.in(30 * day))
}

// TestExtendedLocksAreAskedAgain holds that a remembered end is asked for again when it is too near.
func TestExtendedLocksAreAskedAgain(t *testing.T) {
	l := newLockRig(t)
	l.fill()
	l.mustPass()
	l.wait(30 * day)
	for name := range l.store.Objects() {
		l.store.SetLock(name, "", providers.Lock{Mode: providers.Compliance, Until: l.in(60 * day)})
	}
	if sum := l.mustPass(); sum.StoredChunks != 0 || sum.Renewed != 0 || sum.Unchanged != 20 {
		t.Errorf("%d chunks stored, %d renewed though the locks were extended", sum.StoredChunks, sum.Renewed)
	}
	l.check(l.in(44 * day))
}

// TestRootIsWrittenAnew holds a pass that finds nothing else to do to write root and list anew where theirs alone are locked for too short.
func TestRootIsWrittenAnew(t *testing.T) {
	for name, of := range map[string]func(*vault.Commit) *record.Ref{
		"root": func(c *vault.Commit) *record.Ref { return c.Root }, "list": func(c *vault.Commit) *record.Ref { return c.List },
	} {
		t.Run(name, func(t *testing.T) {
			l := newLockRig(t)
			l.fill()
			l.mustPass()
			l.store.SetLock(record.MetaName(of(l.newest().Commit).Name), "", providers.Lock{Mode: providers.Compliance, Until: l.in(20 * day)})
			l.dir += "lost" // which remembers a later end
			if sum := l.mustPass(); sum.StoredChunks != 0 || sum.Renewed != 0 {
				t.Errorf("%d chunks stored, %d renewed", sum.StoredChunks, sum.Renewed)
			}
			l.check(l.in(44 * day))
		})
	}
}

// TestOverwrittenPackCountsByItsOriginal holds that a younger version laid over a pack does not lend it its lock.
func TestOverwrittenPackCountsByItsOriginal(t *testing.T) {
	l := newLockRig(t)
	l.fill()
	l.mustPass()
	l.wait(20 * day)
	for name := range l.store.Objects() {
		if strings.HasPrefix(name, "packs/") {
			l.store.Set(name, []byte("junk, locked for 45 days from now"))
		}
	}
	if sum := l.mustPass(); sum.Renewed != 20 || sum.StoredChunks == 0 {
		t.Errorf("renewed %d of 20, %d chunks stored", sum.Renewed, sum.StoredChunks)
	}
	l.check(l.in(30 * day))
}

func TestUnreadableLocksRefuse(t *testing.T) {
	tests := map[string]struct {
		first bool // before there is any snapshot
		err   error
		want  error
	}{
		"denied from the first":      {true, denied, vault.ErrLockUnread},
		"denied later":               {false, denied, vault.ErrLockUnread},
		"unsupported from the first": {true, &providers.Error{Kind: providers.Unsupported, Op: "lock", Err: errors.New("NotImplemented")}, vault.ErrLockUnread},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			l := newLockRig(t)
			l.fill()
			if !tt.first {
				l.mustPass()
				l.wait(16 * day)
			}
			l.keeps.deny(tt.err)
			before := commits(l.store)
			_, err := l.pass()
			if !errors.Is(err, tt.want) {
				t.Fatalf("error %v, want %v", err, tt.want)
			}
			if after := commits(l.store); after != before {
				t.Errorf("%d commits, %d before: something was committed", after, before)
			}
			l.keeps.deny(nil)
			l.mustPass()
			l.check(l.in(30 * day))
		})
	}
}

// TestLockDeniedWithinAPass takes the permission away once the pass has begun.
func TestLockDeniedWithinAPass(t *testing.T) {
	l := newLockRig(t)
	l.fill()
	l.mustPass()
	l.wait(16 * day)
	before := commits(l.store)
	l.src.onEntry = func(path string) {
		if path == "item/10" {
			l.keeps.deny(denied)
		}
	}
	_, err := l.pass()
	if !errors.Is(err, vault.ErrLockUnread) {
		t.Fatalf("error %v, want %v", err, vault.ErrLockUnread)
	}
	if after := commits(l.store); after != before {
		t.Errorf("%d commits, %d before: something was committed", after, before)
	}
}

var denied = &providers.Error{Kind: providers.Denied, Op: "lock", Err: errors.New("AccessDenied")}

// TestNothingIsCommittedOnceALockWasUnread holds the Writer to end with the first lock that it can't read, whoever asked.
func TestNothingIsCommittedOnceALockWasUnread(t *testing.T) {
	l := newLockRig(t)
	l.fill()
	l.mustPass()
	l.wait(16 * day)
	w, end := l.begin()
	defer end()
	l.keeps.deny(denied)
	ctx, p := context.Background(), w.NewPass()
	if err := p.Renew(ctx, 0); !errors.Is(err, vault.ErrLockUnread) {
		t.Fatalf("error %v, want %v", err, vault.ErrLockUnread)
	}
	l.keeps.deny(nil)
	before := commits(l.store)
	if _, err := p.Commit(ctx, "", vault.CommitInfo{}); !errors.Is(err, vault.ErrLockUnread) || commits(l.store) != before {
		t.Errorf("a commit after that: %v", err)
	}
}

func commits(d *mem.Versioned) (n int) {
	for name := range d.Objects() {
		if strings.HasPrefix(name, "commits/") {
			n++
		}
	}
	return n
}

func TestBucketsThatLockTooShort(t *testing.T) {
	tests := map[string]struct {
		settings providers.Settings
		want     string
	}{
		"no longer than asked": {providers.Settings{Lock: true, Mode: providers.Compliance, Retention: 30 * day}, "are locked for 30 d, so that each pass would store everything anew"},
		"liftable":             {providers.Settings{Lock: true, Mode: providers.Governance, Retention: 45 * day}, "mode GOVERNANCE, which can be lifted"},
		"none":                 {providers.Settings{Versioning: "on"}, "gives new objects no lock"},
		"unread, and none":     {providers.Settings{Unknown: map[string]string{"lock": "denied"}}, "stored a moment ago, is not locked"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			l := newLockRig(t)
			l.store.Configure(tt.settings)
			l.fill()
			_, err := l.pass()
			if !errors.Is(err, vault.ErrLockShort) || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error %v, want %v with %q", err, vault.ErrLockShort, tt.want)
			}
			if n := commits(l.store); n != 0 {
				t.Errorf("%d commits were made", n)
			}
		})
	}
}

// TestAdoptedPackWhoseLockEndsSoon interrupts a pass after its packs were stored, and comes back too late for them.
func TestAdoptedPackWhoseLockEndsSoon(t *testing.T) {
	for name, tt := range map[string]struct {
		wait   time.Duration
		stored bool
	}{"in time": {5 * day, false}, "late": {20 * day, true}} {
		t.Run(name, func(t *testing.T) {
			l := newLockRig(t)
			l.mustPass()
			l.src.put("a", words(1, 100_000))
			l.strand()
			l.wait(tt.wait)
			sum := l.mustPass()
			if (sum.StoredChunks > 0) != tt.stored {
				t.Errorf("%d chunks stored, want some: %v; notices %v", sum.StoredChunks, tt.stored, sum.Notices)
			}
			if told := strings.Contains(fmt.Sprint(sum.Notices), "its content is stored anew"); told != tt.stored {
				t.Errorf("notices %v", sum.Notices)
			}
			l.check(l.in(30 * day))
		})
	}
}

// begin begins a run; the returned function ends it.
func (l *lockRig) begin() (*vault.Writer, func()) {
	l.t.Helper()
	ctx := context.Background()
	s := l.state()
	pub := l.owner.Public()
	v, err := vault.Open(ctx, l.bucket, vault.Options{Owner: &pub, Identities: []age.Identity{l.metadata}, Cache: s})
	must(l.t, err)
	w, err := v.Begin(ctx, vault.BeginOptions{Source: l.src.Place(), Agent: l.agent, Local: s, Now: l.now, MinLockLeft: l.left})
	must(l.t, err)
	return w, func() { w.Close(); must(l.t, s.Close()) }
}

// strand stores all content as a pass does that ends before its commit.
func (l *lockRig) strand() {
	l.t.Helper()
	ctx := context.Background()
	w, end := l.begin()
	defer end()
	p := w.NewPass()
	p.Begin(0)
	for path, content := range l.src.copy() {
		part, err := w.Part(ctx, record.Part{Kind: record.PartContent}, int64(len(content)), strings.NewReader(string(content)))
		must(l.t, err)
		must(l.t, p.Put(ctx, &record.Record{Path: path, Kind: record.KindObject, State: record.Present, Parts: []record.Part{part}}))
	}
	must(l.t, p.End(ctx, "", true))
	l.keeps.noPages = &providers.Error{Kind: providers.Full, Op: "create", Err: errors.New("no room")}
	if _, err := p.Commit(ctx, "", vault.CommitInfo{Complete: true}); err == nil {
		l.t.Fatal("the commit succeeded")
	}
	l.keeps.noPages = nil
}

package agent_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"farshore/agent"
	"farshore/agent/record"
	"farshore/agent/repo/gittest"
	"farshore/agent/source"
	"farshore/agent/source/bucket"
	"farshore/agent/source/git"
	"farshore/agent/vault"
	"farshore/providers"
	"farshore/providers/faults"
	"farshore/providers/file"
	"farshore/providers/mem"
	"farshore/providers/s3"
	"farshore/providers/s3/s3client"
	"farshore/providers/servers"
)

// TestParallelPasses holds random histories of four sources that are replicated at the same time, through one local state, into stores of several kinds, while operations
// fail and passes are cancelled, against what the sources were: as TestModel does for one source.
func TestParallelPasses(t *testing.T) {
	runs, rounds := 6, 4
	if long() {
		runs, rounds = 300, 15
	}
	histories(t, runs, rounds, func(t *testing.T, seed uint64) history {
		f := newFleet(t, seed)
		return history{f.round, f.finish, &f.log}
	})
}

// fleet is a history of several sources.
type fleet struct {
	t       *testing.T
	rng     *rand.Rand
	rig     *rig
	driver  providers.Driver
	local   *agent.Local
	members []*member
	log     []string
	points  map[record.Hash]*point // what each commit may have, by its hash
	moments map[record.Hash]moment // of the git source's commits
}

// member is one source of a fleet.
type member struct {
	name string
	src  source.Source
	// change changes the source; now is what its items are, nil for repositories.
	change func()
	now    func() map[string][32]byte
	dir    string // of a repository
	rng    *rand.Rand
	last   map[string][32]byte // what the newest commit has
	seen   int                 // commits that were looked at
	fakes  *fakeSource         // nil for others
}

func newFleet(t *testing.T, seed uint64) *fleet {
	f := &fleet{t: t, rng: rand.New(rand.NewPCG(seed, 5)), points: map[record.Hash]*point{}, moments: map[record.Hash]moment{}}
	f.driver = f.store(seed)
	f.rig = newRigOn(t, f.driver)
	f.local = f.rig.local()
	if seed%2 == 0 {
		f.rig.back = vault.AutoReadBack()
	}
	f.members = []*member{f.fake("many", 30, 3000), f.fake("large", 2, 3<<20), f.bucket("bucket"), f.repository("gits")}
	for i, m := range f.members {
		m.rng = rand.New(rand.NewPCG(seed, uint64(100+i)))
	}
	return f
}

// store is an empty store: in memory, in a directory, or behind an S3 server.
func (f *fleet) store(seed uint64) providers.Driver {
	switch seed % 3 {
	case 0:
		f.note("the store is a directory")
		d, err := file.Open("file://"+filepath.Join(memDir(f.t), "vault"), file.CreateDir())
		must(f.t, err)
		f.t.Cleanup(func() { must(f.t, d.Close()) })
		return d
	case 1:
		f.note("the store is an S3 server")
		srv := servers.Fake(f.t)
		d, err := s3.Open(context.Background(), srv.URL(srv.Bucket(f.t), "vault"), s3.Options{Credentials: srv.Credentials()})
		must(f.t, err)
		return d
	}
	return mem.New()
}

func (f *fleet) note(format string, args ...any) {
	f.log = append(f.log, fmt.Sprintf("  "+format+"\n", args...))
}

// fake is a source in memory of about so many items of at most so many bytes.
func (f *fleet) fake(name string, items, size int) *member {
	n := newNamed(name)
	m := &member{name: name, src: n, fakes: n.fakeSource, now: func() map[string][32]byte { return hashes(n.copy()) }}
	m.change = func() {
		path := fmt.Sprintf("%03d", m.rng.IntN(items))
		if m.rng.IntN(4) == 0 {
			n.del(path)
			return
		}
		n.put(path, noise(m.rng.Uint64(), m.rng.IntN(size)))
	}
	return m
}

// bucket is a bucket of a server.
func (f *fleet) bucket(name string) *member {
	srv := servers.Fake(f.t)
	at := srv.Bucket(f.t)
	client := srv.Client(f.t)
	loc, err := s3client.Parse(srv.URL(at, ""))
	must(f.t, err)
	c, err := loc.New(context.Background(), s3client.Options{Credentials: srv.Credentials()})
	must(f.t, err)
	src, err := bucket.New(bucket.Options{Client: c, Bucket: at, Name: name, Place: loc.String()})
	must(f.t, err)
	items := map[string][]byte{}
	m := &member{name: name, src: src, now: func() map[string][32]byte { return hashes(items) }}
	m.change = func() {
		key := fmt.Sprintf("k/%02d", m.rng.IntN(20))
		if _, there := items[key]; there && m.rng.IntN(4) == 0 {
			_, err := client.DeleteObject(context.Background(), &awss3.DeleteObjectInput{Bucket: &at, Key: &key})
			must(f.t, err)
			delete(items, key)
			return
		}
		items[key] = noise(m.rng.Uint64(), m.rng.IntN(50_000))
		_, err := client.PutObject(context.Background(), &awss3.PutObjectInput{Bucket: &at, Key: &key, Body: bytes.NewReader(items[key])})
		must(f.t, err)
	}
	return m
}

// repository is a git repository.
func (f *fleet) repository(name string) *member {
	root := memDir(f.t)
	dir := filepath.Join(root, "r.git")
	h := gittest.NewHistory(f.t, dir, f.rng.Uint64())
	src, err := git.New(git.Options{Name: name, Place: "git+file:///" + name, Address: "git+file://" + root})
	must(f.t, err)
	return &member{name: name, src: src, dir: dir, change: func() { h.Step() }}
}

// round changes the sources and makes a pass over each, all at the same time.
func (f *fleet) round() {
	for _, m := range f.members {
		for range m.rng.IntN(8) {
			m.change()
		}
	}
	if f.rng.IntN(6) == 0 {
		f.note("the state directory is lost")
		must(f.t, os.RemoveAll(f.rig.dir))
	}
	errs := make([]error, len(f.members))
	hows := make([]string, len(f.members))
	var all sync.WaitGroup
	for i, m := range f.members {
		all.Go(func() { hows[i], errs[i] = f.pass(m) })
	}
	all.Wait()
	for i, m := range f.members {
		f.note("pass over %s %s: %v", m.name, hows[i], errs[i])
		if errors.Is(errs[i], vault.ErrForeignCommit) || errors.Is(errs[i], vault.ErrRolledBack) || errors.Is(errs[i], agent.ErrBusy) || errors.Is(errs[i], agent.ErrLocked) {
			f.t.Errorf("pass over %s %s: false alarm: %v", m.name, hows[i], errs[i])
		}
	}
	f.check()
}

// pass makes a pass over a source in one of the ways in which a pass can go. It is called concurrently.
func (f *fleet) pass(m *member) (how string, err error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	o := agent.Options{Captures: 1 + m.rng.IntN(8)}
	if m.rng.IntN(2) == 0 {
		o.CommitBytes = 1 + m.rng.Int64N(40_000)
	}
	broken := faults.New(f.driver)
	var d providers.Driver = broken
	k, mayFail := 1+m.rng.IntN(50), true
	switch m.rng.IntN(7) {
	case 0:
		how = fmt.Sprintf("cancelled at store operation %d", k)
		d = &cancelling{Driver: broken, cancel: cancel, at: int64(k)}
	case 1:
		how = fmt.Sprintf("with the store gone after operation %d", k)
		broken.DieAfter(k)
	case 2:
		how = fmt.Sprintf("with store operation %d failing, before or after its effect", k)
		broken.Add(faults.Fault{At: k, Action: faults.Action(m.rng.IntN(2)), Err: errors.New("no")})
	case 3:
		// Fewer than an operation is tried: none of them gives up, whichever of those under way at a time they hit.
		how, mayFail = "with a store that stumbles seven times", false
		for range 7 {
			broken.Add(faults.Fault{At: 1 + m.rng.IntN(100), Action: faults.Action(m.rng.IntN(2))})
		}
	default:
		how, mayFail = "to its end", false
	}
	sum, err := f.rig.pass(ctx, f.local, d, m.src, o)
	switch {
	case err != nil && !mayFail:
		f.t.Errorf("pass over %s %s: %v", m.name, how, err)
	case err == nil && !sum.Complete:
		f.t.Errorf("pass over %s %s ended without error and is not complete: %+v", m.name, how, sum)
	}
	return how, err
}

// check compares the commits that came with the last round with what they may have.
func (f *fleet) check() {
	v := f.rig.open()
	for _, m := range f.members {
		c := chainNamed(f.t, v, m.name)
		if c == nil {
			continue
		}
		if len(c.Commits) < m.seen {
			f.t.Fatalf("the chain of %s has %d commits and had %d", m.name, len(c.Commits), m.seen)
		}
		for _, k := range c.Commits[m.seen:] {
			f.arrived(v, m, k)
		}
		m.seen = len(c.Commits)
	}
}

func (f *fleet) arrived(v *vault.Vault, m *member, k *vault.Commit) {
	if m.now == nil {
		f.moments[k.Hash] = moment{"r.git": stateAt(f.t, "git", m.dir)}
		return
	}
	got, now := hashes(f.rig.contents(v, k)), m.now()
	if k.Complete && !maps.Equal(got, now) {
		f.t.Errorf("commit %d of %s is complete and is not what the source has: %s", k.Seq, m.name, difference(got, now))
	}
	all := maps.Clone(now)
	maps.Copy(all, got)
	maps.Copy(all, m.last)
	for p := range all {
		if !same(got, m.last, p) && !same(got, now, p) {
			f.t.Errorf("commit %d of %s: %q is neither what it was nor what it is", k.Seq, m.name, p)
		}
	}
	m.last = got
	f.points[k.Hash] = &point{hash: k.Hash, items: got}
}

// finish makes a last undisturbed pass over each source at the same time, reads every point in time again, and checks the vault and the local state as a whole.
func (f *fleet) finish() {
	var all sync.WaitGroup
	for _, m := range f.members {
		all.Go(func() {
			if sum, err := f.rig.pass(context.Background(), f.local, f.driver, m.src, agent.Options{}); err != nil || !sum.Complete {
				f.t.Errorf("the last pass over %s: %v", m.name, err)
			}
		})
	}
	all.Wait()
	f.check()
	v := f.rig.open()
	commits := 0
	for _, m := range f.members {
		c := chainNamed(f.t, v, m.name)
		commits += len(c.Commits)
		if m.now == nil {
			(&comeback{t: f.t, v: v, kind: "git", moments: f.moments, seen: map[string]string{}}).chain(c)
			continue
		}
		for _, k := range c.Commits {
			if got := hashes(f.rig.contents(v, k)); !maps.Equal(got, f.points[k.Hash].items) {
				f.t.Errorf("commit %d of %s is not what it was: %s", k.Seq, m.name, difference(got, f.points[k.Hash].items))
			}
		}
		if !maps.Equal(m.last, m.now()) {
			f.t.Errorf("%s: the last snapshot is not what the source has: %s", m.name, difference(m.last, m.now()))
		}
	}
	checkChains(f.t, f.rig)
	checkSettled(f.t, f.rig)
	f.t.Logf("%d commits", commits)
}

package agent_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"farshore/agent"
	"farshore/agent/record"
	"farshore/agent/repo/gittest"
	"farshore/agent/repo/svntest"
	"farshore/agent/source"
	"farshore/agent/source/git"
	"farshore/agent/source/svn"
	"farshore/agent/vault"
	"farshore/providers"
	"farshore/providers/faults"
	"farshore/providers/mem"
	"farshore/providers/servers"
)

// TestRepositories holds random histories of repositories against what the vault gives back: every commit restores each repository as it was at the commit's
// moment or, where the pass was cut short before it came to that repository, as the commit before has it.
func TestRepositories(t *testing.T) {
	svntest.Need(t, servers.Missing, "svn", "svnadmin", "svnlook")
	runs, passes := 2, 5
	if long() {
		runs, passes = 400, 30
	}
	histories(t, runs, passes, func(t *testing.T, seed uint64) history {
		m := newRepoModel(t, seed)
		step := func() {
			m.live()
			m.pass()
		}
		return history{step, m.finish, &m.log}
	})
}

// memDir is a folder in memory where there is such a file system: repositories are flushed to the disk at each step.
func memDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "farshore-repos-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// living is a repository that changes.
type living struct {
	git *gittest.History // one of them is nil
	svn *svntest.History
	dir string
	// away says that it was moved out of the source's sight.
	away bool
}

// repoModel is one history of two sources, of git and of Subversion.
type repoModel struct {
	t       *testing.T
	rng     *rand.Rand
	rig     *rig
	store   *mem.Driver
	root    string
	sources map[string]source.Source // by kind; as long as the agent is not started again
	repos   map[string]*living       // by kind and path
	log     []string
	moments map[record.Hash]moment // by commit
}

// moment is what the repositories of a source were when a commit was made: a hash for each, empty for one that was away.
type moment map[string]string

func newRepoModel(t *testing.T, seed uint64) *repoModel {
	store := mem.New()
	m := &repoModel{t: t, rng: rand.New(rand.NewPCG(seed, 2)), rig: newRigOn(t, store), store: store, root: memDir(t), repos: map[string]*living{}, moments: map[record.Hash]moment{}}
	m.rig.back = vault.AutoReadBack()
	must(t, os.MkdirAll(filepath.Join(m.root, "svn"), 0o755))
	m.gitRepository("git/m.git", gittest.NewHistory(t, filepath.Join(m.root, "git/m.git"), seed))
	m.gitRepository("git/n.git", gittest.Large(t, filepath.Join(m.root, "git/n.git"), 60, seed).History(seed))
	m.repos["svn/a"] = &living{svn: svntest.NewHistory(t, filepath.Join(m.root, "svn/a"), seed), dir: filepath.Join(m.root, "svn/a")}
	m.start()
	return m
}

func (m *repoModel) gitRepository(name string, h *gittest.History) {
	m.repos[name] = &living{git: h, dir: filepath.Join(m.root, name)}
}

func (m *repoModel) note(format string, args ...any) {
	m.log = append(m.log, fmt.Sprintf("  "+format+"\n", args...))
}

// start makes the sources anew, as an agent does that was started again.
func (m *repoModel) start() {
	m.t.Helper()
	g, err := git.New(git.Options{Name: "gits", Place: "git+file:///git", Address: "git+file://" + m.root + "/git"})
	must(m.t, err)
	s, err := svn.New(svn.Options{Name: "svns", Place: "svn+file:///svn", Address: "svn+file://" + m.root + "/svn"})
	must(m.t, err)
	m.sources = map[string]source.Source{"git": g, "svn": s}
}

// live lets time go by at the sources.
func (m *repoModel) live() {
	for _, name := range m.names() {
		r := m.repos[name]
		if r.away {
			if m.rng.IntN(2) == 0 {
				m.move(name, false)
			}
			continue
		}
		for range m.rng.IntN(4) {
			if r.git != nil {
				m.note("%s: %s", name, r.git.Step())
			} else {
				r.svn.Step()
			}
		}
		if m.rng.IntN(25) == 0 {
			m.move(name, true)
		}
	}
	if m.rng.IntN(4) == 0 && len(m.repos) < 7 {
		m.fork()
	}
}

func (m *repoModel) names() []string { return slices.Sorted(maps.Keys(m.repos)) }

// move takes a repository away, or puts it back.
func (m *repoModel) move(name string, away bool) {
	m.note("%s is away: %v", name, away)
	from, to := m.repos[name].dir, filepath.Join(m.root, "elsewhere", strings.ReplaceAll(name, "/", "-"))
	must(m.t, os.MkdirAll(filepath.Dir(to), 0o755))
	if !away {
		from, to = to, from
	}
	must(m.t, os.Rename(from, to))
	m.repos[name].away = away
}

// fork copies a git repository to a path before or behind it.
func (m *repoModel) fork() {
	var of []string
	for _, name := range m.names() {
		if r := m.repos[name]; r.git != nil && !r.away {
			of = append(of, name)
		}
	}
	if len(of) == 0 {
		return
	}
	from := of[m.rng.IntN(len(of))]
	to := fmt.Sprintf("git/%c/f%d.git", "az"[m.rng.IntN(2)], len(m.repos))
	m.note("%s is forked as %s", from, to)
	dir := filepath.Join(m.root, to)
	must(m.t, os.MkdirAll(dir, 0o755))
	must(m.t, os.CopyFS(dir, os.DirFS(m.repos[from].dir)))
	f := gittest.At(m.t, dir)
	for name, value := range f.Refs() { // the names of its branches to come must not be in the way of these
		if short, ok := strings.CutPrefix(name, "refs/heads/"); ok && !strings.HasPrefix(value, "ref: ") {
			f.Delete(name)
			f.Branch(fmt.Sprintf("f%d/%s", len(m.repos), short), value)
		}
	}
	m.gitRepository(to, f.History(m.rng.Uint64()))
}

// pass makes a pass over both sources, in one of the ways in which a pass can go.
func (m *repoModel) pass() {
	if m.rng.IntN(6) == 0 {
		m.note("the state directory is lost")
		must(m.t, os.RemoveAll(m.rig.dir))
	}
	if m.rng.IntN(3) == 0 {
		m.start()
	}
	for _, kind := range []string{"git", "svn"} {
		m.one(kind)
		m.arrived(kind, m.now(kind))
	}
}

// one makes a pass over one source.
func (m *repoModel) one(kind string) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	o := agent.Options{Captures: 1 + m.rng.IntN(6)}
	if m.rng.IntN(3) == 0 {
		o.CommitBytes = 1
	}
	f := faults.New(m.store)
	r := *m.rig
	var d providers.Driver = f
	how, mayFail := "to its end", true
	switch m.rng.IntN(8) {
	case 0, 1:
		k := m.rng.IntN(40)
		how = fmt.Sprintf("cancelled at store operation %d", k)
		d = &cancelling{Driver: f, cancel: cancel, at: int64(k)}
	case 2:
		k := m.rng.IntN(40)
		how = fmt.Sprintf("killed after store operation %d", k)
		f.DieAfter(k)
	case 3:
		k := 1 + m.rng.IntN(40)
		how = fmt.Sprintf("with store operation %d failing, before or after its effect", k)
		f.Add(faults.Fault{At: k, Action: faults.Action(m.rng.IntN(2)), Err: errors.New("no")})
	default:
		mayFail = false
	}
	r.bucket = providers.New(d, providers.Options{BackoffBase: time.Microsecond, BackoffCap: time.Microsecond})
	sum, err := r.replicate(ctx, m.sources[kind], o)
	m.note("%s pass %s: %v", kind, how, err)
	switch {
	case errors.Is(err, vault.ErrForeignCommit), errors.Is(err, vault.ErrRolledBack):
		m.t.Errorf("%s: false alarm: %v", how, err)
	case err != nil && !mayFail:
		m.t.Errorf("%s: %v", how, err)
	case err == nil && !sum.Complete:
		m.t.Errorf("%s pass %s ended without error and is not complete: %+v", kind, how, sum)
	}
}

// cancelling ends a context at the n-th operation.
type cancelling struct {
	providers.Driver
	cancel context.CancelFunc
	at     int64
	seen   atomic.Int64
}

func (c *cancelling) look() {
	if c.seen.Add(1) > c.at {
		c.cancel()
	}
}

// Create counts.
func (c *cancelling) Create(ctx context.Context, name string, body *io.SectionReader, sum [32]byte) (providers.Info, error) {
	c.look()
	return c.Driver.Create(ctx, name, body, sum)
}

// Open counts.
func (c *cancelling) Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	c.look()
	return c.Driver.Open(ctx, name, off, n)
}

// Stat counts.
func (c *cancelling) Stat(ctx context.Context, name string) (providers.Info, error) {
	c.look()
	return c.Driver.Stat(ctx, name)
}

// List counts.
func (c *cancelling) List(ctx context.Context, prefix, after string, limit int) ([]providers.Info, bool, error) {
	c.look()
	return c.Driver.List(ctx, prefix, after, limit)
}

// now is what the source's repositories are.
func (m *repoModel) now(kind string) moment {
	out := moment{}
	for name, r := range m.repos {
		path, ok := strings.CutPrefix(name, kind+"/")
		switch {
		case !ok:
		case r.away:
			out[path] = ""
		default:
			out[path] = stateAt(m.t, kind, r.dir)
		}
	}
	return out
}

// chainOf returns the chain of the source of that kind, nil when it has none yet.
func (m *repoModel) chainOf(v *vault.Vault, kind string) *vault.Chain {
	m.t.Helper()
	chains, err := v.Chains(context.Background())
	must(m.t, err)
	for _, c := range chains {
		for _, f := range c.Findings {
			m.t.Errorf("finding: %+v", f)
		}
		if c.Source.Kind == kind {
			return c
		}
	}
	return nil
}

// arrived remembers the moment of the commits that are new.
func (m *repoModel) arrived(kind string, now moment) {
	c := m.chainOf(m.rig.open(), kind)
	if c == nil {
		return
	}
	for _, k := range c.Commits {
		if _, known := m.moments[k.Hash]; !known {
			m.moments[k.Hash] = now
		}
	}
}

// finish makes a last undisturbed pass, restores every commit, and checks the vault as a whole.
func (m *repoModel) finish() {
	m.start()
	for _, kind := range []string{"git", "svn"} {
		m.rig.mustReplicate(m.sources[kind], agent.Options{})
		m.arrived(kind, m.now(kind))
	}
	v := m.rig.open()
	for _, kind := range []string{"git", "svn"} {
		c := &comeback{t: m.t, v: v, kind: kind, moments: m.moments, seen: map[string]string{}}
		c.chain(m.chainOf(v, kind))
		m.t.Logf("%s: %d commits, %d repositories restored", kind, len(m.chainOf(v, kind).Commits), len(c.seen))
	}
	if !m.t.Failed() {
		m.checkVault()
	}
}

// checkVault checks the vault as a whole, and counts each chain's objects on their own: chains share none.
func (m *repoModel) checkVault() {
	m.t.Helper()
	checkVerified(m.t, m.rig)
	for _, kind := range []string{"git", "svn"} {
		c := newCensus(m.t, m.rig)
		chain := m.chainOf(c.v, kind)
		for _, k := range chain.Commits {
			c.commit(k)
		}
		c.chunksOnce(chain.Newest())
	}
}

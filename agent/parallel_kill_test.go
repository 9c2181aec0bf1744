package agent_test

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"farshore/agent"
	"farshore/agent/vault"
	"farshore/crypto/seal"
	"farshore/crypto/sign"
	"farshore/providers"
	"farshore/providers/file"
	"farshore/providers/mem"
)

// killed are the sources of the tests below: what they had when a first pass over each was complete, and what they have.
type killed struct {
	sources []*namedSource
	before  []map[string][]byte
}

func newKilled() *killed {
	k := &killed{}
	for i, name := range []string{"a", "b"} {
		src := newNamed(name)
		for n := range 6 {
			src.put(fmt.Sprintf("k%02d", n), noise(uint64(100*i+n), 500*n))
		}
		src.put("large", noise(uint64(100*i+99), 700_000))
		k.sources = append(k.sources, src)
	}
	return k
}

func (k *killed) change() {
	for i, src := range k.sources {
		k.before = append(k.before, src.copy())
		src.put("k01", []byte("changed"))
		src.put("k03", noise(uint64(100*i+98), 700_000))
		src.put("k09", noise(uint64(100*i+97), 300_000))
		src.del("k04")
		src.del("large")
	}
}

// passes makes a pass over each source at the same time.
func (k *killed) passes(r *rig, d providers.Driver, o agent.Options) []error {
	local := r.local()
	errs := make([]error, len(k.sources))
	var all sync.WaitGroup
	for i, src := range k.sources {
		all.Go(func() { _, errs[i] = r.pass(context.Background(), local, d, src, o) })
	}
	all.Wait()
	return errs
}

// check makes the next passes after the process was killed, and holds what is there then against what the sources had and have. The local state is not to have been damaged.
func (k *killed) check(t *testing.T, when string, r *rig) {
	t.Helper()
	for i, err := range k.passes(r, r.driver, agent.Options{}) {
		if err != nil {
			t.Fatalf("%s: the next pass over %s: %v", when, k.sources[i].name, err)
		}
	}
	v := r.open()
	for i, src := range k.sources {
		s := survivor{src: src.fakeSource, before: k.before[i]}
		chain := chainNamed(t, v, src.name)
		for _, c := range chain.Commits {
			got := r.contents(v, c)
			if c.Complete && !maps.Equal(hashes(got), hashes(s.before)) && !maps.Equal(hashes(got), hashes(src.copy())) {
				t.Errorf("%s: commit %d of %s is complete and has neither what was nor what is", when, c.Seq, src.name)
			}
			s.between(t, fmt.Sprintf("%s: commit %d of %s", when, c.Seq, src.name), got)
		}
		diff(t, when, r.contents(v, chain.Head()), src.copy())
	}
	checkChains(t, r)
	checkSettled(t, r)
	if t.Failed() {
		t.Fatalf("failed: %s", when)
	}
}

// TestKillTwo kills a process that makes two passes at the same time, at operations of the store and between them: the next passes over both go on from what is left.
func TestKillTwo(t *testing.T) {
	r, k := newRig(t), newKilled()
	for _, err := range k.passes(r, r.driver, agent.Options{}) {
		must(t, err)
	}
	k.change()
	watched, d := r.in(t, world{objects: r.driver.(*mem.Driver).Objects(), dir: r.dir})
	w := &witness{Driver: d, store: d, state: watched.dir, out: t.TempDir()}
	for _, err := range k.passes(watched, w, agent.Options{CommitBytes: 1, Captures: 2}) {
		must(t, err)
	}
	must(t, w.err)
	stride := 6
	if long() {
		stride = 1
	}
	runs := 0
	for i := 0; i < len(w.worlds); i += stride {
		next, _ := r.in(t, w.worlds[i])
		k.check(t, w.worlds[i].when, next)
		runs++
	}
	t.Logf("killed in %d places, %d recoveries", len(w.worlds), runs)
}

// childEnv names the directory in which the child of TestKillProcess works.
const childEnv = "FARSHORE_TEST_KILLED_CHILD"

// keys are what the child needs of a rig.
type keys struct{ Owner, Agent, Metadata, Recovery, Recipient, ID string }

// TestKilledChild is the process that TestKillProcess kills.
func TestKilledChild(t *testing.T) {
	dir := os.Getenv(childEnv)
	if dir == "" {
		return // TestKillProcess runs it
	}
	r, d := rigAt(t, dir)
	k := newKilled()
	k.change()
	for _, err := range k.passes(r, telling{d}, agent.Options{CommitBytes: 1, Captures: 2}) {
		must(t, err)
	}
}

// telling says on stdout that an operation was done, and waits for nobody.
type telling struct{ providers.Driver }

// Create tells of it.
func (d telling) Create(ctx context.Context, name string, body *io.SectionReader, sum [32]byte) (providers.Info, error) {
	fmt.Println("creating", name)
	return d.Driver.Create(ctx, name, body, sum)
}

// rigAt is the rig whose keys, vault and state lie in a directory.
func rigAt(t *testing.T, dir string) (*rig, *file.Driver) {
	t.Helper()
	var of keys
	text, err := os.ReadFile(filepath.Join(dir, "keys"))
	must(t, err)
	must(t, json.Unmarshal(text, &of))
	d, err := file.Open("file://" + filepath.Join(dir, "vault"))
	must(t, err)
	t.Cleanup(func() { must(t, d.Close()) })
	r := &rig{t: t, driver: d, bucket: providers.New(d, quick), id: of.ID, recipient: of.Recipient, recoveryText: of.Recovery, dir: filepath.Join(dir, "state"), back: vault.AutoReadBack()}
	for _, key := range []struct {
		text string
		to   *sign.PrivateKey
	}{{of.Owner, &r.owner}, {of.Agent, &r.agent}} {
		seed, err := hex.DecodeString(key.text)
		must(t, err)
		*key.to, err = sign.FromSeed(seed)
		must(t, err)
	}
	r.metadata, err = seal.ParseIdentity(of.Metadata)
	must(t, err)
	r.recovery, err = seal.ParseIdentity(of.Recovery)
	must(t, err)
	return r, d
}

// killedRig makes a vault in a directory, with a first pass over each source.
func killedRig(t *testing.T, k *killed) string {
	t.Helper()
	dir := memDir(t)
	d, err := file.Open("file://"+filepath.Join(dir, "vault"), file.CreateDir())
	must(t, err)
	defer func() { must(t, d.Close()) }()
	r := newRigOn(t, d)
	r.dir = filepath.Join(dir, "state")
	for _, err := range k.passes(r, d, agent.Options{}) {
		must(t, err)
	}
	text, err := json.Marshal(keys{
		hex.EncodeToString(r.owner.Seed()), hex.EncodeToString(r.agent.Seed()), fmt.Sprint(r.metadata), r.recoveryText, r.recipient, r.id,
	})
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "keys"), text, 0o600))
	return dir
}

// TestKillProcess kills -9 a process that makes two passes at the same time, as it is about to store its n-th object, and goes on where it was.
func TestKillProcess(t *testing.T) {
	k := newKilled()
	first := killedRig(t, k)
	k.change()
	stride := 5
	if long() {
		stride = 1
	}
	for n := 1; ; n += stride {
		dir := memDir(t)
		must(t, os.CopyFS(dir, os.DirFS(first)))
		ended := killChild(t, dir, n)
		r, _ := rigAt(t, dir)
		k.check(t, fmt.Sprintf("killed as it stored object %d", n), r)
		if ended {
			if n < 10 {
				t.Errorf("it stored fewer than %d objects", n)
			}
			return
		}
	}
}

// killChild runs TestKilledChild in the directory and kills it when it is about to store its n-th object; it reports whether the child ended before that.
func killChild(t *testing.T, dir string, n int) (ended bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilledChild$", "-test.timeout=60s")
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	var said strings.Builder
	for lines := bufio.NewScanner(out); lines.Scan(); {
		fmt.Fprintln(&said, lines.Text())
		if strings.HasPrefix(lines.Text(), "creating ") {
			n--
		}
		if n == 0 {
			must(t, cmd.Process.Kill())
			_, err = io.Copy(io.Discard, out)
			must(t, err)
			_ = cmd.Wait() // it was killed
			return false
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("the child failed by itself: %v\n%s", err, &said)
	}
	return true
}

package main

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"farshore/agent/daemon/history"
	"farshore/providers/servers"
)

var (
	soakTime = flag.Duration("soak", 0, "TestSoak: for how long faults come (default: what FARSHORE_TEST_SOAK says, else 20s)")
	soakSeed = flag.Uint64("soak.seed", 0, "TestSoak: seed of what is drawn (default: another one each time, which is logged)")
)

// TestSoak runs the daemon as a process of its own over sources that change, while stores fail, hang and trickle, servers die, the configuration is changed and broken, and the daemon is
// killed. Whatever the seed and the machine's speed:
//
//   - every snapshot that was ever committed can be restored with the recovery key, and has nothing but what was at the source while its pass went on;
//   - a pass that begins once the faults are over is complete, and what it leaves is equal to its source;
//   - chains have neither forks nor findings, everything that is stored is intact, and nothing was deleted or overwritten;
//   - the daemon has no more goroutines, descriptors, threads, memory, processes and temporary files late than early, once nothing runs;
//   - SIGTERM amid passes ends it in less than 30 seconds, with exit code 0.
//
// It takes as long as -soak or FARSHORE_TEST_SOAK say, and what reading everything back takes: go test ./cmd/farshore -run TestSoak -soak 20m -timeout 60m.
func TestSoak(t *testing.T) {
	total := soakLength(t)
	s := newSoak(t)
	s.say("seed %d, for %s", s.seed, total)
	s.start()
	s.round(total/4, true)
	s.quiet()
	early := s.measured("early")
	for range 2 {
		s.round(total/4, false)
		s.quiet()
	}
	late := s.measured("late")
	s.judge()
	early.holds(t, late)

	s.round(total/4, true)
	s.stopAmidPasses()
	s.start()
	s.quiet()
	s.stop()
	s.judge()
	s.commands()
	s.logbook()
	s.summary(early, late)
}

// soakLength is for how long faults come.
func soakLength(t *testing.T) time.Duration {
	text := os.Getenv("FARSHORE_TEST_SOAK")
	switch {
	case *soakTime > 0:
		return *soakTime
	case text != "":
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 {
			t.Fatalf("FARSHORE_TEST_SOAK=%s is no time: write 20s or 2m", text)
		}
		return d
	}
	return 20 * time.Second
}

// soak is a machine with a daemon, stores and sources behind gates that fail, and the model of what the sources ever were.
type soak struct {
	*rig
	seed uint64
	// store has the vault; east and west have buckets, forge repositories.
	store, east, west, forge *soakServer
	// buckets are the sources of objects, the last of which is not always in the configuration.
	buckets []*soakBucket
	code    *soakRepo
	conf    *soakConfig
	daemon  *soakDaemon
	// up is held by readers while they ask, and by whoever makes the daemon deaf for a while.
	up sync.RWMutex
	// stale is what killed daemons left among the temporary files.
	stale map[string]bool

	mu    sync.Mutex
	count map[string]int64 // of what was done
	begin time.Time
}

func newSoak(t *testing.T) *soak {
	t.Helper()
	needPrograms(t, "git")
	s := &soak{rig: &rig{t: t, dir: t.TempDir()}, seed: *soakSeed, count: map[string]int64{}, stale: map[string]bool{}, begin: time.Now()}
	if s.seed == 0 {
		s.seed = rand.Uint64()
	}
	for _, sub := range []string{"tmp", "git", "restored"} {
		if err := os.Mkdir(s.path(sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	account := servers.S3{Region: "us-east-1", AccessKey: "soak", SecretKey: "secret"}
	setAWS(t, account)
	s.store, s.east, s.west = newSoakStore(s, "vault", account), newSoakStore(s, "east", account), newSoakStore(s, "west", account)
	s.store.gate.law = s.addsOnly
	s.code = newSoakRepo(s)
	s.forge = newSoakForge(s, s.path("git"))
	for name, server := range map[string]*soakServer{"shop": s.east, "logs": s.west, "extra": s.east} {
		s.buckets = append(s.buckets, newSoakBucket(s, name, server))
	}
	slices.SortFunc(s.buckets, func(a, b *soakBucket) int { return -strings.Compare(a.name, b.name) }) // extra is the last
	s.ok("init", "--vault", s.store.url("vault-of-all", "v"), "--config", s.path("farshore.yaml"), "--kit", s.path("kit"), "--quiet")
	s.conf = newSoakConfig(s)
	return s
}

// draw is what a part of the soak draws from.
func (s *soak) draw(part string) *rand.Rand {
	var n uint64
	for _, b := range []byte(part) {
		n = n*131 + uint64(b)
	}
	return rand.New(rand.NewPCG(s.seed, n))
}

// say logs a line at once, with how long the soak goes on.
func (s *soak) say(format string, args ...any) {
	s.t.Helper()
	s.t.Logf("%s: %s", time.Since(s.begin).Round(time.Second), fmt.Sprintf(format, args...))
}

// did counts what was done. It may be called concurrently.
func (s *soak) did(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count[what]++
}

// command runs a command in this process, and returns its exit code and what it said. It may be called concurrently.
func (s *soak) command(args ...string) (code int, said string) {
	e, stdout, stderr := testEnv(s.t)
	code = run(append(args, "--config", s.path("farshore.yaml")), e)
	return code, stdout.String() + stderr.String()
}

// servers are all of them.
func (s *soak) servers() []*soakServer { return []*soakServer{s.store, s.east, s.west, s.forge} }

// round lets everything happen at once for a while.
func (s *soak) round(length time.Duration, kill bool) {
	s.t.Helper()
	end := time.Now().Add(length)
	for _, server := range s.servers() {
		server.gate.rage()
	}
	var g sync.WaitGroup
	for _, b := range s.buckets {
		g.Go(func() { b.live(end) })
	}
	g.Go(func() { s.disturb(length, kill) })
	over := make(chan struct{})
	var readers sync.WaitGroup
	for i := range 2 {
		readers.Go(func() { s.read(i, over) })
	}
	s.code.live(end)
	g.Wait()
	close(over)
	readers.Wait()
	s.calm()
}

// calm ends all faults.
func (s *soak) calm() {
	for _, server := range s.servers() {
		server.rise()
		server.gate.calm()
	}
}

// quiet turns the schedules off, and has one pass made over each source, which must be complete and equal to it. Then nothing runs any more.
func (s *soak) quiet() {
	s.t.Helper()
	s.conf.rest()
	s.conf.write()
	if code, said := s.command("reload"); code != exitDone {
		s.t.Fatalf("the configuration for a quiet time was not taken: %d\n%s", code, said)
	}
	s.idle()
	for _, source := range s.sources() {
		r := s.pass(source)
		switch {
		case source == ghost:
			if r.Exit != exitFailed || r.Pass != nil && r.Pass.Seq > 0 {
				s.t.Errorf("a pass over a bucket that does not exist: %+v", r)
			}
			continue
		case r.Pass == nil || !r.Pass.Complete || r.Pass.Unreadable > 0 || r.Exit != exitDone && r.Code != codeSuspicious:
			s.t.Errorf("a pass over %s that began when the faults were over: %+v %+v", source, r, r.Pass)
		}
	}
	s.idle()
	s.equal()
}

// pass has a pass made over a source, and waits for its end.
func (s *soak) pass(source string) history.Run {
	s.t.Helper()
	ctx, cancel := soakContext(s.t, 10*time.Minute)
	defer cancel()
	client := s.daemon.client()
	queued, err := client.Trigger(ctx, passJob(source), 0)
	if err != nil {
		s.t.Fatalf("no pass over %s: %v", source, err)
	}
	r, err := client.Await(ctx, passJob(source), queued.At)
	if err != nil {
		s.t.Fatalf("a pass over %s: %v", source, err)
	}
	return r
}

// sources are the names of those in the configuration.
func (s *soak) sources() []string { return s.conf.sources() }

// idle waits until nothing runs.
func (s *soak) idle() {
	s.t.Helper()
	s.daemon.until("nothing runs", 10*time.Minute, func(st *soakStatus) bool { return len(st.busy()) == 0 })
}

// stopAmidPasses ends the daemon by SIGTERM while passes wait for their sources, and the vault's store begins to fail.
func (s *soak) stopAmidPasses() {
	s.t.Helper()
	for _, b := range s.buckets {
		b.burst(6)
	}
	s.idle()
	east, west := s.east.gate.bar(), s.west.gate.bar()
	for _, source := range s.sources() {
		if code, said := s.command("trigger", source); code != exitDone {
			s.t.Errorf("trigger %s: %d\n%s", source, code, said)
		}
	}
	s.daemon.until("a pass waits for its source", time.Minute, func(*soakStatus) bool { return s.east.gate.stopped()+s.west.gate.stopped() > 0 })
	s.store.gate.rage()
	s.terminate(func() { east(); west() })
	s.calm()
}

// stop ends the daemon by SIGTERM.
func (s *soak) stop() { s.t.Helper(); s.terminate(func() {}) }

// terminate holds the end by SIGTERM to less than 30 seconds, and to exit code 0. then is called once the signal was sent.
func (s *soak) terminate(then func()) {
	s.t.Helper()
	begin := time.Now()
	if err := s.daemon.signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
	then()
	err := s.daemon.ended(2 * time.Minute)
	took := time.Since(begin)
	if err != nil || took >= 30*time.Second {
		s.t.Errorf("SIGTERM: the daemon ended after %s: %v", took, err)
	}
	s.say("SIGTERM took %s", took.Round(time.Millisecond))
	s.did("stopped by SIGTERM")
}

// summary logs what the soak came to.
func (s *soak) summary(early, late soakSample) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, server := range s.servers() {
		for what, n := range server.gate.told() {
			s.count[server.name+": "+what] += n
		}
	}
	for _, what := range slices.Sorted(maps.Keys(s.count)) {
		s.t.Logf("%8d %s", s.count[what], what)
	}
	s.t.Logf("early %s", early)
	s.t.Logf("late  %s", late)
}

// addsOnly is what the agent may ask of the vault's store: to read, and to create.
func (s *soak) addsOnly(method, path, condition string) {
	switch {
	case method == "GET" || method == "HEAD":
	case method == "PUT" && condition == "*":
	default:
		s.t.Errorf("asked of the vault's store: %s %s with If-None-Match %q", method, filepath.Base(path), condition)
	}
}

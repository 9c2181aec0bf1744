package main

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"farshore/agent/config"
	"farshore/providers/servers"
)

// ghost is the source that always fails: its bucket does not exist.
const ghost = "ghost"

// soakConfig is the configuration that is to be in force, and writes it.
type soakConfig struct {
	s    *soak
	base *config.Config
	rng  *rand.Rand
	// pages are addresses for the page, taken one that another has.
	pages []string
	taken net.Listener

	mu       sync.Mutex
	listen   string
	extra    bool
	schedule string
	audits   string
	timezone string
	limits   string
	commit   string
	parallel int
}

func newSoakConfig(s *soak) *soakConfig {
	base, err := config.Load(s.path("farshore.yaml"))
	if err != nil {
		s.t.Fatal(err)
	}
	c := &soakConfig{s: s, base: base, rng: s.draw("configuration"), pages: []string{servers.Unused(s.t), servers.Unused(s.t)}}
	if c.taken, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.taken.Close() })
	c.listen = c.pages[0]
	c.set()
	c.extra = true
	if err := os.WriteFile(s.path("farshore.yaml"), []byte(c.text()), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return c
}

// set draws settings.
func (c *soakConfig) set() {
	pick := func(of ...string) string { return of[c.rng.IntN(len(of))] }
	c.mu.Lock()
	defer c.mu.Unlock()
	c.schedule, c.audits = pick("1m", "* * * * *", "off", "1h"), pick("1m", "off", "0 3 * * *")
	c.timezone, c.limits = pick("UTC", "Europe/Berlin", "Asia/Kolkata"), pick("{}", "{upload: 24MiB, download: 24MiB}", "{requests: 300}")
	c.commit, c.parallel = pick("{every: 1s, bytes: 1MiB}", "{every: 10m}"), 2+c.rng.IntN(5)
	c.extra, c.listen = c.rng.IntN(2) == 0, pick(c.pages...)
}

// rest sets the settings of a quiet time.
func (c *soakConfig) rest() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.schedule, c.audits, c.timezone, c.limits, c.commit, c.parallel, c.extra = "off", "off", "UTC", "{}", "{every: 10m}", 4, true
}

// page is the page's address.
func (c *soakConfig) page() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.listen
}

// sources are the names of those in the configuration.
func (c *soakConfig) sources() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	names := []string{"shop", "logs", "code", "tree", ghost}
	if c.extra {
		names = append(names, "extra")
	}
	return names
}

// url is a source's address.
func (c *soakConfig) url(source string) string {
	switch source {
	case "code":
		return "git+http://" + c.s.forge.addr + "/code.git"
	case "tree":
		return "git+file://" + c.s.path("git")
	case ghost:
		return c.s.west.url("no-such-bucket", "")
	}
	i := slices.IndexFunc(c.s.buckets, func(b *soakBucket) bool { return b.name == source })
	return c.s.buckets[i].url
}

// text is the configuration.
func (c *soakConfig) text() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	sources := c.sources()
	c.mu.Lock()
	defer c.mu.Unlock()
	line("vault: %q\nowner: %q\nrecipients:", c.base.Vault, c.base.Owner)
	for _, r := range c.base.Recipients {
		line("  - %s", r)
	}
	line("require: none\nschedule: %q\njitter: 0\ntimezone: %s\nparallel: %d\nlimits: %s\ncommit: %s", c.schedule, c.timezone, c.parallel, c.limits, c.commit)
	line("verify: {schedule: %q, bytes: 8MiB}\nmax_age: 1h\nweb: {listen: %q}\nsources:", c.audits, c.listen)
	for _, name := range sources {
		line("  - name: %s\n    url: %q", name, c.url(name))
		if name == "logs" {
			line("    tripwire: {deleted: off, modified: off, size: off, items: off}")
		}
	}
	return b.String()
}

// write puts the configuration in place, as a whole.
func (c *soakConfig) write() { c.place(c.text()) }

func (c *soakConfig) place(text string) {
	path := c.s.path("farshore.yaml")
	err := os.WriteFile(path+".new", []byte(text), 0o600)
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		c.s.t.Error(err)
	}
}

// broken are configurations that must not be taken.
func (c *soakConfig) broken(n int) (name, text string) {
	text = c.text()
	c.mu.Lock()
	defer c.mu.Unlock()
	all := [][2]string{
		{"no YAML", text + "  - name: [\n"},
		{"an unknown key", text + "colour: blue\n"},
		{"an interval that is too short", strings.Replace(text, "jitter: 0", "jitter: 0\nprobe: {schedule: 1s}", 1)},
		{"another state", text + "state: elsewhere\n"},
		{"an address that is taken", strings.Replace(text, c.listen, c.taken.Addr().String(), 1)},
		{"nothing", ""},
		{"keys that are not there", text + "keys: nowhere\n"},
		{"a source twice", text + "  - name: shop\n    url: s3://other/\n"},
	}
	one := all[n%len(all)]
	return one[0], one[1]
}

// good has another configuration taken, by a signal or by the command.
func (s *soak) good() {
	s.up.Lock()
	defer s.up.Unlock()
	s.conf.set()
	s.conf.write()
	begin := time.Now()
	if s.conf.rng.IntN(2) == 0 {
		s.did("good configurations, by the command")
		if code, said := s.command("reload"); code != exitDone {
			s.t.Errorf("a good configuration was not taken: %d\n%s\n%s", code, said, s.conf.text())
		}
	} else {
		s.did("good configurations, by SIGHUP")
		if err := s.daemon.signal(syscall.SIGHUP); err != nil {
			s.t.Error(err)
		}
	}
	err := s.daemon.await(time.Minute, func(st *soakStatus) bool {
		return !st.Config.Loaded.Before(begin.Truncate(time.Second)) && st.Config.Problem == "" && st.follows(s.conf.sources(), s.conf.timezone)
	})
	if err != nil {
		s.t.Errorf("a good configuration is not in force: %v", err)
	}
}

// bad has the daemon refuse a configuration, by a signal or by the command, and go on with the one before.
func (s *soak) bad(n int) {
	s.up.Lock()
	defer s.up.Unlock()
	name, text := s.conf.broken(n)
	s.conf.place(text)
	defer s.conf.write() // a killed daemon begins with what is there
	begin := time.Now()
	if s.conf.rng.IntN(2) == 0 {
		s.did("bad configurations, by the command")
		if code, said := s.command("reload", "--socket", s.daemon.socket); code != exitUsage {
			s.t.Errorf("%s: reload ended with %d\n%s", name, code, said)
		}
	} else {
		s.did("bad configurations, by SIGHUP")
		if err := s.daemon.signal(syscall.SIGHUP); err != nil {
			s.t.Error(err)
		}
	}
	err := s.daemon.await(time.Minute, func(st *soakStatus) bool {
		return st.Config.Problem != "" && !st.Config.ProblemAt.Before(begin) && st.follows(s.conf.sources(), s.conf.timezone)
	})
	if err != nil {
		s.t.Errorf("%s: it is not said, or the configuration before is not in force: %v", name, err)
	}
}

// follows reports whether the daemon goes by a configuration with these sources. One that is gone and still runs is shown, too.
func (st *soakStatus) follows(sources []string, zone string) bool {
	n := 0
	for i := range st.Sources {
		if slices.Contains(sources, st.Sources[i].Name) {
			n++
		} else if st.Sources[i].Running == nil {
			return false
		}
	}
	return n == len(sources) && st.Zone == zone
}

// disturb has everything happen to the daemon that people and machines do to it: for that long, and each thing at least once.
func (s *soak) disturb(length time.Duration, kill bool) {
	begin, rng := time.Now(), s.conf.rng
	s.everything(0)
	killed := !kill
	for n := 1; time.Since(begin) < length; n++ {
		if !killed && time.Since(begin) > length/2 {
			killed = true
			s.restart()
		}
		switch x := rng.IntN(20); {
		case x < 10:
			s.trigger(s.sources()[rng.IntN(len(s.sources()))])
		case x < 11:
			s.trigger("--verify")
		case x < 14:
			s.good()
		case x < 17:
			s.bad(n)
		case x < 18:
			s.death(time.Duration(rng.IntN(int(length / 8))))
		}
		soakWait(s.t.Context(), time.Duration(rng.IntN(600))*time.Millisecond)
	}
	if !killed {
		s.restart()
	}
	s.everything(1)
}

// everything is done once, so that no round lacks any of it.
func (s *soak) everything(n int) {
	s.good()
	s.bad(n)
	s.bad(n + 2)
	for _, source := range s.sources() {
		s.trigger(source)
	}
}

// trigger asks for a pass, or an audit.
func (s *soak) trigger(what string) {
	s.did("triggers")
	if code, said := s.command("trigger", what); code != exitDone {
		s.t.Errorf("trigger %s: %d\n%s", what, code, said)
	}
}

// death has one server die for a while.
func (s *soak) death(long time.Duration) {
	all := s.servers()
	server := all[s.conf.rng.IntN(len(all))]
	s.did("deaths of servers")
	server.die()
	soakWait(s.t.Context(), min(long, 8*time.Second))
	server.rise()
}

// restart kills the daemon, and starts it again on what it left.
func (s *soak) restart() {
	s.up.Lock()
	defer s.up.Unlock()
	s.kill()
	if err := s.launch(); err != nil {
		s.t.Errorf("a killed daemon does not start again: %v", err)
	}
}

// read asks the daemon for everything that it shows, until over is closed.
func (s *soak) read(n int, over <-chan struct{}) {
	rng := s.draw(fmt.Sprint("reader ", n))
	paths := []string{"/", "/metrics", "/healthz", "/readyz", "/reports", "/heads", "/heads.txt", "/live.json", "/source/shop", "/source/code"}
	for {
		select {
		case <-over:
			return
		default:
		}
		s.readOnce(paths[rng.IntN(len(paths))], rng.IntN(4) == 0)
		soakWait(s.t.Context(), time.Duration(20+rng.IntN(80))*time.Millisecond)
	}
}

func (s *soak) readOnce(path string, command bool) {
	s.up.RLock()
	defer s.up.RUnlock()
	if command {
		s.did("status read")
		// Whether all is well is not the question: nothing is, and an audit that is not given something says so.
		if code, said := s.command("status", "--json"); code != exitDone && code != exitIncomplete && code != exitDamage {
			s.t.Errorf("status: %d\n%s", code, said)
		}
		return
	}
	s.did("pages read")
	answer, err := s.get(path)
	if err != nil || answer.StatusCode != 200 {
		s.t.Errorf("%s: %v, %v", filepath.Base(path), answer, err)
	}
}

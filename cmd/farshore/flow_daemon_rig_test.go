package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"farshore/agent/daemon"
	"farshore/agent/daemon/control"
	"farshore/agent/daemon/history"
	"farshore/providers/servers"
)

// served is a rig with a daemon: a process of its own, as a service is.
type served struct {
	*rig
	page string
	cmd  *exec.Cmd
	over chan struct{} // closed when it ended; then err says how
	err  error
}

// patience is how long a test waits for what comes soon.
const patience = 60 * time.Second

// serve gives the configuration a page and more before its sources, and starts a daemon.
func (r *rig) serve(more string) *served {
	r.t.Helper()
	s := &served{rig: r, page: servers.Unused(r.t)}
	r.configure("sources:\n", "jitter: 0\nweb: {listen: \""+s.page+"\"}\n"+more+"sources:\n")
	s.start()
	return s
}

// start starts the daemon and waits until it answers. It logs behind what those before it did.
func (s *served) start() {
	s.t.Helper()
	s.launch()
	s.until("it answers", func(*daemon.Status) bool { return true })
}

// launch starts the daemon.
func (s *served) launch() {
	s.t.Helper()
	program, err := os.Executable()
	if err != nil {
		s.t.Fatal(err)
	}
	log, err := os.OpenFile(s.path("daemon.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close() // the process has its own
	cmd, over := exec.Command(program, "daemon", "--config", s.path("farshore.yaml"), "--log", "json"), make(chan struct{})
	cmd.Args[0], cmd.Dir, cmd.Stderr, cmd.Env = "farshore", s.dir, log, append(os.Environ(), "HOME="+s.dir)
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.cmd, s.over = cmd, over
	go func() { s.err = cmd.Wait(); close(over) }()
	s.t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		<-over
		if s.t.Failed() && s.cmd == cmd {
			s.t.Logf("the daemons' log:\n%s", s.logged())
		}
	})
}

// signal sends the daemon a signal.
func (s *served) signal(sig os.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// stop ends the daemon as systemd does, holds it to end well in less than 30 seconds, and says how long it took.
func (s *served) stop() time.Duration {
	s.t.Helper()
	began := time.Now()
	s.signal(syscall.SIGTERM)
	if code := s.ended(); code != exitDone {
		s.t.Fatalf("stopped, it ended with exit code %d", code)
	}
	took := time.Since(began)
	if took >= 30*time.Second {
		s.t.Errorf("it took %s to stop", took)
	}
	return took
}

// ended waits for the process's end, and returns its exit code; -1 where a signal ended it.
func (s *served) ended() int {
	s.t.Helper()
	select {
	case <-s.over:
	case <-time.After(patience):
		s.t.Fatal("it does not end")
	}
	var exit *exec.ExitError
	if errors.As(s.err, &exit) {
		return exit.ExitCode()
	}
	if s.err != nil {
		s.t.Fatal(s.err)
	}
	return exitDone
}

// client asks the daemon.
func (s *served) client() *control.Client { return control.Dial(s.path("state", "farshore.sock")) }

// until waits until the daemon is as it should be, and returns how it is.
func (s *served) until(what string, is func(*daemon.Status) bool) *daemon.Status {
	s.t.Helper()
	var last daemon.Status
	var err error
	s.wait(what, func() bool {
		var st daemon.Status
		if st, err = s.client().Status(s.t.Context()); err != nil {
			return false
		}
		last = st
		return is(&st)
	}, func() {
		shown, _ := json.MarshalIndent(last, "", "  ") // it is for people alone
		s.t.Logf("it is %s; %v", shown, err)
	})
	return &last
}

// wait waits until something is so, and fails with what else there is to say where it does not come about, or the daemon ends before.
func (s *served) wait(what string, is func() bool, say func()) {
	s.t.Helper()
	tick, late := time.NewTicker(20*time.Millisecond), time.NewTimer(patience)
	defer tick.Stop()
	defer late.Stop()
	for !is() {
		select {
		case <-tick.C:
			continue
		case <-s.over:
			s.t.Errorf("waiting until %s: the daemon ended: %v", what, s.err)
		case <-late.C:
			s.t.Errorf("waiting until %s: it does not come about", what)
		}
		if say != nil {
			say()
		}
		s.t.FailNow()
	}
}

// stands is how a source stands; with nothing in it where the daemon does not have it.
func stands(st *daemon.Status, name string) *daemon.SourceStatus {
	for i := range st.Sources {
		if st.Sources[i].Name == name {
			return &st.Sources[i]
		}
	}
	return &daemon.SourceStatus{}
}

// passed waits until so many passes over a source ended by the log, and returns how the last did.
func (s *served) passed(source string, n int) history.Run {
	s.t.Helper()
	return s.ran(passJob(source), n)
}

// ran is passed for any job.
func (s *served) ran(job string, n int) history.Run {
	s.t.Helper()
	var last *history.Run
	s.wait(job+" ended", func() bool {
		if len(s.said("ended", job)) < n {
			return false
		}
		st, err := s.client().Status(s.t.Context())
		if err != nil {
			return false
		}
		last = nil
		all := []*daemon.JobStatus{st.Probe, st.Verify}
		if source, ok := strings.CutPrefix(job, passJob("")); ok {
			all = append(all, &stands(&st, source).JobStatus)
		}
		for _, j := range all {
			if j != nil && j.Job == job && j.Running == nil { // the log has a run's end before the status has
				last = j.Last
			}
		}
		return last != nil
	}, nil)
	return *last
}

// logged is what all daemons of the test logged.
func (s *served) logged() []byte {
	s.t.Helper()
	b, err := os.ReadFile(s.path("daemon.log"))
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

// said are the lines of the log with a message and, unless that is "", a job.
func (s *served) said(msg, job string) (all []map[string]any) {
	s.t.Helper()
	lines := bufio.NewScanner(bytes.NewReader(s.logged()))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		l := map[string]any{}
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			continue // what a dying process wrote, or half a line
		}
		text, _ := l["msg"].(string)
		if strings.Contains(text, msg) && (job == "" || l["job"] == job) {
			all = append(all, l)
		}
	}
	return all
}

// get asks the page.
func (s *served) get(path string, header ...string) (int, string) {
	s.t.Helper()
	return s.getAt("http://"+s.page+path, header...)
}

func (s *served) getAt(url string, header ...string) (int, string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, url, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for pair := range slices.Chunk(header, 2) {
		r.Header.Set(pair[0], pair[1])
	}
	r.Close = true
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer.StatusCode, string(b)
}

// metrics holds /metrics to have the lines.
func (s *served) metrics(lines ...string) {
	s.t.Helper()
	code, body := s.get("/metrics")
	if code != http.StatusOK {
		s.t.Fatalf("/metrics: %d", code)
	}
	for _, l := range lines {
		if !strings.Contains(body, l+"\n") {
			s.t.Errorf("no %q in\n%s", l, grep(body, "farshore_"))
		}
	}
}

// grep are the lines of a text that begin with something.
func grep(text, begin string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, begin) {
			b.WriteString(line)
		}
	}
	return b.String()
}

// held makes requests wait that the test says, until it lets them go on: then all do.
func (r *rig) held(is func(*http.Request) bool) (begun <-chan struct{}, letGo func()) {
	r.t.Helper()
	came, open := make(chan struct{}, 1), make(chan struct{})
	r.gate.set(func(_ http.ResponseWriter, q *http.Request) bool {
		if !is(q) {
			return false
		}
		select {
		case came <- struct{}{}:
		default:
		}
		select {
		case <-open:
			return false
		case <-q.Context().Done():
			return true
		}
	})
	letGo = func() {
		r.gate.set(nil)
		select {
		case <-open:
		default:
			close(open)
		}
	}
	r.t.Cleanup(letGo)
	return came, letGo
}

// comes waits for something to begin.
func comes(t *testing.T, begun <-chan struct{}) {
	t.Helper()
	select {
	case <-begun:
	case <-time.After(patience):
		t.Fatal("it does not begin")
	}
}

// decode reads JSON.
func decode(t *testing.T, text string, to any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), to); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
}

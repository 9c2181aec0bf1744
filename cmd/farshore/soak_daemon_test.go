package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"farshore/agent/daemon"
	"farshore/agent/daemon/control"
)

// soakDaemon is the daemon as a process of its own.
type soakDaemon struct {
	t      *testing.T
	cmd    *exec.Cmd
	socket string
	over   chan struct{} // closed when it ended; then err says how
	err    error
}

// soakLog is where daemons log, one behind the other.
const soakLog = "daemon.log"

// start starts the daemon, and waits until it answers.
func (s *soak) start() {
	s.t.Helper()
	if err := s.launch(); err != nil {
		s.t.Fatal(err)
	}
}

// launch is start for any goroutine.
func (s *soak) launch() error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	log, err := os.OpenFile(s.path(soakLog), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() // the process has its own
	d := &soakDaemon{t: s.t, socket: s.path("state", "farshore.sock"), over: make(chan struct{})}
	d.cmd = exec.Command(program, "daemon", "--config", s.path("farshore.yaml"), "--log", "json")
	d.cmd.Args[0], d.cmd.Dir, d.cmd.Stderr = "farshore", s.dir, log
	d.cmd.Env = append(os.Environ(), "HOME="+s.dir, "TMPDIR="+s.path("tmp"))
	if err := d.cmd.Start(); err != nil {
		return err
	}
	go func() { d.err = d.cmd.Wait(); close(d.over) }()
	s.t.Cleanup(func() {
		_ = d.cmd.Process.Kill() // it may have ended
		<-d.over
		if s.t.Failed() && s.daemon == d {
			s.logTail()
		}
	})
	s.daemon = d
	s.did("started")
	return d.await(time.Minute, func(*soakStatus) bool { return true })
}

// logTail shows the end of the daemons' log.
func (s *soak) logTail() {
	b, err := os.ReadFile(s.path(soakLog))
	if err != nil {
		s.t.Error(err)
	}
	const most = 24 << 10
	s.t.Logf("the daemon's log ends:\n%s", b[max(0, len(b)-most):])
}

// client asks the daemon.
func (d *soakDaemon) client() *control.Client { return control.Dial(d.socket) }

func (d *soakDaemon) signal(sig os.Signal) error { return d.cmd.Process.Signal(sig) }

// ended waits for the process's end, and says how it came.
func (d *soakDaemon) ended(most time.Duration) error {
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-d.over:
		return d.err
	case <-timer.C:
		return fmt.Errorf("it still runs after %s", most)
	}
}

// kill ends the process at once, and counts what it leaves among the temporary files as its own.
func (s *soak) kill() {
	if err := s.daemon.signal(syscall.SIGKILL); err != nil {
		s.t.Errorf("kill: %v", err)
	}
	if err := s.daemon.ended(time.Minute); err == nil {
		s.t.Error("a killed daemon ended well")
	}
	s.did("killed")
	for _, name := range s.temporary() {
		s.stale[name] = true
	}
}

// temporary are the names of temporary files and folders.
func (s *soak) temporary() []string {
	entries, err := os.ReadDir(s.path("tmp"))
	if err != nil {
		s.t.Error(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// soakStatus is how the daemon stands.
type soakStatus struct{ daemon.Status }

// jobs are all of them.
func (st *soakStatus) jobs() []*daemon.JobStatus {
	var all []*daemon.JobStatus
	for i := range st.Sources {
		all = append(all, &st.Sources[i].JobStatus)
	}
	for _, j := range []*daemon.JobStatus{st.Probe, st.Verify} {
		if j != nil {
			all = append(all, j)
		}
	}
	return all
}

// busy names the jobs that run or wait.
func (st *soakStatus) busy() []string {
	var names []string
	for _, j := range st.jobs() {
		if j.Running != nil || !j.Waiting.IsZero() {
			names = append(names, j.Job)
		}
	}
	return names
}

// until waits until the daemon is as it should be. It must be called by the test's own goroutine.
func (d *soakDaemon) until(what string, most time.Duration, is func(*soakStatus) bool) {
	d.t.Helper()
	if err := d.await(most, is); err != nil {
		d.t.Fatalf("waiting until %s: %v", what, err)
	}
}

// await is until for any goroutine.
func (d *soakDaemon) await(most time.Duration, is func(*soakStatus) bool) error {
	ctx, cancel := soakContext(d.t, most)
	defer cancel()
	for client := d.client(); ; soakWait(ctx, 50*time.Millisecond) {
		st, err := client.Status(ctx)
		if err == nil && is(&soakStatus{st}) {
			return nil
		}
		select {
		case <-d.over:
			return fmt.Errorf("the daemon ended: %w", d.err)
		case <-ctx.Done():
			return fmt.Errorf("not within %s: %v, %v", most, (&soakStatus{st}).busy(), err)
		default:
		}
	}
}

// get asks the page. It may be called concurrently.
func (s *soak) get(path string) (*http.Response, error) {
	ctx, cancel := soakContext(s.t, time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.conf.page()+path, nil)
	if err != nil {
		return nil, err
	}
	r.Close = true
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body := bufio.NewReader(answer.Body)
	_, err = body.WriteTo(soakNowhere{})
	return answer, err
}

type soakNowhere struct{}

func (soakNowhere) Write(b []byte) (int, error) { return len(b), nil }

// soakProcesses are the processes, other than the daemon, that have its directory for temporary files: what it started, or a killed one left.
func (s *soak) processes() []string {
	found, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		s.t.Fatal(err)
	}
	var names []string
	for _, path := range found {
		pid, err := strconv.Atoi(strings.Split(path, "/")[2])
		if err != nil || pid == s.daemon.cmd.Process.Pid {
			continue
		}
		b, err := os.ReadFile(path)
		if err != nil || !slices.Contains(strings.Split(string(b), "\x00"), "TMPDIR="+s.path("tmp")) {
			continue // it has ended, or is not ours
		}
		command, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline")) // it may have ended
		names = append(names, fmt.Sprintf("%d %s", pid, strings.ReplaceAll(string(command), "\x00", " ")))
	}
	return names
}

// soakRun is a run by the daemon's log. until is zero where its end was not seen.
type soakRun struct {
	job  string
	span soakSpan
	exit int
	text string
}

// runs are all runs, by the log, in the order of their beginnings. A killed daemon's last ones end when it was started again.
func (s *soak) runs() []*soakRun {
	s.t.Helper()
	f, err := os.Open(s.path(soakLog))
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	var all []*soakRun
	open := map[string]*soakRun{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var l struct {
			Time           time.Time
			Msg, Job, Text string
			Level          string
			Exit           int
		}
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			s.t.Errorf("the daemon wrote: %q", lines.Text()) // a panic, or the race detector
			continue
		}
		switch r := open[l.Job]; {
		case l.Msg == "farshore begins":
			for job, r := range open {
				r.span.until, r.exit = l.Time, -1
				delete(open, job)
			}
		case l.Msg == "begins" && r != nil:
			s.t.Errorf("%s began at %s, and again at %s", l.Job, r.span.from, l.Time)
		case l.Msg == "begins":
			r = &soakRun{job: l.Job, span: soakSpan{from: l.Time}}
			open[l.Job], all = r, append(all, r)
		case l.Msg == "ended" && r != nil:
			r.span.until, r.exit, r.text = l.Time, l.Exit, l.Text
			delete(open, l.Job)
		case l.Msg == "ended":
			s.t.Errorf("%s ended at %s, and had not begun", l.Job, l.Time)
		case strings.Contains(l.Msg, "panic"):
			s.t.Errorf("a panic: %s", lines.Text())
		}
	}
	if err := lines.Err(); err != nil {
		s.t.Error(err)
	}
	return all
}

// logbook holds the runs to what none may come to: damage, which nobody did, unless the store refused to give what it has, which looks the same.
func (s *soak) logbook() {
	s.t.Helper()
	for _, r := range s.runs() {
		kind, _, _ := strings.Cut(r.job, " ")
		s.did(fmt.Sprintf("run: %s, exit code %d", kind, r.exit))
		if r.exit == exitUsage || r.exit == exitDamage && !s.store.gate.keptIn(r.span) {
			s.t.Errorf("%s of %s ended with exit code %d: %s", r.job, r.span.from, r.exit, r.text)
		}
	}
}

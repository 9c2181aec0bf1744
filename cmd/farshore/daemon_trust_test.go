package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"farshore/agent/config"
	"farshore/agent/daemon"
	"farshore/agent/daemon/history"
	"farshore/agent/daemon/web"
	"farshore/agent/probe"
)

// TestDaemonHangups holds that a daemon which hears SIGHUP while it ends, as when a terminal is closed behind it, commits what is whole all the same.
func TestDaemonHangups(t *testing.T) {
	r := newShop(t)
	begun, letGo := r.held(func(q *http.Request) bool { return reads(q, "b") })
	s := r.serve("")
	comes(t, begun)
	s.signal(syscall.SIGTERM)
	s.wait("it is stopping", func() bool { return len(s.said("stopping", "")) > 0 }, nil)
	for range 3 {
		s.signal(syscall.SIGHUP)
	}
	letGo()
	if code := s.ended(); code != exitDone {
		t.Errorf("it ended with exit code %d", code)
	}
	r.ok("ls", "shop").says("a/1", "a/2")
}

// TestDaemonLogGone holds that a daemon whose log nobody reads any more goes on.
func TestDaemonLogGone(t *testing.T) {
	r := newShop(t)
	r.configure("sources:\n", "web: {listen: \"off\"}\nsources:\n")
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "daemon", "--config", r.path("farshore.yaml"))
	cmd.Args[0], cmd.Dir, cmd.Stderr, cmd.Env = "farshore", r.dir, write, append(os.Environ(), "HOME="+r.dir)
	if err := errors.Join(cmd.Start(), write.Close(), read.Close()); err != nil {
		t.Fatal(err)
	}
	s := &served{rig: r, cmd: cmd, over: make(chan struct{})}
	go func() { s.err = cmd.Wait(); close(s.over) }()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-s.over })
	s.until("a pass was made", func(st *daemon.Status) bool { return stands(st, "shop").Good != nil })
	s.stop()
}

// newQuietService is a service that was not begun, with the configuration of a rig.
func newQuietService(t *testing.T, r *rig) *service {
	t.Helper()
	e, _, _ := testEnv(t)
	c, err := config.Load(r.path("farshore.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	c.Web.Listen = config.Off
	s, err := newService(e, c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// elsewhere gives the service another vault.
func (s *service) elsewhere(address string) *config.Config {
	c := *s.config()
	c.Vault = address
	s.mu.Lock()
	defer s.mu.Unlock()
	s.c = &c
	return &c
}

// TestShelfOfOtherVault holds that heads and reports of one vault are not shown as another's, and neither is what its credential may do.
func TestShelfOfOtherVault(t *testing.T) {
	r := newShop(t)
	r.ok("replicate", "--quiet")
	r.ok("verify", "--quiet")
	s := newQuietService(t, r)
	first := s.config()
	if err := s.shelf.look(t.Context()); err != nil {
		t.Fatal(err)
	}
	heads, read := s.shelf.Heads()
	reports, _ := s.shelf.Reports()
	if len(heads) != 1 || read.IsZero() || len(reports) != 1 {
		t.Fatalf("%v %v %v", heads, read, reports)
	}
	if _, err := s.shelf.Page(t.Context(), reports[0].Hash); err != nil {
		t.Fatal(err)
	}
	s.elsewhere("file:///elsewhere")
	gone := func() bool {
		heads, read := s.shelf.Heads()
		reports, _ := s.shelf.Reports()
		return len(heads) == 0 && read.IsZero() && len(reports) == 0
	}
	if !gone() {
		t.Error("another vault is shown with what the first has")
	}
	if _, err := s.shelf.Page(t.Context(), reports[0].Hash); !errors.Is(err, web.ErrNoReport) {
		t.Errorf("a page of the first vault: %v", err)
	}
	s.shelf.moved(&history.Run{Source: "shop", Vault: first.Vault, Pass: &history.Pass{Chain: heads[0].Chain, Seq: 9, Hash: heads[0].Hash}})
	if !gone() {
		t.Error("a pass to the first vault moves heads of the other")
	}

	s.known = nil
	now := time.Now()
	s.proven(first, &protection{Verdict: probe.Protected})
	s.provenAt(first, &protection{Verdict: probe.Protected, Time: &now})
	s.provenAt(s.config(), &protection{Verdict: probe.Unproven})
	if p := s.protection(); p != nil {
		t.Errorf("what the credential may do at the first vault, or that nothing is known, is known of the other: %+v", p)
	}
	s.provenAt(s.config(), &protection{Verdict: probe.Protected, Time: &now})
	s.provenAt(s.config(), &protection{Verdict: probe.Unproven, Time: &now})
	if p := s.protection(); p == nil || p.Verdict != string(probe.Protected) {
		t.Errorf("%+v", p)
	}
}

// TestShelfBounds holds that nobody has the vault read as often as he likes: neither all of it, by reloads, nor its reports, by the page.
func TestShelfBounds(t *testing.T) {
	r := newShop(t)
	r.ok("verify", "--quiet")
	s := newQuietService(t, r)
	if err := s.shelf.look(t.Context()); err != nil {
		t.Fatal(err)
	}
	reports, _ := s.shelf.Reports()
	var errs []error
	for range shows + 1 {
		s.shelf.pages = nil
		_, err := s.shelf.Page(t.Context(), reports[0].Hash)
		errs = append(errs, err)
	}
	if i := slices.IndexFunc(errs, func(err error) bool { return err != nil }); i != shows || !errors.Is(errs[i], web.ErrBusy) {
		t.Errorf("%d pages were made before %v", i, errs[max(i, 0)])
	}
	if !s.shelf.looks.AllowN(time.Now(), looks) || s.shelf.looks.Allow() {
		t.Error("looks are not bounded")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.shelf.run(ctx) // it ends though it may not look
	if _, read := s.shelf.Heads(); read.IsZero() {
		t.Error("what was known is gone")
	}
}

// TestStatusOfStrangers holds that nobody asks a daemon whose socket lies beside a configuration that a stranger put there.
func TestStatusOfStrangers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	t.Chdir(t.TempDir())
	if err := errors.Join(os.WriteFile("farshore.yaml", []byte("vault: file:///v\n"), 0o644), os.Chown("farshore.yaml", 65534, 65534)); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"status"}, {"reload"}, {"trigger", "shop"}} {
		e, stdout, stderr := testEnv(t)
		if code := run(args, e); code != exitUsage || !strings.Contains(stderr.String(), "belongs to another user") || stdout.Len() > 0 {
			t.Errorf("%v: %d, %s%s", args, code, stdout, stderr)
		}
	}
}

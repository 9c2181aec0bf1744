package supervisor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// environment is one that has these variables.
func environment(of map[string]string) func(string) string {
	return func(name string) string { return of[name] }
}

// systemd listens as systemd does, and returns what it is sent next.
func systemd(t *testing.T, address string) (next func() string) {
	t.Helper()
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return func() string {
		t.Helper()
		if err := c.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		message := make([]byte, 8<<10)
		n, err := c.Read(message)
		if err != nil {
			t.Fatal(err)
		}
		return string(message[:n])
	}
}

// TestMessages holds each message to what systemd takes, at a socket with a path and at an abstract one.
func TestMessages(t *testing.T) {
	for _, address := range []string{filepath.Join(t.TempDir(), "notify"), "@farshore-test-" + strconv.Itoa(os.Getpid())} {
		next := systemd(t, address)
		s, err := FromEnvironment(environment(map[string]string{"NOTIFY_SOCKET": address}), nil)
		if err != nil || s == nil {
			t.Fatal(err)
		}
		for _, k := range []struct {
			send func() error
			want string
		}{
			{func() error { return s.Ready("2 sources") }, "READY=1\nSTATUS=2 sources"},
			{func() error { return s.Status("replicates shop") }, "STATUS=replicates shop"},
			{func() error { return s.Reloaded("kept the old one") }, "READY=1\nSTATUS=kept the old one"},
			{func() error { return s.Stopping("commits what is whole") }, "STOPPING=1\nSTATUS=commits what is whole"},
			{func() error { return s.ExtendTimeout(90 * time.Second) }, "EXTEND_TIMEOUT_USEC=90000000"},
			{func() error { return s.Status("a\nWATCHDOG=1\x1b[2J\u202e\xff") }, `STATUS=a WATCHDOG=1\x1b[2J\xe2\x80\xae\xff`},
			{func() error { return s.Status(strings.Repeat("é", 3000)) }, "STATUS=" + strings.Repeat("é", maxText/2) + "…"},
		} {
			if err := k.send(); err != nil {
				t.Error(err)
			}
			if got := next(); got != k.want {
				t.Errorf("%s: %.100q, not %.100q", address, got, k.want)
			}
		}
		before := monotonic(t)
		if err := s.Reloading(); err != nil {
			t.Error(err)
		}
		var usec int64
		got := next()
		if n, err := fmt.Sscanf(got, "RELOADING=1\nMONOTONIC_USEC=%d", &usec); n != 1 || err != nil || strings.HasSuffix(got, "\n") || usec < before || usec > monotonic(t) {
			t.Errorf("%q, begun at %d", got, before)
		}
	}
}

func monotonic(t *testing.T) int64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		t.Fatal(err)
	}
	return now.Nano() / 1000
}

// TestNobody holds that all of it does nothing where nobody wants to be told.
func TestNobody(t *testing.T) {
	s, err := FromEnvironment(environment(map[string]string{"WATCHDOG_USEC": "1000"}), nil)
	if s != nil || err != nil {
		t.Fatal(s, err)
	}
	if err := errors.Join(s.Ready(""), s.Status(""), s.Reloading(), s.Reloaded(""), s.Stopping(""), s.ExtendTimeout(1)); err != nil {
		t.Error(err)
	}
	s.Watch(t.Context(), func() bool { t.Error("asked"); return true }, func() string { return "" })
}

// TestGone holds that a systemd that is not there is an error that says where it should be.
func TestGone(t *testing.T) {
	address := filepath.Join(t.TempDir(), "notify")
	s, err := FromEnvironment(environment(map[string]string{"NOTIFY_SOCKET": address}), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Ready("up"); err == nil || !strings.Contains(err.Error(), address) {
		t.Error(err)
	}
}

// TestFull holds that a systemd that takes no more messages holds nobody up for ever.
func TestFull(t *testing.T) {
	address := filepath.Join(t.TempDir(), "notify")
	systemd(t, address)
	s, err := FromEnvironment(environment(map[string]string{"NOTIFY_SOCKET": address}), nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 100_000 {
		if err := s.Status("x"); err != nil {
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error(err)
			}
			return
		}
	}
	t.Error("all messages were taken")
}

// TestEnvironment holds what is read to what systemd sets.
func TestEnvironment(t *testing.T) {
	own := strconv.Itoa(os.Getpid())
	for _, k := range []struct {
		socket, usec, pid string
		watchdog          time.Duration
		fails             bool
	}{
		{"/run/systemd/notify", "", "", 0, false},
		{"@notify", "30000000", "", 30 * time.Second, false},
		{"@notify", "30000000", own, 30 * time.Second, false},
		{"@notify", "30000000", own + "1", 0, false}, // another's
		{"@notify", "x", own + "1", 0, false},
		{"@notify", "0", "", 0, true},
		{"@notify", "-1", "", 0, true},
		{"@notify", "1.5", "", 0, true},
		{"@notify", "9223372036854775807", "", 0, true},
		{"notify", "", "", 0, true},
		{"@", "", "", 0, true},
		{"vsock:2:1", "", "", 0, true},
	} {
		s, err := FromEnvironment(environment(map[string]string{"NOTIFY_SOCKET": k.socket, "WATCHDOG_USEC": k.usec, "WATCHDOG_PID": k.pid}), nil)
		if (err != nil) != k.fails || err == nil && s.watchdog != k.watchdog {
			t.Errorf("%+v: %+v %v", k, s, err)
		}
	}
}

// fake is a supervisor that keeps what it is told, with when.
func fake(watchdog time.Duration, fails *bool) (*Supervisor, *[]string, *bytes.Buffer) {
	var told []string
	log := new(bytes.Buffer)
	began := time.Now()
	return &Supervisor{watchdog: watchdog, log: slog.New(slog.NewTextHandler(log, nil)), send: func(m string) error {
		if fails != nil && *fails {
			return errors.New("no room")
		}
		told = append(told, fmt.Sprintf("%s %s", time.Since(began), strings.ReplaceAll(m, "\n", " ")))
		return nil
	}}, &told, log
}

// TestWatch holds signs of life to a third of the watchdog's time, and the status to what is new.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, told, log := fake(9*time.Second, nil)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		began := time.Now()
		s.Watch(ctx, func() bool { return true }, func() string {
			if time.Since(began) < 6*time.Second {
				return "waits"
			}
			return "replicates shop"
		})
		want := []string{"0s WATCHDOG=1 STATUS=waits", "3s WATCHDOG=1", "6s WATCHDOG=1 STATUS=replicates shop", "9s WATCHDOG=1"}
		if !slices.Equal(*told, want) || log.Len() > 0 {
			t.Errorf("%q\n%s", *told, log)
		}
	})
}

// TestUnwatched holds that without a watchdog there is the status alone.
func TestUnwatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, told, _ := fake(0, nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		n := 0
		s.Watch(ctx, func() bool { return true }, func() string { n++; return fmt.Sprint("look ", n/3) })
		if want := []string{"0s STATUS=look 0", "20s STATUS=look 1", "50s STATUS=look 2"}; !slices.Equal(*told, want) {
			t.Errorf("%q", *told)
		}
	})
}

// TestSick holds that systemd hears nothing of a daemon that is not alive, hangs when it is asked, or is asked what it does, and hears of it again when it is well; and that no questions pile up.
func TestSick(t *testing.T) {
	for name, k := range map[string]struct {
		hangs, status bool
	}{"says so": {}, "hangs": {hangs: true}, "hangs over its status": {hangs: true, status: true}} {
		synctest.Test(t, func(t *testing.T) {
			s, told, log := fake(9*time.Second, nil)
			began := time.Now()
			asked := 0
			sick := func() bool { since := time.Since(began); return since >= 3*time.Second && since < 12*time.Second }
			hang := func() {
				if k.hangs && sick() {
					time.Sleep(11*time.Second - time.Since(began)) // till between two looks
				}
			}
			alive := func() bool {
				asked++
				if k.status {
					return true
				}
				was := sick()
				hang()
				return k.hangs || !was
			}
			ctx, cancel := context.WithTimeout(t.Context(), 16*time.Second)
			defer cancel()
			s.Watch(ctx, alive, func() string {
				if k.status {
					hang()
				}
				return "works"
			})
			want := []string{"0s WATCHDOG=1 STATUS=works", "12s WATCHDOG=1", "15s WATCHDOG=1"}
			most := 6
			if k.hangs {
				want[1], most = "11s WATCHDOG=1", 4
				want = slices.Insert(want, 2, "12s WATCHDOG=1")
			}
			if !slices.Equal(*told, want) || asked > most {
				t.Errorf("%s: %q, asked %d times", name, *told, asked)
			}
			if got := log.String(); strings.Count(got, "does not answer") != 1 || strings.Count(got, "answers again") != 1 {
				t.Errorf("%s: %s", name, got)
			}
			synctest.Wait()
		})
	}
}

// TestLeaves holds that Watch ends when it is to, whatever hangs.
func TestLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, told, _ := fake(9*time.Second, nil)
		end := make(chan struct{})
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		defer cancel()
		began := time.Now()
		s.Watch(ctx, func() bool { <-end; return true }, func() string { return "" })
		if took := time.Since(began); took != 4*time.Second || len(*told) > 0 {
			t.Error(took, *told)
		}
		close(end)
	})
}

// TestDeaf holds that a systemd that can't be told is logged once, and is told the status again when it can be.
func TestDeaf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fails := true
		s, told, log := fake(9*time.Second, &fails)
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 13*time.Second)
		defer cancel()
		s.Watch(ctx, func() bool { fails = time.Since(began) < 9*time.Second; return true }, func() string { return "works" })
		if want := []string{"9s WATCHDOG=1 STATUS=works", "12s WATCHDOG=1"}; !slices.Equal(*told, want) {
			t.Errorf("%q", *told)
		}
		if got := log.String(); strings.Count(got, "no room") != 1 || strings.Count(got, "told again") != 1 {
			t.Error(got)
		}
	})
}

package process_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"farshore/agent/repo/process"
)

func sh(script string) process.Spec {
	return process.Spec{Program: "sh", Args: []string{"-c", script}, Env: []string{"PATH=/usr/bin:/bin"}, Dir: "/"}
}

// TestEnds holds that only a program that ended well looks like the end of its output.
func TestEnds(t *testing.T) {
	broken := errors.New("broken")
	input := sh("cat")
	input.Stdin = io.MultiReader(strings.NewReader("some"), iotest.ErrReader(broken))
	silent := sh("echo some; sleep 60")
	silent.Idle = 200 * time.Millisecond
	for name, c := range map[string]struct {
		spec process.Spec
		says string
	}{
		"well":    {sh("echo some"), ""},
		"failed":  {sh("echo some; echo why >&2; exit 3"), "why"},
		"killed":  {sh("echo some; kill -9 $$"), "signal: killed"},
		"input":   {input, "input: broken"},
		"silence": {silent, "nothing moved"},
		"missing": {process.Spec{Program: "no-such-program-is-here"}, "not found"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := process.Output(t.Context(), c.spec, 1000)
			if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("%q, %v", out, err)
			}
			if name != "missing" && !strings.HasPrefix("some\n", string(out)) {
				t.Errorf("printed %q", out)
			}
		})
	}
	if _, err := process.Start(t.Context(), process.Spec{Program: "no-such-program-is-here"}); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("a missing program: %v", err)
	}
}

// TestCancelled holds that a program ends with its context together with what it started, even while its input hangs.
func TestCancelled(t *testing.T) {
	spec := sh("sleep 60 & cat; wait")
	in, w := io.Pipe()
	defer w.Close()
	spec.Stdin = in
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	begin := time.Now()
	if err := process.Run(ctx, spec, io.Discard); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	if d := time.Since(begin); d > 30*time.Second {
		t.Errorf("it took %s", d)
	}
}

// TestInputMoves holds that a program which takes input is not taken for one that hangs.
func TestInputMoves(t *testing.T) {
	t.Parallel()
	spec := sh("wc -c")
	spec.Idle = 3 * time.Second
	in, w := io.Pipe()
	spec.Stdin = in
	go func() {
		tick := time.NewTicker(500 * time.Millisecond)
		defer tick.Stop()
		for range 10 {
			<-tick.C
			_, _ = w.Write([]byte("x")) // the reader's end says more
		}
		_ = w.Close()
	}()
	out, err := process.Output(t.Context(), spec, 1000)
	if err != nil || strings.TrimSpace(string(out)) != "10" {
		t.Errorf("%q, %v", out, err)
	}
}

func TestBounds(t *testing.T) {
	if _, err := process.Output(t.Context(), sh("echo too much"), 3); err == nil {
		t.Error("more was taken than allowed")
	}
	spec := sh("i=0; while [ $i -lt 2000 ]; do echo line $i >&2; i=$((i+1)); done; exit 1")
	var all bytes.Buffer
	spec.Stderr = &all
	err := process.Run(t.Context(), spec, io.Discard)
	var failed *process.Failure
	if !errors.As(err, &failed) || len(failed.Stderr) > 4096 || !strings.HasPrefix(failed.Stderr, "line ") || !strings.HasSuffix(failed.Stderr, "line 1999") {
		t.Errorf("the failure says %.100q… of %d bytes", failed.Stderr, len(failed.Stderr))
	}
	if n := strings.Count(all.String(), "\n"); n != 2000 {
		t.Errorf("%d lines of stderr were handed on", n)
	}
}

// TestExplained holds that a stream's failures, and they alone, are put into other words.
func TestExplained(t *testing.T) {
	for script, want := range map[string]error{"echo x": nil, "exit 1": context.Canceled} {
		s, err := process.Start(t.Context(), sh(script))
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.ReadAll(s.Explained(func(error) error { return context.Canceled }))
		if !errors.Is(err, want) {
			t.Errorf("%s: %v", script, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// after closes a channel when a time has passed that is several times the idle times of these tests.
func after(d time.Duration) <-chan struct{} {
	done := make(chan struct{})
	time.AfterFunc(d, func() { close(done) })
	return done
}

// slow waits before each read until ready is closed.
type slow struct {
	io.Reader
	ready <-chan struct{}
}

func (s *slow) Read(p []byte) (int, error) {
	<-s.ready
	return s.Reader.Read(p)
}

// slowly waits before each write until ready is closed.
type slowly struct {
	io.Writer
	ready <-chan struct{}
}

func (s *slowly) Write(p []byte) (int, error) {
	<-s.ready
	return s.Writer.Write(p)
}

// TestIdleCounts holds that a program's idle time runs only while it is waited for: neither while what it prints is not taken, nor while its input is not there.
func TestIdleCounts(t *testing.T) {
	const idle, long = 2 * time.Second, 5 * time.Second
	large := strings.NewReader(strings.Repeat("x", 1<<20))
	for name, c := range map[string]struct {
		script  string
		in      func() io.Reader
		slowOut bool
		stalls  bool
		size    int
	}{
		"a slow sink":                   {script: "head -c 300000 /dev/zero", slowOut: true, size: 300000},
		"a slow sink, with input":       {script: "cat", in: func() io.Reader { return large }, slowOut: true, size: 1 << 20},
		"slow input":                    {script: "cat", in: func() io.Reader { return &slow{strings.NewReader("some"), after(long)} }, size: 4},
		"input that is not taken":       {script: "sleep 60", in: func() io.Reader { return iotest.OneByteReader(strings.NewReader(strings.Repeat("x", 1<<18))) }, stalls: true},
		"silence after its input":       {script: "cat; sleep 60", in: func() io.Reader { return strings.NewReader("") }, stalls: true},
		"silence after slow input":      {script: "cat; sleep 60", in: func() io.Reader { return &slow{strings.NewReader(""), after(long)} }, stalls: true},
		"silence after a closed output": {script: "exec >&-; sleep 60", stalls: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := sh(c.script)
			spec.Idle = idle
			if c.in != nil {
				spec.Stdin = c.in()
			}
			var out bytes.Buffer
			var to io.Writer = &out
			if c.slowOut {
				to = &slowly{&out, after(long)}
			}
			err := process.Run(t.Context(), spec, to)
			var stalled *process.StallError
			if errors.As(err, &stalled) != c.stalls || !c.stalls && (err != nil || out.Len() != c.size) {
				t.Errorf("%d bytes, %v", out.Len(), err)
			}
		})
	}
}

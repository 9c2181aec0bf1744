package servers

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
)

// startDeadline is how long a server may take until it answers; the machine may be busy.
const startDeadline = 60 * time.Second

// process is a running server. Its goroutine owns it, from start to end.
type process struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	output tail
	ended  chan struct{}
	stop   func() // kills it once, and waits
}

// start runs the command. Three things end it with the test: its Stop, its standard input, and the kernel, which kills it
// when the thread that started it dies. That thread is therefore held by one goroutine until the command has ended.
func start(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, ended: make(chan struct{})}
	p.stop = sync.OnceFunc(p.kill)
	cmd.Stdout, cmd.Stderr = &p.output, &p.output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = 5 * time.Second
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	p.stdin = stdin
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how a killed server ends says nothing
		}
		close(p.ended)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// kill ends the whole process group and waits for it.
func (p *process) kill() {
	_ = p.stdin.Close() // it may have ended already
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.ended
}

// ready waits until the address answers 200, the server ends, or the deadline passes.
func (p *process) ready(url string) error {
	ctx, cancel := context.WithTimeout(context.Background(), startDeadline)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if answers(ctx, url) {
			return nil
		}
		select {
		case <-p.ended:
			return fmt.Errorf("%s ended before it answered", p.cmd.Path)
		case <-ctx.Done():
			return fmt.Errorf("%s did not answer at %s within %v", p.cmd.Path, url, startDeadline)
		case <-tick.C:
		}
	}
}

func answers(ctx context.Context, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close() // nothing is read from it
	return resp.StatusCode == http.StatusOK
}

// launch starts the command that build returns for an unused address, a few times if need be: a port may be taken that another program was told to use.
func launch(tb testing.TB, health string, build func(addr string) *exec.Cmd) (*process, string) {
	tb.Helper()
	var last error
	for range 3 {
		addr := Unused(tb)
		p, err := start(build(addr))
		if err != nil {
			tb.Fatal(err)
		}
		if last = p.ready("http://" + addr + health); last == nil {
			tb.Cleanup(func() {
				p.stop()
				if tb.Failed() {
					tb.Logf("output of %s:\n%s", p.cmd.Path, p.output.String())
				}
			})
			return p, addr
		}
		p.stop()
		tb.Logf("output of %s:\n%s", p.cmd.Path, p.output.String())
	}
	tb.Fatal(last)
	return nil, ""
}

// tail keeps the last bytes of a server's output.
type tail struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

const tailSize = 64 << 10

// Write keeps p, and forgets the oldest bytes beyond twice tailSize.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf.Write(p)
	if t.buf.Len() > 2*tailSize {
		t.buf.Next(t.buf.Len() - tailSize)
	}
	return len(p), nil
}

// String returns what is kept.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.buf.String()
}

package gitserver

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"farshore/providers/servers"
)

const (
	startDeadline = 30 * time.Second // the machine may be busy
	stopDeadline  = 5 * time.Second
)

// environment is that of a git that serves: nothing of the user's, and the settings given.
func environment(settings map[string]string) []string {
	env := []string{"LC_ALL=C", "HOME=" + os.DevNull, "XDG_CONFIG_HOME=" + os.DevNull, "PATH=" + os.Getenv("PATH"),
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"}
	n := 1
	for k, v := range settings {
		env = append(env, fmt.Sprintf("GIT_CONFIG_KEY_%d=%s", n, k), fmt.Sprintf("GIT_CONFIG_VALUE_%d=%s", n, v))
		n++
	}
	return append(env, fmt.Sprintf("GIT_CONFIG_COUNT=%d", n))
}

// unusedPort returns a port of the loopback address that nobody else is given until the test ends.
func unusedPort(tb testing.TB) int {
	tb.Helper()
	_, text, err := net.SplitHostPort(servers.Unused(tb))
	if err != nil {
		tb.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		tb.Fatal(err)
	}
	return port
}

// serve starts the command that build makes for an unused port, until it takes connections; a few times if need be, as a port may be taken that another program was told to use.
func serve(tb testing.TB, build func(port int) *exec.Cmd) (port int) {
	tb.Helper()
	for range 3 {
		port = unusedPort(tb)
		said, err := start(tb, build(port), port)
		if err == nil {
			return port
		}
		tb.Logf("%v\n%s", err, said)
	}
	tb.Fatal("the server did not start")
	return 0
}

// start runs a server in a process group of its own, which ends with the test.
func start(tb testing.TB, cmd *exec.Cmd, port int) (*output, error) {
	tb.Helper()
	said, ended := &output{}, make(chan struct{})
	cmd.Stdout, cmd.Stderr = said, said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = stopDeadline
	if err := cmd.Start(); err != nil {
		return said, err
	}
	go func() {
		_ = cmd.Wait() // how a killed server ends says nothing
		close(ended)
	}()
	tb.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-ended // within WaitDelay
		if tb.Failed() {
			tb.Logf("output of %s:\n%s", cmd.Path, said)
		}
	})
	return said, ready(cmd, port, ended)
}

// ready waits until the port takes a connection.
func ready(cmd *exec.Cmd, port int, ended <-chan struct{}) error {
	deadline := time.NewTimer(startDeadline)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), time.Second)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ended:
			return fmt.Errorf("%s ended before it took connections", cmd.Path)
		case <-deadline.C:
			return fmt.Errorf("%s took no connection within %v", cmd.Path, startDeadline)
		case <-tick.C:
		}
	}
}

// output keeps the last bytes that a server printed. It may be used concurrently.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

const maxOutput = 64 << 10

// Write keeps p, and forgets the oldest bytes.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.b.Write(p)
	if o.b.Len() > 2*maxOutput {
		o.b.Next(o.b.Len() - maxOutput)
	}
	return len(p), nil
}

// String returns what is kept.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.ToValidUTF8(o.b.String(), "?")
}

// Daemon serves the repositories below root by git daemon and returns the URL that stands for root, without a slash at its end.
func Daemon(tb testing.TB, root string) string {
	tb.Helper()
	program := git(tb)
	port := serve(tb, func(port int) *exec.Cmd {
		cmd := exec.Command(program, "daemon", "--export-all", "--reuseaddr", "--listen=127.0.0.1", fmt.Sprintf("--port=%d", port), "--base-path="+root, root)
		cmd.Env = environment(nil)
		return cmd
	})
	return fmt.Sprintf("git://127.0.0.1:%d", port)
}

package wire

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"farshore/agent/record"
	"farshore/agent/source"
)

// sshLink carries a conversation over the ssh program, which runs git-upload-pack at the other end.
type sshLink struct {
	r     *Remote
	g     *guard
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Reader
	said  tail
	sent  *sending
	asked bool // the program at the other end got as far as to be asked something
	ended bool
}

// grace is how long the program may take to end when all was said.
const grace = 5 * time.Second

func (l *sshLink) greeting() (io.Reader, error) {
	command := l.r.sshCommand()
	cmd := exec.CommandContext(l.g.ctx, command[0], command[1:]...)
	cmd.Env = append(sshEnvironment(os.Environ()), "GIT_PROTOCOL=version="+strconv.Itoa(l.r.version), "SSH_ASKPASS_REQUIRE=never")
	cmd.Stderr = &l.said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = grace
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("the ssh program can't be run: %w", err)
	}
	l.cmd, l.in, l.out = cmd, in, bufio.NewReaderSize(&guardedReader{l.g, out}, maxPacket)
	return l.out, nil
}

// sshEnvironment leaves out of the environment what systemd says to this process alone: a program that ssh's configuration names could tell systemd that the daemon is well, or find its
// credentials. The rest is what that configuration may rest on.
func sshEnvironment(environ []string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return slices.Contains([]string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "CREDENTIALS_DIRECTORY", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"}, name)
	})
}

// sshCommand is the whole command: no prompts, and what the user configured for the host.
func (r *Remote) sshCommand() []string {
	command := append([]string(nil), r.o.SSH...)
	command = append(command, "-o", "BatchMode=yes", "-o", fmt.Sprintf("ConnectTimeout=%d", int(dialDeadline.Seconds())))
	if r.version > 0 {
		command = append(command, "-o", "SendEnv=GIT_PROTOCOL")
	}
	if r.at.port != "" {
		command = append(command, "-p", r.at.port)
	}
	host := r.at.host
	if r.at.user != "" {
		host = r.at.user + "@" + host
	}
	path := r.at.path
	if strings.HasPrefix(path, "/~") {
		path = path[1:]
	}
	return append(command, host, service+" "+quote(path))
}

// quote makes one word of s for the shell at the other end.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func (l *sshLink) ask(request []byte) (io.Reader, error) {
	l.asked = true
	l.sent.wait() // the one before was answered
	l.sent = l.g.send(l.in, request)
	return l.out, nil
}

// explain says why the program's output ended: what it or git at the other end said tells more than that it did.
func (l *sshLink) explain(err error) error {
	if l.cmd == nil || !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	l.end()
	said, code := clean(l.said.String()), l.cmd.ProcessState.ExitCode()
	switch {
	case code == 255: // ssh's own failure
		return unconnected(err, said)
	case code == 127: // the shell's
		return unsupported(fmt.Sprintf("git-upload-pack can't be run at the server: git must be installed there, and be on PATH without a login (%s)", said))
	case said == "":
		return fmt.Errorf("%w (ssh ended with status %d)", err, code)
	}
	known := serverError(said)
	if u := (*source.Unreadable)(nil); l.asked && errors.As(known, &u) && u.Reason == record.ReasonOther {
		return fmt.Errorf("%w (the server says %q)", err, said)
	}
	return known
}

// unconnected makes an error of ssh's own words.
func unconnected(err error, said string) error {
	low := strings.ToLower(said)
	switch {
	case strings.Contains(low, "host key verification failed"), strings.Contains(low, "no matching host key"), strings.Contains(low, "could not resolve hostname"):
		return fmt.Errorf("ssh says %q: check the host's name, and its key in known_hosts of the user that the agent runs as", said)
	case strings.Contains(low, "permission denied"):
		return denied(fmt.Sprintf("ssh says %q: the key of the user that the agent runs as must be allowed to read the repository", said))
	}
	return &passing{err: fmt.Errorf("%w (ssh says %q)", err, said)}
}

// end closes the program's input, which makes it end, and waits for that; one that does not is killed with all that it started.
func (l *sshLink) end() {
	if l.ended {
		return
	}
	l.ended = true
	_ = l.in.Close() // it may have ended already
	kill := time.AfterFunc(grace, func() { _ = l.cmd.Cancel() })
	_, _ = io.Copy(io.Discard, io.LimitReader(l.out, maxPacket)) // while there is something to write it does not end
	_ = l.cmd.Wait()                                             // how it ended stands in its state
	kill.Stop()
	l.sent.wait()
}

func (l *sshLink) close(polite bool) error {
	if l.cmd == nil || l.ended {
		return nil
	}
	if polite && l.sent.over() {
		_, _ = io.WriteString(l.in, "0000") // a courtesy
	} else {
		_ = l.cmd.Cancel() // it may have ended already
	}
	l.end()
	return nil
}

// tail keeps the end of what is written to it. It may be used concurrently.
type tail struct {
	mu sync.Mutex
	b  []byte
}

const tailSize = 2048

// Write keeps the last bytes.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p[max(0, len(p)-tailSize):]...)
	if len(t.b) > tailSize {
		t.b = append(t.b[:0], t.b[len(t.b)-tailSize:]...)
	}
	return len(p), nil
}

// String is the end of what was written.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.b)
}

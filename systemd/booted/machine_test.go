package booted

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"farshore/providers/servers"
)

// rootEnv names the environment variable with the root file system.
const rootEnv = "FARSHORE_TEST_SYSTEMD_ROOT"

// groupName begins the names of the machines' control groups; a process id follows.
const groupName = "farshore-booted-"

// bootDeadline is how long the machine may take until systemd runs; it takes less than two seconds where nothing else is to be done.
const bootDeadline = 90 * time.Second

// machine is a booted container. What starts it is held by one goroutine, since the kernel ends it with the thread that started it: nothing of it outlives the test, however that ends.
type machine struct {
	root   string // its root file system, seen from here
	leader int    // its first process, seen from here
	cgroup []string
	cmd    *exec.Cmd
	ended  chan struct{}
	output lockedBuffer
}

// boot starts a copy of the root file system, or skips the test with the reason why this host can't.
func boot(t *testing.T) *machine {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can boot a machine in a container")
	}
	for _, program := range []string{"systemd-nspawn", "nsenter"} {
		if _, err := exec.LookPath(program); err != nil {
			servers.Missing(t, program, "apt-get install systemd-container util-linux")
		}
	}
	from := os.Getenv(rootEnv)
	if from == "none" {
		t.Skip(rootEnv + " says that no machine can be booted here")
	}
	if from == "" {
		servers.Missing(t, "a root file system", "make one with debootstrap, as systemd/booted/doc.go says, and name it in "+rootEnv)
	}
	dir := workplace(t)
	m := &machine{root: filepath.Join(dir, "root"), ended: make(chan struct{})}
	if out, err := exec.Command("cp", "-a", "--reflink=auto", from, m.root).CombinedOutput(); err != nil {
		t.Fatalf("copy the root file system: %v: %s", err, out)
	}
	if err := m.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.stop(t) })
	if err := m.ready(t.Context()); err != nil {
		t.Skipf("this host can't boot a machine in a container: %v: %s", err, m.output.String())
	}
	return m
}

// workplace is a directory for a machine. Those that killed runs left behind are removed: nobody holds their locks any more.
func workplace(t *testing.T) string {
	t.Helper()
	base := filepath.Join(os.TempDir(), "farshore-booted")
	if err := os.MkdirAll(base, 0o700); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(base)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range left {
		old := filepath.Join(base, e.Name())
		if f := hold(old); f != nil {
			if err := os.RemoveAll(old); err != nil {
				t.Logf("left behind: %v", err)
			}
			_ = f.Close() // gives the lock back
		}
	}
	dir, err := os.MkdirTemp(base, "m")
	if err != nil {
		t.Fatal(err)
	}
	lock := hold(dir)
	if lock == nil {
		t.Fatalf("another run took %s", dir)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
		_ = lock.Close() // gives the lock back
	})
	return dir
}

// hold locks a directory; nil where another process does.
func hold(dir string) *os.File {
	f, err := os.Open(dir)
	if err != nil {
		return nil
	}
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		_ = f.Close() // nothing was written
		return nil
	}
	return f
}

// start starts systemd-nspawn as the first process of a PID namespace: whoever ends that one ends all in it. Without a systemd on the host nobody hands out control groups, and two
// machines would share one: each gets its own.
func (m *machine) start() error {
	script := "mount --make-rprivate / && mount -t proc proc /proc"
	args := []string{"systemd-nspawn", "-q", "-D", m.root, "--private-network", "--register=no", "--boot", "--console=pipe"}
	if _, err := os.Stat("/run/systemd/system"); errors.Is(err, fs.ErrNotExist) {
		args = append(args, "--keep-unit")
		for _, h := range []string{"/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"} {
			if _, err := os.Stat(filepath.Join(h, "cgroup.procs")); err != nil {
				continue
			}
			group := filepath.Join(h, groupName+strconv.Itoa(os.Getpid()))
			left, _ := filepath.Glob(filepath.Join(h, groupName+"*")) // the pattern is well
			for _, old := range left {
				_ = removeEmptyGroups(old) // of killed runs; those of others have processes, and stay
			}
			if err := os.Mkdir(group, 0o755); err != nil {
				return fmt.Errorf("make a control group: %w", err)
			}
			m.cgroup = append(m.cgroup, group)
			script += " && echo 0 >" + group + "/cgroup.procs"
		}
	}
	m.cmd = exec.Command("sh", append([]string{"-c", script + ` && exec "$@"`, "sh"}, args...)...)
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL, Setsid: true}
	m.cmd.Stdout, m.cmd.Stderr = &m.output, &m.output
	m.cmd.WaitDelay = 5 * time.Second
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := m.cmd.Start()
		started <- err
		if err == nil {
			_ = m.cmd.Wait() // how a killed machine ends says nothing
		}
		close(m.ended)
	}()
	return <-started
}

// ready waits until systemd has started what it starts.
func (m *machine) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, bootDeadline)
	defer cancel()
	for {
		if m.leader == 0 {
			m.leader = m.findLeader()
		}
		if m.leader != 0 {
			out, _ := m.enter(ctx, "", "systemctl", "is-system-running") // "starting" and what is not there yet are errors, too
			if state := strings.TrimSpace(out); state == "running" || state == "degraded" {
				return nil
			}
		}
		select {
		case <-m.ended:
			return errors.New("systemd-nspawn ended")
		case <-ctx.Done():
			return fmt.Errorf("systemd was not up within %v", bootDeadline)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// findLeader is the child of systemd-nspawn that is systemd; 0 while there is none.
func (m *machine) findLeader() int {
	pid := strconv.Itoa(m.cmd.Process.Pid)
	children, err := os.ReadFile(filepath.Join("/proc", pid, "task", pid, "children"))
	if err != nil {
		return 0
	}
	for _, child := range strings.Fields(string(children)) {
		name, err := os.ReadFile(filepath.Join("/proc", child, "comm"))
		if n, nerr := strconv.Atoi(child); err == nil && nerr == nil && strings.TrimSpace(string(name)) == "systemd" {
			return n
		}
	}
	return 0
}

// stop ends the machine at once, with all that runs in it, and removes its control groups.
func (m *machine) stop(t *testing.T) {
	_ = m.cmd.Process.Kill() // it may have ended
	select {
	case <-m.ended:
	case <-time.After(20 * time.Second):
		t.Error("the machine did not end")
	}
	for _, top := range m.cgroup {
		if err := removeGroups(top); err != nil {
			t.Log(err)
		}
	}
}

// removeGroups removes a control group and all below it, which takes until the kernel has buried what ran in them.
func removeGroups(top string) (err error) {
	for range 100 {
		if err = removeEmptyGroups(top); err == nil {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return err
}

// removeEmptyGroups removes a control group and all below it where nothing runs in them.
func removeEmptyGroups(top string) (err error) {
	var dirs []string
	_ = filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error { // what vanishes meanwhile is what is wanted
		if err == nil && d.IsDir() {
			dirs = append(dirs, path)
		}
		return nil
	})
	slices.Reverse(dirs)
	for _, dir := range dirs {
		if rerr := unix.Rmdir(dir); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
			err = fmt.Errorf("remove the control group %s: %w", dir, rerr)
		}
	}
	return err
}

// enter runs a program in the machine, as root, and returns its standard output; the error has what it wrote to standard error.
func (m *machine) enter(ctx context.Context, stdin string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "nsenter", append([]string{"-t", strconv.Itoa(m.leader), "-a", "--"}, args...)...)
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8", "SYSTEMD_PAGER=", "TERM=dumb"}
	cmd.Dir, cmd.WaitDelay = "/", 5*time.Second
	cmd.Stdin = strings.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return stdout.String(), nil
}

// commandDeadline is for a command that does not wait for a pass.
const commandDeadline = 90 * time.Second

// try runs a shell's script in the machine.
func (m *machine) try(t *testing.T, script string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), commandDeadline)
	defer cancel()
	return m.enter(ctx, "", "bash", "-ec", script)
}

// must runs a shell's script that may not fail, and returns what it wrote without the last line's end.
func (m *machine) must(t *testing.T, script string) string {
	t.Helper()
	out, err := m.try(t, script)
	if err != nil {
		t.Fatalf("%v%s", err, out)
	}
	return strings.TrimRight(out, "\n")
}

// refused runs a shell's script that must fail, and returns how it did.
func (m *machine) refused(t *testing.T, script string) string {
	t.Helper()
	out, err := m.try(t, script)
	if err == nil {
		t.Errorf("this did not fail: %s\n%s", script, out)
		return ""
	}
	return err.Error()
}

// write writes a file of the machine, which belongs to root.
func (m *machine) write(t *testing.T, path, mode, content string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), commandDeadline)
	defer cancel()
	if _, err := m.enter(ctx, content, "install", "-D", "-m", mode, "/dev/stdin", path); err != nil {
		t.Fatal(err)
	}
}

// put copies a file of this host into the machine.
func (m *machine) put(t *testing.T, from, path string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(m.root, path), data, 0o755); err != nil {
		t.Fatal(err)
	}
}

// wait waits until a condition holds, and fails the test with what it says otherwise.
func (m *machine) wait(t *testing.T, what string, within time.Duration, holds func() (bool, string)) {
	t.Helper()
	begin := time.Now()
	for {
		ok, seen := holds()
		if ok {
			return
		}
		if time.Since(begin) > within {
			t.Fatalf("not within %v: %s\n%s", within, what, seen)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// property is a property of a unit.
func (m *machine) property(t *testing.T, unit, name string) string {
	t.Helper()
	return m.must(t, "systemctl show --value -p "+name+" "+unit)
}

// number is a property that is a number.
func (m *machine) number(t *testing.T, unit, name string) int {
	t.Helper()
	n, err := strconv.Atoi(m.property(t, unit, name))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

package svntest

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"farshore/agent/repo/svncmd"
	"farshore/providers/servers"
)

// Serve serves the repositories below root by svnserve on this machine's own address until the test ends, and returns the address, "svn://127.0.0.1:port". Where
// a password is given, all of them want that user and password; authz, if not empty, are the rules of access as Subversion's authz files have them.
func Serve(tb testing.TB, root, user, password, authz string) string {
	tb.Helper()
	dir := tb.TempDir()
	conf := "[general]\nanon-access = write\n"
	if password != "" {
		conf = "[general]\nanon-access = none\nauth-access = write\npassword-db = passwd\nrealm = farshore\n"
		write(tb, filepath.Join(dir, "passwd"), fmt.Sprintf("[users]\n%s = %s\n", user, password))
	}
	if authz != "" {
		conf += "authz-db = authz\n"
		write(tb, filepath.Join(dir, "authz"), authz)
	}
	write(tb, filepath.Join(dir, "svnserve.conf"), conf)
	address := servers.Unused(tb)
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(tb.Context()))
	cmd := exec.CommandContext(ctx, svncmd.Serve, "--daemon", "--foreground", "--listen-host=127.0.0.1", "--listen-port="+port,
		"--root="+root, "--config-file="+filepath.Join(dir, "svnserve.conf"))
	cmd.Env = svncmd.Environment()
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // it was killed
	})
	await(tb, address)
	return "svn://" + address
}

func write(tb testing.TB, name, text string) {
	tb.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
}

// await waits until the server says its greeting.
func await(tb testing.TB, address string) {
	tb.Helper()
	deadline, cancel := context.WithTimeout(tb.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			_, err = bufio.NewReader(conn).ReadByte()
			_ = conn.Close()
			if err == nil {
				return
			}
		}
		select {
		case <-deadline.Done():
			tb.Fatalf("svnserve does not answer at %s: %v", address, err)
		case <-tick.C:
		}
	}
}

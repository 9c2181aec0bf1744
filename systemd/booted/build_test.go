package booted

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"farshore/providers/servers"
)

// buildDeadline is for a machine that has built nothing yet, and has others' work to do.
const buildDeadline = 9 * time.Minute

// built is where the packages of this run of the tests are, and the copy of the tree that they are built from, so that nobody changes it meanwhile; TestMain removes both.
var built struct {
	sync.Once
	dir, output string
	err         error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if built.dir != "" {
		_ = os.RemoveAll(built.dir) // what stays in the temporary folder is no reason to fail
	}
	os.Exit(code)
}

// tree is the copy of the tree, and out what is built from it.
func tree() string { return filepath.Join(built.dir, "tree") }
func out() string  { return filepath.Join(built.dir, "out") }

// packagesEnv names the environment variable with a directory in which systemd/package.sh has put the packages.
const packagesEnv = "FARSHORE_TEST_PACKAGES"

// packages returns the paths of the .deb and the .rpm. Where nobody names them, and a machine can be booted for them, they are built, once. That takes minutes, and the module
// proxy: where neither is given, the test is skipped.
func packages(t *testing.T) (deb, rpm string) {
	t.Helper()
	dir := os.Getenv(packagesEnv)
	if dir == "" {
		if root := os.Getenv(rootEnv); root == "" || root == "none" {
			servers.Missing(t, "a directory with the packages", "build them with systemd/package.sh DIRECTORY, and name it in "+packagesEnv)
		}
		built.Do(build)
		dir = out()
		if built.err != nil {
			t.Fatalf("systemd/package.sh: %v\n%s", built.err, built.output)
		}
	}
	return only(t, filepath.Join(dir, "*.deb")), only(t, filepath.Join(dir, "*.rpm"))
}

func build() {
	if built.dir, built.err = os.MkdirTemp("", "farshore-packages-"); built.err != nil {
		return
	}
	if built.output, built.err = run("cp", "-a", "--reflink=auto", "../..", tree()); built.err == nil {
		built.output, built.err = run(filepath.Join(tree(), "systemd", "package.sh"), out())
	}
}

// run runs a program of this host for as long as a build may take.
func run(program string, args ...string) (output string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), buildDeadline)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.WaitDelay = 10 * time.Second
	all, err := cmd.CombinedOutput()
	return string(all), err
}

// only returns the one file that a pattern matches.
func only(t *testing.T, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) != 1 {
		t.Fatalf("%s: %s, %v", pattern, strings.Join(found, " "), err)
	}
	return found[0]
}

// cloud builds the server that stands for a cloud.
func cloud(t *testing.T, path string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), buildDeadline)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "build", "-o", path, "../../providers/servers/cmd/cloud")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build of cmd/cloud: %v\n%s", err, out)
	}
}

package tempdir_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"farshore/agent/repo/tempdir"
)

const prefix = "farshore-test-"

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// age makes something an hour old, as far as its own time tells.
func age(t *testing.T, path string) {
	t.Helper()
	then := time.Now().Add(-time.Hour)
	must(t, os.Chtimes(path, then, then))
}

func names(t *testing.T, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// another is the variable that has a test binary make a folder in the directory that it names, and then wait to be killed.
const another = "FARSHORE_TEST_TEMPDIR"

func TestMain(m *testing.M) {
	if parent := os.Getenv(another); parent != "" {
		d, err := tempdir.New(parent, prefix)
		if err != nil {
			os.Exit(1)
		}
		_, _ = os.Stdout.WriteString(d.Path)
		_ = os.Stdout.Close()
		_, _ = os.Stdin.Read(make([]byte, 1))
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// process is another one that has a folder.
type process struct {
	path string
	kill func()
}

func start(t *testing.T, parent string) *process {
	t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), another+"="+parent)
	in, err := c.StdinPipe()
	must(t, err)
	out, err := c.StdoutPipe()
	must(t, err)
	must(t, c.Start())
	kill := func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	}
	t.Cleanup(func() {
		kill()
		_ = in.Close()
	})
	path := make([]byte, 4096)
	n, err := out.Read(path)
	must(t, err)
	return &process{string(path[:n]), kill}
}

// TestKilled leaves alone what a living process has, and removes what a killed one left.
func TestKilled(t *testing.T) {
	parent := t.TempDir()
	p := start(t, parent)
	must(t, os.MkdirAll(filepath.Join(p.path, "below"), 0o700))
	must(t, os.WriteFile(filepath.Join(p.path, "below/file"), []byte("x"), 0o400))
	age(t, p.path)
	sweep := func(want ...string) {
		t.Helper()
		d, err := tempdir.New(parent, prefix)
		must(t, err)
		info, err := os.Stat(d.Path)
		must(t, err)
		if info.Mode().Perm() != 0o700 || d.Left != nil {
			t.Errorf("mode %s, left %v", info.Mode(), d.Left)
		}
		must(t, d.Close())
		if got := names(t, parent); !slices.Equal(got, want) {
			t.Errorf("there are %q, want %q", got, want)
		}
	}
	sweep(filepath.Base(p.path))
	p.kill()
	sweep()
}

// TestLeftAlone removes nothing that may be somebody's.
func TestLeftAlone(t *testing.T) {
	parent := t.TempDir()
	folder := func(name string) string {
		path := filepath.Join(parent, name)
		must(t, os.Mkdir(path, 0o700))
		age(t, path)
		return path
	}
	folder(prefix + "1")
	must(t, os.Mkdir(filepath.Join(parent, prefix+"2"), 0o700)) // just made: it will be locked next
	must(t, os.WriteFile(filepath.Join(parent, prefix+"3"), nil, 0o600))
	age(t, filepath.Join(parent, prefix+"3"))
	must(t, os.Symlink(folder("elsewhere"), filepath.Join(parent, prefix+"4")))
	must(t, syscall.Mkfifo(filepath.Join(parent, prefix+"5"), 0o600))
	folder(prefix + "notes")
	folder("farshore-other-1")
	want := []string{prefix + "2", prefix + "3", prefix + "4", prefix + "5", prefix + "notes", "elsewhere", "farshore-other-1"}
	if os.Geteuid() == 0 {
		must(t, os.Chown(folder(prefix+"6"), 12345, 12345))
		want = append(want, prefix+"6")
	}
	d, err := tempdir.New(parent, prefix)
	must(t, err)
	must(t, d.Close())
	slices.Sort(want)
	if got := names(t, parent); !slices.Equal(got, want) {
		t.Errorf("there are %q\nwant      %q", got, want)
	}
}

// TestUnremovable makes a folder though what was left can't be removed, and says so.
func TestUnremovable(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root removes everything")
	}
	parent := t.TempDir()
	left := filepath.Join(parent, prefix+"1")
	must(t, os.MkdirAll(filepath.Join(left, "a/b"), 0o700))
	must(t, os.Chmod(filepath.Join(left, "a"), 0o500))
	t.Cleanup(func() { _ = os.Chmod(filepath.Join(left, "a"), 0o700) })
	age(t, left)
	d, err := tempdir.New(parent, prefix)
	must(t, err)
	if d.Left == nil {
		t.Error("nothing is said of what is left")
	}
	must(t, d.Close())
}

// TestParent says where no folder can be made, and makes one in the system's place.
func TestParent(t *testing.T) {
	if _, err := tempdir.New(filepath.Join(t.TempDir(), "none"), prefix); err == nil {
		t.Error("no error in a directory that is not there")
	}
	t.Setenv("TMPDIR", t.TempDir())
	d, err := tempdir.New("", prefix)
	must(t, err)
	if filepath.Dir(d.Path) != os.Getenv("TMPDIR") {
		t.Errorf("it is %s", d.Path)
	}
	must(t, d.Close())
}

// TestSweptMeanwhile makes folders and files while others take everything that nobody holds: each is its maker's, and stays.
func TestSweptMeanwhile(t *testing.T) {
	parent := t.TempDir()
	all := func(string, fs.FileInfo) bool { return true }
	var group errgroup.Group
	for _, create := range []func(parent, prefix string) (*os.File, error){tempdir.MakeFolder, tempdir.MakeFile} {
		group.Go(func() error {
			for range 200 {
				f, err := create(parent, prefix)
				if err != nil {
					return err
				}
				if _, err = os.Lstat(f.Name()); err == nil {
					err = os.Remove(f.Name())
				}
				if err != nil {
					return err
				}
				if err := f.Close(); err != nil {
					return err
				}
			}
			return nil
		})
		group.Go(func() error {
			for range 200 {
				if err := tempdir.Sweep(parent, prefix, all); err != nil {
					return err
				}
			}
			return nil
		})
	}
	must(t, group.Wait())
}

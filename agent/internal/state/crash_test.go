package state

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"farshore/agent/record"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// childDir tells the test binary to be the other process, in this directory.
const childDir = "FARSHORE_TEST_STATE_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		child(dir)
		return
	}
	os.Exit(m.Run())
}

// child opens the store, says so, and writes until it is killed.
func child(dir string) {
	s, err := Open(dir, Options{Vault: vaultID})
	if err != nil {
		fmt.Println("can't open:", err)
		os.Exit(1)
	}
	for i := 1; ; i++ {
		if err := errors.Join(s.AddPack(domainA, pack(i, i), false), s.SetHead(Head{domainA, int64(i), hash(i)})); err != nil {
			fmt.Println("can't write:", err)
			os.Exit(1)
		}
		if i%20 == 0 {
			fmt.Println(i)
		}
	}
}

// TestOtherProcess kills a process that has the store open and writes to it.
func TestOtherProcess(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	var noise bytes.Buffer
	cmd.Stderr = &noise
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "20\n" {
		t.Errorf("the other process says %q, %v", line, err)
	}
	_, err = Open(dir, Options{Vault: vaultID})
	if want := fmt.Sprintf("process %d", cmd.Process.Pid); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
	must(t, cmd.Process.Kill())
	if err := cmd.Wait(); err == nil {
		t.Error("the other process ended by itself")
	}
	if noise.Len() > 0 {
		t.Errorf("the other process printed %q", noise.String())
	}
	s := open(t, dir)
	h, found, err := s.Head(domainA)
	if err != nil || !found || h.Seq < 20 || h.Hash != hash(int(h.Seq)) {
		t.Fatalf("head %v, %v, %v", h, found, err)
	}
	for i := 1; i <= int(h.Seq); i++ {
		wantAt(t, s, domainA, i, at(i, 0, int64(i+1)))
	}
}

func TestLockedInOneProcess(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	_, err := Open(dir, Options{Vault: vaultID})
	if want := fmt.Sprintf("process %d", os.Getpid()); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v", err)
	}
	reopen(t, s)
}

// TestUnlockedBesideACopy closes a store while a copy of the lock's descriptor is open, as a child has one between its fork and its program: the lock is given up all the same.
func TestUnlockedBesideACopy(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	fd, err := unix.Dup(int(s.lock.Fd()))
	must(t, err)
	reopen(t, s)
	must(t, unix.Close(fd))
}

// TestLockedAndDamaged makes sure that a store in use is never set aside.
func TestLockedAndDamaged(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	must(t, os.WriteFile(filepath.Join(dir, damagedFile), []byte("?"), 0o600))
	if _, err := Open(dir, Options{Vault: vaultID}); !errors.Is(err, ErrLocked) {
		t.Errorf("got %v", err)
	}
	must(t, os.Remove(filepath.Join(dir, damagedFile)))
	must(t, s.AddPack(domainA, pack(1, 1), true))
	wantAt(t, s, domainA, 1, at(1, 0, 2))
}

func TestHolder(t *testing.T) {
	for text, want := range map[string]string{"12\n": "process 12", "": "another process", "x": "another process", "-3\n": "another process"} {
		f, err := os.Create(filepath.Join(t.TempDir(), "lock"))
		must(t, err)
		_, err = f.WriteString(text)
		must(t, err)
		if got := holder(f); got != want {
			t.Errorf("%q: %s", text, got)
		}
		must(t, f.Close())
	}
}

// TestCopyWhileOpen opens what a copy of the running store's directory has.
func TestCopyWhileOpen(t *testing.T) {
	s := open(t, t.TempDir())
	for i := range 100 {
		must(t, s.AddPack(domainA, pack(i, i), i%2 == 0))
	}
	must(t, s.SetHead(Head{domainA, 9, hash(9)}))
	dir := t.TempDir()
	must(t, os.CopyFS(dir, os.DirFS(s.dir)))
	c := open(t, dir)
	for i := range 100 {
		wantAt(t, c, domainA, i, at(i, 0, int64(i+1)))
	}
	if got := uncommitted(t, c, domainA); len(got) != 50 {
		t.Errorf("%d uncommitted packs", len(got))
	}
}

// TestPowerCut cuts the power at random moments: what is left is a prefix of what was written, with all that was promised to be durable.
func TestPowerCut(t *testing.T) {
	for seed := range uint64(8) {
		rng := rand.New(rand.NewPCG(seed, 1))
		mem := vfs.NewCrashableMem()
		dir := t.TempDir()
		s, err := Open(dir, Options{Vault: vaultID, fs: mem})
		must(t, err)
		written, durable := rng.IntN(200), 0
		for i := range written {
			p := pack(i, i, i+1000)
			if rng.IntN(30) == 0 {
				p = numbered(10000*(i+1), 1000)
			}
			must(t, s.AddPack(domainA, p, false))
			switch rng.IntN(40) {
			case 0:
				must(t, s.SetHead(Head{domainA, int64(i + 1), hash(i)}))
				durable = i + 1
			case 1:
				must(t, s.db.Flush())
			}
		}
		left := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
		must(t, s.Close())
		s, err = Open(dir, Options{Vault: vaultID, fs: left})
		must(t, err)
		checkPrefix(t, s, written, durable)
		must(t, s.Close())
	}
}

// checkPrefix checks that the packs left are the first n added, n at least durable, and that the next one is not taken for one of them.
func checkPrefix(t *testing.T, s *Store, written, durable int) {
	t.Helper()
	packs := uncommitted(t, s, domainA)
	if len(packs) < durable || len(packs) > written {
		t.Errorf("%d packs left of %d, of which %d were durable", len(packs), written, durable)
	}
	for i, p := range packs {
		if p.Name != hash(i) && p.Name != hash(10000*(i+1)) {
			t.Fatalf("pack %d is not the one that was added then", i)
		}
		loc, found, err := s.Lookup(domainA, p.Chunks[0].Name)
		if err != nil || !found || loc.Pack.Name != p.Name || loc.Offset != 0 || loc.Length != p.Chunks[0].Length {
			t.Fatalf("pack %d: its first chunk is at %v, %v, %v", i, loc, found, err)
		}
	}
	if len(packs) < written {
		wantAbsent(t, s, domainA, len(packs))
		wantAbsent(t, s, domainA, 10000*(len(packs)+1))
	}
	h, found, err := s.Head(domainA)
	if err != nil || found != (durable > 0) || h.Seq != int64(durable) {
		t.Errorf("head %v, %v, %v; want %d", h, found, err, durable)
	}
	must(t, s.AddPack(domainA, pack(-1, 77777), true))
	wantAt(t, s, domainA, 77777, at(-1, 0, 77778))
}

// TestDurable cuts the power right after a call that promises to be durable, with nothing left that was not synced.
func TestDurable(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(s *Store) error
		done func(s *Store) (bool, error)
	}{
		"Forget": {
			func(s *Store) error { return s.Forget(domainA, hash(1)) },
			func(s *Store) (bool, error) { _, found, err := s.Lookup(domainA, chunkName(1)); return !found, err },
		},
		"Reset": {
			func(s *Store) error { return s.Reset(domainA) },
			func(s *Store) (bool, error) { _, found, err := s.Lookup(domainA, chunkName(1)); return !found, err },
		},
		"Commit": {
			func(s *Store) error { return s.Commit(domainA, []record.Hash{hash(1)}) },
			func(s *Store) (bool, error) { p, err := s.Uncommitted(domainA); return len(p) == 0, err },
		},
		"SetHead": {
			func(s *Store) error { return s.SetHead(Head{domainB, 2, hash(2)}) },
			func(s *Store) (bool, error) { _, found, err := s.Head(domainB); return found, err },
		},
		"SetIntent": {
			func(s *Store) error { return s.SetIntent(Head{domainB, 2, hash(2)}) },
			func(s *Store) (bool, error) { _, found, err := s.Intent(domainB); return found, err },
		},
		"SetChain": {
			func(s *Store) error { return s.SetChain("new", domainB) },
			func(s *Store) (bool, error) { _, found, err := s.Chain("new"); return found, err },
		},
		"ClearChain": {
			func(s *Store) error { return s.ClearChain("old") },
			func(s *Store) (bool, error) { _, found, err := s.Chain("old"); return !found, err },
		},
	} {
		mem, dir := vfs.NewCrashableMem(), t.TempDir()
		s, err := Open(dir, Options{Vault: vaultID, fs: mem})
		must(t, err)
		must(t, s.AddPack(domainA, pack(1, 1), false))
		must(t, s.SetChain("old", domainA)) // makes the pack durable too
		must(t, c.do(s))
		left := mem.CrashClone(vfs.CrashCloneCfg{})
		must(t, s.Close())
		s, err = Open(dir, Options{Vault: vaultID, fs: left})
		must(t, err)
		if done, err := c.done(s); err != nil || !done {
			t.Errorf("%s was lost: %v", name, err)
		}
		must(t, s.Close())
	}
}

// TestWriteFails makes every write to the index fail from some moment on: the store says so, and closes.
func TestWriteFails(t *testing.T) {
	dir := t.TempDir()
	var broken errorfs.Toggle
	broken.Injector = errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			return unix.ENOSPC
		}
		return nil
	})
	s, err := Open(dir, Options{Vault: vaultID, fs: errorfs.Wrap(vfs.Default, &broken)})
	must(t, err)
	must(t, s.SetHead(Head{domainA, 1, hash(1)}))
	broken.On()
	if err := s.SetHead(Head{domainA, 2, hash(2)}); err == nil {
		t.Error("a head was stored on a broken disk")
	}
	if err := s.SetHead(Head{domainA, 3, hash(3)}); !errors.Is(err, ErrDamaged) {
		t.Errorf("afterwards: %v", err)
	}
	if err := s.Close(); err == nil {
		t.Error("closed on a broken disk")
	}
}

// TestOpenRefused makes opening fail for reasons that are not the index's: it must survive.
func TestOpenRefused(t *testing.T) {
	for _, reason := range []error{unix.ENOSPC, unix.EACCES, unix.EMFILE, unix.EROFS} {
		dir := t.TempDir()
		s := open(t, dir)
		must(t, s.SetHead(Head{domainA, 1, hash(1)}))
		must(t, s.Close())
		fs := errorfs.Wrap(vfs.Default, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind == errorfs.OpOpen || op.Kind == errorfs.OpCreate {
				return &os.PathError{Op: "open", Path: op.Path, Err: reason}
			}
			return nil
		}))
		_, err := Open(dir, Options{Vault: vaultID, fs: fs, OnReset: func(reason string) { t.Errorf("reset: %s", reason) }})
		if !errors.Is(err, reason) {
			t.Errorf("%v: got %v", reason, err)
		}
		s = open(t, dir)
		if _, found, err := s.Head(domainA); err != nil || !found {
			t.Errorf("%v: head: %v, %v", reason, found, err)
		}
	}
}

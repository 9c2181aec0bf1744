package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"farshore/agent/record"
)

const seenVault = "0f2e4c1b5a697887f0e1d2c3b4a596870f2e4c1b5a697887f0e1d2c3b4a59687"

func seenChain(i int) string { return fmt.Sprintf("%032x", i) }

func markOf(seq int64) seenMark {
	return seenMark{Seq: seq, Hash: record.Hash(sha256.Sum256(fmt.Append(nil, seq)))}
}

// never is told of damage that must not be.
func never(t *testing.T) func(error, string) {
	return func(why error, kept string) { t.Errorf("damaged: %v, %s", why, kept) }
}

// TestSeenRaise raises marks from many sides at the same time: none is lost, and none is lowered.
func TestSeenRaise(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for _, seq := range []int64{3, int64(i) + 1, 2} {
				marks := map[string]seenMark{seenChain(i): markOf(seq), seenChain(99): markOf(seq)}
				err := raiseSeen(context.Background(), dir, seenVault, marks, never(t))
				for errors.Is(err, context.DeadlineExceeded) { // a slow disk's
					err = raiseSeen(context.Background(), dir, seenVault, marks, never(t))
				}
				if err != nil {
					t.Error(err)
				}
			}
		}()
	}
	wg.Wait()
	m, err := readSeen(dir)
	if err != nil {
		t.Fatal(err)
	}
	got := m.Vaults[seenVault]
	if len(got) != 17 || got[seenChain(99)] != markOf(16) || m.only() != seenVault || len(m.of(seenVault)) != 17 {
		t.Errorf("%+v", got)
	}
	for i := range 16 {
		if got[seenChain(i)] != markOf(max(3, int64(i)+1)) {
			t.Errorf("chain %d: %+v", i, got[seenChain(i)])
		}
	}
	if info, err := os.Stat(filepath.Join(dir, seenFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*.new")); len(left) > 0 {
		t.Error(left)
	}
}

// TestSeenNotReplaced holds that another commit of the same number never takes a mark's place, and that a source's name is kept.
func TestSeenNotReplaced(t *testing.T) {
	m := newSeenMarks()
	first := markOf(5)
	first.Source = "shop"
	other := seenMark{Seq: 5, Hash: markOf(6).Hash}
	for _, k := range []seenMark{first, other, markOf(4)} {
		if _, err := m.raise(seenVault, map[string]seenMark{seenChain(1): k}); err != nil {
			t.Error(err)
		}
	}
	if got := m.Vaults[seenVault][seenChain(1)]; got != first {
		t.Errorf("%+v", got)
	}
	m.raise(seenVault, map[string]seenMark{seenChain(1): markOf(6)})
	if got := m.Vaults[seenVault][seenChain(1)]; got.Seq != 6 || got.Source != "shop" {
		t.Errorf("%+v", got)
	}
	many := map[string]seenMark{}
	for i := range maxSeenMarks {
		many[seenChain(i+2)] = markOf(1)
	}
	if _, err := m.raise(seenVault, many); err == nil || len(m.Vaults[seenVault]) != maxSeenMarks {
		t.Errorf("%d marks, %v", len(m.Vaults[seenVault]), err)
	}
}

// TestSeenGarbage holds every other file to be called damaged, or newer, and to be kept.
func TestSeenGarbage(t *testing.T) {
	good := `{"farshore":"seen","version":1,"vaults":{"` + seenVault + `":{"` + seenChain(1) + `":{"seq":1,"hash":"` + markOf(1).Hash.String() + `"}}}}`
	if _, err := parseSeen([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{
		"", "{", "[]", "null", good + "x", strings.Replace(good, "seen", "unseen", 1), strings.Replace(good, `"version":1`, `"version":0`, 1),
		strings.Replace(good, seenVault, "short", 1), strings.Replace(good, seenChain(1), "../../x", 1), strings.Replace(good, `"seq":1`, `"seq":0`, 1),
		strings.Replace(good, `"seq":1`, `"seq":-1`, 1), strings.Replace(good, `"hash":"`, `"hash":"0`, 1), `{"farshore":"seen","version":1}`, good + strings.Repeat(" ", maxSeenFile),
	} {
		if _, err := parseSeen([]byte(bad)); !errors.Is(err, errSeenDamaged) {
			t.Errorf("%.100q: %v", bad, err)
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, seenFile), []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		told := ""
		err := raiseSeen(t.Context(), dir, seenVault, map[string]seenMark{seenChain(1): markOf(2)}, func(_ error, kept string) { told = kept })
		if kept, rerr := os.ReadFile(told); err != nil || rerr != nil || string(kept) != bad {
			t.Errorf("%.100q: %v, %v", bad, err, rerr)
		}
		if m, err := readSeen(dir); err != nil || m.Vaults[seenVault][seenChain(1)] != markOf(2) {
			t.Errorf("%.100q: %v", bad, err)
		}
	}
	if _, err := parseSeen([]byte(strings.Replace(good, `"version":1`, `"version":2`, 1))); !errors.Is(err, errSeenNewer) {
		t.Error(err)
	}
}

// TestSeenElsewhere holds that a link does not lead the file or its lock elsewhere, and that nobody waits for ever.
func TestSeenElsewhere(t *testing.T) {
	for _, name := range []string{seenFile, seenLock} {
		dir, target := t.TempDir(), filepath.Join(t.TempDir(), "target")
		if err := os.WriteFile(target, []byte("precious"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		if err := raiseSeen(t.Context(), dir, seenVault, map[string]seenMark{seenChain(1): markOf(2)}, never(t)); err == nil {
			t.Errorf("%s: a link was followed", name)
		}
		if b, err := os.ReadFile(target); string(b) != "precious" {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, seenLock))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := raiseSeen(ctx, dir, seenVault, map[string]seenMark{seenChain(1): markOf(2)}, never(t)); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// FuzzSeen holds that no file makes the reader panic, and that what it takes it would write.
func FuzzSeen(f *testing.F) {
	f.Add([]byte(`{"farshore":"seen","version":1,"vaults":{}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parseSeen(data)
		if err == nil && m.check() != nil {
			t.Error("it took marks that it does not write")
		}
	})
}

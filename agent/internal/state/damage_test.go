package state

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// filled makes a directory with tables on the lowest level, a log, and a head.
func filled(t *testing.T) string {
	t.Helper()
	s := open(t, t.TempDir())
	for i := 0; i < filledChunks; i += 500 {
		must(t, s.AddPack(domainA, numbered(i, 500), false))
		if i == filledChunks/2 {
			must(t, s.db.Flush())
		}
	}
	must(t, s.SetHead(Head{domainA, 5, hash(5)}))
	must(t, s.Close())
	return s.dir
}

const filledChunks = 2000

// TestDamage damages each file of the index in several ways. The store opens, set aside or not; what it says is right or an error; and
// after an error it is set aside.
func TestDamage(t *testing.T) {
	good := filled(t)
	files, err := os.ReadDir(filepath.Join(good, dbDir))
	must(t, err)
	resets := 0
	for _, file := range files {
		for name, damage := range damages {
			dir := t.TempDir()
			must(t, os.CopyFS(dir, os.DirFS(good)))
			must(t, damage(filepath.Join(dir, dbDir, file.Name())))
			n, found := openDamaged(t, dir)
			if n > 1 {
				t.Errorf("%s, %s: reset %d times", file.Name(), name, n)
			}
			// The end of the log looks the same whether it was damaged or never written.
			if n == 0 && !found && filepath.Ext(file.Name()) != ".log" {
				t.Errorf("%s, %s: the head is lost and nobody is told", file.Name(), name)
			}
			resets += n
		}
	}
	if resets < len(damages) {
		t.Errorf("only %d resets", resets)
	}
}

var damages = map[string]func(file string) error{
	"removed":   os.Remove,
	"empty":     func(file string) error { return os.Truncate(file, 0) },
	"cut short": func(file string) error { return rewrite(file, func(b []byte) []byte { return b[:len(b)*2/3] }) },
	"flipped":   func(file string) error { return rewrite(file, flip) },
	"zeroed": func(file string) error {
		return rewrite(file, func(b []byte) []byte { clear(b[len(b)/3:]); return b })
	},
}

// flip changes a bit in each 500 bytes.
func flip(b []byte) []byte {
	for i := len(b) / 3; i < len(b); i += 500 {
		b[i] ^= 0x10
	}
	return b
}

func rewrite(file string, f func([]byte) []byte) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return os.WriteFile(file, f(b), 0o600)
}

// openDamaged opens the store until it works, and returns how often it was reset, and whether it has its head.
func openDamaged(t *testing.T, dir string) (resets int, found bool) {
	t.Helper()
	for {
		s, err := Open(dir, Options{Vault: vaultID, OnReset: func(string) { resets++ }})
		if err != nil {
			t.Fatal(err)
		}
		found, err = readAll(t, s)
		if errors.Is(err, ErrDamaged) && resets == 0 {
			_ = s.Close()
			continue
		}
		must(t, err)
		must(t, s.AddPack(domainA, pack(-1, filledChunks), true))
		wantAt(t, s, domainA, filledChunks, at(-1, 0, filledChunks+1))
		must(t, s.Close())
		return resets, found
	}
}

// readAll looks chunks of every pack up, and fails the test where a place is wrong.
func readAll(t *testing.T, s *Store) (head bool, err error) {
	t.Helper()
	for i := 0; i < filledChunks; i += 97 {
		loc, found, err := s.Lookup(domainA, chunkName(i))
		if err != nil {
			return false, err
		}
		if want := at(i/500*500, int64(i%500*100), 100); found && loc != want {
			t.Errorf("chunk %d: %v, want %v", i, loc, want)
		}
	}
	if _, err := s.Uncommitted(domainA); err != nil {
		return false, err
	}
	h, found, err := s.Head(domainA)
	if found && (h.Seq != 5 || h.Hash != hash(5)) {
		t.Errorf("head %v", h)
	}
	return found, err
}

// TestSetAside checks what a reset says and leaves.
func TestSetAside(t *testing.T) {
	for name, c := range map[string]struct {
		damage func(dir string) error
		says   string
	}{
		"no note of the vault":  {func(dir string) error { return os.Remove(filepath.Join(dir, vaultFile)) }, "does not say which vault"},
		"bad note of the vault": {func(dir string) error { return os.WriteFile(filepath.Join(dir, vaultFile), []byte("?"), 0o600) }, "can't be read"},
		"found damaged":         {func(dir string) error { return os.WriteFile(filepath.Join(dir, damagedFile), []byte("why\n"), 0o600) }, "found damaged: why)"},
		"no index":              {func(dir string) error { return os.RemoveAll(filepath.Join(dir, dbDir)) }, "does not exist"},
	} {
		dir := filled(t)
		must(t, c.damage(dir))
		var said []string
		s, err := Open(dir, Options{Vault: vaultID, OnReset: func(reason string) { said = append(said, reason) }})
		must(t, err)
		if len(said) != 1 || !strings.Contains(said[0], c.says) || !strings.Contains(said[0], dir) {
			t.Errorf("%s: said %q", name, said)
		}
		if _, found, err := s.Head(domainA); err != nil || found {
			t.Errorf("%s: head %v, %v", name, found, err)
		}
		if _, err := os.Stat(filepath.Join(dir, damagedDir)); err != nil && name != "no index" {
			t.Errorf("%s: %v", name, err)
		}
		must(t, s.Close())
		open(t, dir) // all is well now
	}
}

// TestBadEntries makes entries malformed that no checksum guards against, since they were written so.
func TestBadEntries(t *testing.T) {
	id, err := parseChain(domainA)
	must(t, err)
	one, name := chunkName(1), hash(1)
	for what, c := range map[string]struct {
		key   []byte
		value string
		read  func(s *Store) error
	}{
		"chunk":  {key(nil, kindChunk, id, one[:]), "abc", func(s *Store) error { _, _, err := s.Lookup(domainA, one); return err }},
		"number": {numberKey(kindNumber, id, 0), "abc", func(s *Store) error { _, _, err := s.Lookup(domainA, one); return err }},
		"pack":   {key(nil, kindPack, id, name[:]), "abcde", func(s *Store) error { return s.Forget(domainA, name) }},
		"open":   {numberKey(kindOpen, id, 0), "abc", func(s *Store) error { _, err := s.Uncommitted(domainA); return err }},
		"next":   {key(nil, kindNext, id, nil), "abc", func(s *Store) error { return s.AddPack(domainA, pack(2, 2), true) }},
		"head":   {key(nil, kindHead, id, nil), "abc", func(s *Store) error { _, _, err := s.Head(domainA); return err }},
		"source": {sourceKey("x"), "abc", func(s *Store) error { _, _, err := s.Chain("x"); return err }},
	} {
		s, err := Open(t.TempDir(), Options{Vault: vaultID})
		must(t, err)
		must(t, s.AddPack(domainA, pack(1, 1), false))
		must(t, s.db.Set(c.key, []byte(c.value), nil))
		if err := c.read(s); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", what, err)
		}
		must(t, s.Close())
		resets := 0
		s, err = Open(s.dir, Options{Vault: vaultID, OnReset: func(string) { resets++ }})
		must(t, err)
		if resets != 1 {
			t.Errorf("%s: reset %d times", what, resets)
		}
		must(t, s.Close())
	}
}

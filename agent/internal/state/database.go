package state

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"farshore/agent/record"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"golang.org/x/sys/unix"
)

// Files in the state directory, beside lock and meta.
const (
	vaultFile   = "vault"      // the id of the vault that the directory belongs to
	dbDir       = "db"         // the index
	damagedDir  = "db.damaged" // the last index that was set aside
	damagedFile = "damaged"    // there when the index was found damaged while it was open: why
)

// inspect looks at the directory before its index is opened, and changes nothing. isNew says that there is no index yet, reason why the one
// that is there must be set aside. It fails with ErrOtherVault where the directory is another vault's.
func inspect(dir string, vault record.Hash) (isNew bool, reason string, err error) {
	text, err := os.ReadFile(filepath.Join(dir, vaultFile))
	if errors.Is(err, os.ErrNotExist) {
		if _, err := os.Stat(filepath.Join(dir, dbDir)); err == nil {
			return false, "it does not say which vault it belongs to", nil
		}
		return true, "", nil
	}
	if err != nil {
		return false, "", err
	}
	id, err := record.ParseHash(strings.TrimSuffix(string(text), "\n"))
	if err != nil {
		return false, "its note of the vault it belongs to can't be read", nil
	}
	if id != vault {
		return false, "", fmt.Errorf("%w, %s, not to %s: give each vault a state directory of its own", ErrOtherVault, id, vault)
	}
	text, err = os.ReadFile(filepath.Join(dir, damagedFile))
	if errors.Is(err, os.ErrNotExist) {
		return false, "", nil
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return false, "it was found damaged: " + line, err
}

// begin makes an empty index, and then notes whose it is: where that note stands, an index that is missing was lost.
func (s *Store) begin(o Options) error {
	db, err := openDB(s.dir, o, &s.failure, false)
	if err != nil {
		return err
	}
	s.db = db
	if err := writeID(filepath.Join(s.dir, vaultFile), o.Vault); err != nil {
		return errors.Join(err, db.Close())
	}
	return nil
}

// reset sets the index aside, tells OnReset, and begins an empty one. When it is interrupted, the next Open does it again, so that OnReset
// is told at least once.
func (s *Store) reset(o Options, reason string) error {
	aside := filepath.Join(s.dir, damagedDir)
	if _, err := os.Stat(filepath.Join(s.dir, dbDir)); err == nil {
		err := os.RemoveAll(aside)
		if err == nil {
			err = os.Rename(filepath.Join(s.dir, dbDir), aside)
		}
		if err != nil {
			return err
		}
	}
	if err := os.Remove(s.failure.file); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	s.failure.reason.Store(nil)
	if o.OnReset != nil {
		o.OnReset(fmt.Sprintf("local state %s was damaged (%s) and starts empty: its index is rebuilt from the vault, its memory of the last "+
			"commits is lost; what there was is kept in %s", s.dir, reason, aside))
	}
	return s.begin(o)
}

// writeID writes the vault's id durably.
func writeID(file string, vault record.Hash) error {
	if err := writeSynced(file+".new", fmt.Appendf(nil, "%s\n", vault)); err != nil {
		return err
	}
	if err := os.Rename(file+".new", file); err != nil {
		return err
	}
	return syncDir(filepath.Dir(file))
}

func writeSynced(file string, text []byte) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// isDamage reports whether a failed opening of the index is the index's fault. What the machine refuses (room, permission, descriptors,
// memory) is not: an empty index would meet the same, and a good one would be lost.
func isDamage(err error) bool {
	for _, machine := range []error{unix.ENOSPC, unix.EDQUOT, unix.EACCES, unix.EPERM, unix.EROFS, unix.EMFILE, unix.ENFILE, unix.ENOMEM} {
		if errors.Is(err, machine) {
			return false
		}
	}
	return true
}

// openDB opens the index, or creates it unless it must exist. Its failures in the background go to f.
func openDB(dir string, o Options, f *failure, mustExist bool) (*pebble.DB, error) {
	path := filepath.Join(dir, dbDir)
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	p := dbOptions(o, f)
	p.ErrorIfNotExists = mustExist
	db, err := pebble.Open(path, p)
	if err != nil {
		return nil, err
	}
	if reason := f.get(); reason != "" {
		return nil, errors.Join(errors.New(reason), db.Close())
	}
	return db, nil
}

const (
	memTableSize = 8 << 20 // bytes; the entries of the largest pack fit
	memTables    = 2       // one that is written to, one that is flushed
)

// dbOptions bounds the index's memory, whatever its size: 16 MiB of blocks, two memtables of 8 MiB, a few KiB for each of at most 512 open
// files, and what a batch and a compaction take while they run.
func dbOptions(o Options, f *failure) *pebble.Options {
	cache := o.BlockCache
	if cache == 0 {
		cache = DefaultBlockCache
	}
	p := &pebble.Options{
		// The library takes the memtables out of the cache; without their share it would cache nothing while both are in use.
		CacheSize:                   cache + memTables*memTableSize,
		MemTableSize:                memTableSize,
		MemTableStopWritesThreshold: memTables,
		MaxOpenFiles:                512,
		MaxManifestFileSize:         4 << 20,
		CompactionConcurrencyRange:  func() (int, int) { return 1, 1 },
		// Written down, so that a newer library does not silently raise what an older agent can't open.
		FormatMajorVersion: pebble.FormatTableFormatV6,
		FS:                 o.fs,
		Logger:             quiet{f},
		EventListener: &pebble.EventListener{
			DataCorruption: func(i pebble.DataCorruptionInfo) { f.note(i.String()) },
			// Unset, it would be logged as well; a failure that lasts shows in the next durable write.
			BackgroundError: func(error) {},
		},
	}
	// Names are random and most of the rest is small numbers: there is nothing to compress.
	p.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionNone })
	for i := range p.Levels {
		p.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		// A filter is one block a file, and is read as a whole: small files keep it (about 90 KB) cacheable.
		p.TargetFileSizes[i] = 4 << 20
	}
	return p
}

// quiet is a logger that says nothing. The index calls Fatalf for failures after which it can't go on, and expects not to return; a library must
// not end the process, so the failure is noted, and every later use of the store returns it.
type quiet struct{ f *failure }

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (q quiet) Fatalf(format string, args ...any) {
	q.f.note(fmt.Sprintf(format, args...))
}

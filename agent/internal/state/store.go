// Package state is the agent's local cache and its lock: where the chunks of a vault are, which commits this agent wrote last, and
// copies of stored pages.
//
// It must never be needed for correctness. Losing it costs time and some duplicates in the vault, never data; what is read from it is
// either verified (pages, against their names) or harmless when stale (a chunk's place is that of a pack which was stored before it was
// recorded; a head is compared with the vault). It sees no keys and no contents, and it never talks to a vault.
package state

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"farshore/agent/record"
	"farshore/agent/sidefile"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

var (
	// ErrLocked says that another process, or another Store of this one, has the directory open. The message names the process.
	ErrLocked = errors.New("in use")
	// ErrOtherVault says that the directory holds the state of another vault.
	ErrOtherVault = errors.New("belongs to another vault")
	// ErrClosed is returned by every method after Close.
	ErrClosed = errors.New("local state: closed")
	// ErrDamaged says that the store can't be relied on any more. The next Open sets it aside and begins an empty one.
	ErrDamaged = errors.New("damaged")
	// ErrFull says that the file system has too little room left for the store to be written safely.
	ErrFull = errors.New("no room left")
)

const (
	// DefaultMetaCache bounds the cached pages where Options.MetaCache is 0. What a pass needs again and finds here is not downloaded.
	DefaultMetaCache = 2 << 30
	// DefaultBlockCache is the block cache where Options.BlockCache is 0. The bloom filters of ten million chunks fit into it;
	// beyond that the operating system's page cache serves.
	DefaultBlockCache = 16 << 20
)

// Options says how Open behaves.
type Options struct {
	// Vault is the vault's id. A directory belongs to one vault.
	Vault record.Hash
	// MetaCache is the most bytes that cached pages may take on disk; 0 means DefaultMetaCache, below 0 means no cache.
	MetaCache int64
	// BlockCache is the bytes of memory for blocks of the index; 0 means DefaultBlockCache.
	BlockCache int64
	// OnReset is called by Open, at most once, when a damaged store was set aside and before an empty one is begun: the index will be
	// rebuilt from chunk tables, and the heads and intents of chains are lost. May be nil.
	OnReset func(reason string)

	fs       vfs.FS                          // of the index, nil for the disk's: tests cut its power
	freeRoom func(dir string) (int64, error) // nil for the file system's answer
}

// Store is the open local state. All methods may be called concurrently.
type Store struct {
	dir      string
	lock     *os.File
	pages    pageCache
	failure  failure
	freeRoom func(dir string) (int64, error)

	// life is held for reading by every use of db, so that Close waits for them.
	life sync.RWMutex
	db   *pebble.DB // nil once closed

	// write makes changes of the index one at a time: each reads what it is about to change.
	write sync.Mutex
}

// Open locks the directory, which is created with mode 0700 if need be, and opens the state of a vault in it. It fails with ErrLocked
// when someone else has it open, with ErrOtherVault when it belongs to another vault. A damaged store is set aside (in db.damaged,
// which replaces an earlier one) and an empty one begun, which OnReset is told; a failure that is the machine's (no room,
// no permission) is returned instead.
func Open(dir string, o Options) (*Store, error) {
	if o.Vault.IsZero() {
		return nil, errors.New("local state: no vault id given")
	}
	s := &Store{dir: dir, freeRoom: freeRoom}
	if o.freeRoom != nil {
		s.freeRoom = o.freeRoom
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, s.fail("create", err)
	}
	if err := sidefile.CheckOwner(dir); err != nil {
		return nil, s.fail("open", err)
	}
	// On a full disk the index would try for ever to write what it begins with.
	if err := s.checkRoom(); err != nil {
		return nil, s.fail("open", err)
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, s.fail("lock", err)
	}
	s.lock = lock
	if err := s.open(o); err != nil {
		return nil, errors.Join(s.fail("open", err), unlock(lock))
	}
	return s, nil
}

// open does what follows the lock.
func (s *Store) open(o Options) error {
	s.failure.file = filepath.Join(s.dir, damagedFile)
	isNew, reason, err := inspect(s.dir, o.Vault)
	switch {
	case err != nil:
	case isNew:
		err = s.begin(o)
	case reason == "":
		if s.db, err = openDB(s.dir, o, &s.failure, true); err != nil && isDamage(err) {
			reason, err = err.Error(), nil
		}
	}
	if err == nil && reason != "" {
		err = s.reset(o, reason)
	}
	if err != nil {
		return err
	}
	limit := o.MetaCache
	if limit == 0 {
		limit = DefaultMetaCache
	}
	if err := s.pages.open(filepath.Join(s.dir, "meta"), limit); err != nil {
		return errors.Join(err, s.db.Close())
	}
	return nil
}

// Close waits for running calls, makes what was written durable, closes the store and gives up the lock.
func (s *Store) Close() error {
	s.life.Lock()
	defer s.life.Unlock()
	if s.db == nil {
		return ErrClosed
	}
	err := s.db.Close()
	s.db = nil
	if err := errors.Join(err, unlock(s.lock)); err != nil {
		return s.fail("close", err)
	}
	return nil
}

// Broken returns ErrDamaged where the index was found damaged since it was opened, so that every further use fails; nil where it was not.
func (s *Store) Broken() error {
	if reason := s.failure.get(); reason != "" {
		return s.fail("use", broken(reason))
	}
	return nil
}

func broken(reason string) error {
	return fmt.Errorf("%w (%s): the next run that begins while none is under way begins an empty one", ErrDamaged, reason)
}

// use runs f on the open index. A failure that shows damage is remembered on disk, so that the next Open begins anew.
func (s *Store) use(op string, f func(db *pebble.DB) error) error {
	s.life.RLock()
	defer s.life.RUnlock()
	if s.db == nil {
		return ErrClosed
	}
	err := f(s.db)
	if err != nil && (pebble.IsCorruptionError(err) || errors.Is(err, ErrDamaged)) {
		s.failure.note(err.Error())
	}
	// A fatal failure shows even where f got no error: the index can't return it from there.
	if reason := s.failure.get(); reason != "" {
		return s.fail(op, broken(reason))
	}
	if err != nil {
		return s.fail(op, err)
	}
	return nil
}

// update runs f on a new batch, alone, and applies it if f succeeds. Batches reach the log in order, and what survives a power cut is a
// prefix of them: a durable one (pebble.Sync) makes all earlier ones durable too.
func (s *Store) update(op string, durable *pebble.WriteOptions, f func(db *pebble.DB, b *pebble.Batch) error) error {
	s.write.Lock()
	defer s.write.Unlock()
	return s.use(op, func(db *pebble.DB) error {
		if err := s.checkRoom(); err != nil {
			return err
		}
		b := db.NewBatch()
		if err := f(db, b); err != nil {
			return errors.Join(err, b.Close())
		}
		return errors.Join(b.Commit(durable), b.Close())
	})
}

// fail names the directory and what was tried.
func (s *Store) fail(op string, err error) error {
	return fmt.Errorf("local state in %s: %s: %w", s.dir, op, err)
}

// failure remembers the first failure after which the index is not to be relied on, in memory and in a file.
type failure struct {
	file   string
	reason atomic.Pointer[string]
}

// note records the reason, unless there is one already. It can't report that the file was not written: the agent then meets the
// damage again.
func (f *failure) note(reason string) {
	if f.reason.CompareAndSwap(nil, &reason) {
		_ = os.WriteFile(f.file, []byte(reason+"\n"), 0o600)
	}
}

func (f *failure) get() string {
	if p := f.reason.Load(); p != nil {
		return *p
	}
	return ""
}

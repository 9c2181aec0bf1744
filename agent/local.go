package agent

import (
	"errors"
	"fmt"
	"sync"

	"farshore/agent/internal/state"
	"farshore/agent/record"
)

// Local is a directory of local state that the Sessions of one process share. It is open while one of them is, so that between them other commands of the same agent can
// work. It may be used concurrently.
type Local struct {
	dir     string
	onReset func(reason string)

	mu    sync.Mutex // held while the state is opened or closed, never while a store is waited for
	store *state.Store
	vault record.Hash     // whose state is open
	users int             // Sessions that are open
	busy  map[string]bool // sources that a Session writes for
}

// ErrBusy says that another Session of the same Local writes for the source.
var ErrBusy = errors.New("another pass over it is under way")

// NewLocal returns the local state in a directory, which is made when the first Session needs it. onReset is told when it was damaged and begun anew; it may be nil, and is
// not called concurrently.
func NewLocal(dir string, onReset func(reason string)) *Local {
	return &Local{dir: dir, onReset: onReset, busy: map[string]bool{}}
}

// Dir is the directory.
func (l *Local) Dir() string { return l.dir }

// open opens the state for one more Session of the vault. Each open that succeeds is ended by one close.
func (l *Local) open(vault record.Hash) (*state.Store, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.users > 0 {
		if l.vault != vault {
			return nil, fmt.Errorf("local state in %s: %w, %s, of which passes are under way, not to %s: give each vault a state directory of its own", l.dir, state.ErrOtherVault, l.vault, vault)
		}
		if err := l.store.Broken(); err != nil {
			return nil, err
		}
		l.users++
		return l.store, nil
	}
	store, err := state.Open(l.dir, state.Options{Vault: vault, OnReset: l.onReset})
	if errors.Is(err, state.ErrLocked) {
		return nil, fmt.Errorf("%w: %w", ErrLocked, err)
	}
	if err != nil {
		return nil, err
	}
	l.store, l.vault, l.users = store, vault, 1
	return store, nil
}

// close ends one open; the last one closes the state.
func (l *Local) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.users--; l.users > 0 {
		return nil
	}
	store := l.store
	l.store = nil
	return store.Close()
}

// claim keeps a source for one writer until release: two would write into one chain, and each adopt what the other is storing.
func (l *Local) claim(name string) (release func(), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.busy[name] {
		return nil, fmt.Errorf("source %s: %w: wait for its end", name, ErrBusy)
	}
	l.busy[name] = true
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.busy, name)
	}, nil
}

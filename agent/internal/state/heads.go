package state

import (
	"fmt"

	"farshore/agent/record"

	"github.com/cockroachdb/pebble/v2"
)

// Head names a commit of a chain by its number and the hash of its stored bytes.
type Head struct {
	Chain string
	Seq   int64
	Hash  record.Hash
}

// Head returns the last commit that this agent knows to be in the vault, as SetHead left it.
func (s *Store) Head(chain string) (Head, bool, error) { return s.head(kindHead, chain) }

// SetHead stores the last commit of its chain, durably.
func (s *Store) SetHead(h Head) error { return s.setHead(kindHead, h) }

// Intent returns the commit that this agent was last about to write, as SetIntent left it.
func (s *Store) Intent(chain string) (Head, bool, error) { return s.head(kindIntent, chain) }

// SetIntent stores the commit that is about to be written, durably. Called before the commit is sent, it lets the agent know its own
// commit after a crash, instead of taking it for a stranger's.
func (s *Store) SetIntent(h Head) error { return s.setHead(kindIntent, h) }

func (s *Store) head(kind byte, chain string) (h Head, found bool, err error) {
	id, err := parseChain(chain)
	if err != nil {
		return h, false, err
	}
	err = s.use("read a chain's head", func(db *pebble.DB) error {
		found, err = get(db, key(nil, kind, id, nil), func(v []byte) (err error) {
			h, err = parseHead(chain, v)
			return err
		})
		return err
	})
	if err != nil || !found {
		return Head{}, false, err
	}
	return h, true, nil
}

func (s *Store) setHead(kind byte, h Head) error {
	id, err := parseChain(h.Chain)
	if err != nil {
		return err
	}
	if h.Seq < 1 {
		return fmt.Errorf("local state: chain %s: commits are numbered from 1, not %d", h.Chain, h.Seq)
	}
	return s.update("store a chain's head", pebble.Sync, func(_ *pebble.DB, b *pebble.Batch) error {
		return b.Set(key(nil, kind, id, nil), h.append(nil), nil)
	})
}

// Chain returns the chain that the source is replicated into.
func (s *Store) Chain(source string) (chain string, found bool, err error) {
	var id chainID
	err = s.use("read a source's chain", func(db *pebble.DB) error {
		found, err = get(db, sourceKey(source), func(v []byte) error {
			if copy(id[:], v) != len(id) || len(v) != len(id) {
				return malformed("source")
			}
			return nil
		})
		return err
	})
	if err != nil || !found {
		return "", false, err
	}
	return id.String(), true, nil
}

// SetChain stores the chain that the source is replicated into, durably.
func (s *Store) SetChain(source, chain string) error {
	id, err := parseChain(chain)
	if err != nil {
		return err
	}
	return s.update("store a source's chain", pebble.Sync, func(_ *pebble.DB, b *pebble.Batch) error {
		return b.Set(sourceKey(source), id[:], nil)
	})
}

// ClearChain forgets the source's chain, durably: the next pass begins a new one or finds the old one in the vault.
func (s *Store) ClearChain(source string) error {
	return s.update("forget a source's chain", pebble.Sync, func(_ *pebble.DB, b *pebble.Batch) error {
		return b.Delete(sourceKey(source), nil)
	})
}

func sourceKey(source string) []byte { return append([]byte{kindSource}, source...) }

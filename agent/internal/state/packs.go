package state

import (
	"errors"

	"farshore/agent/record"

	"github.com/cockroachdb/pebble/v2"
)

// Uncommitted returns the packs that were added and that no Commit named, with their chunks, in the order in which they were added. Asked
// when the agent starts, they are what an earlier run stored and did not commit: the next commit may adopt them.
func (s *Store) Uncommitted(domain string) (packs []Pack, err error) {
	id, err := parseChain(domain)
	if err != nil {
		return nil, err
	}
	err = s.use("list uncommitted packs", func(db *pebble.DB) (err error) {
		from, to := span(kindOpen, id)
		iter, err := db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, iter.Close()) }()
		for ok := iter.First(); ok; ok = iter.Next() {
			v, err := iter.ValueAndErr()
			if err != nil {
				return err
			}
			p, err := parsePack(v)
			if err != nil {
				return err
			}
			packs = append(packs, p)
		}
		return iter.Error()
	})
	if err != nil {
		return nil, err
	}
	return packs, nil
}

// Commit marks the packs as committed, durably. Packs that the store does not know are passed over.
func (s *Store) Commit(domain string, packs []record.Hash) error {
	id, err := parseChain(domain)
	if err != nil {
		return err
	}
	return s.update("mark packs as committed", pebble.Sync, func(db *pebble.DB, b *pebble.Batch) error {
		for _, name := range packs {
			if err := eachNumber(db, id, name, func(n uint32) error { return b.Delete(numberKey(kindOpen, id, n), nil) }); err != nil {
				return err
			}
		}
		return nil
	})
}

// Forget drops a pack that turned out missing or damaged, durably: its chunks are absent from now on, until another pack with
// them is added. A chunk that the pack shares with a later one is absent too, and is stored once more.
func (s *Store) Forget(domain string, pack record.Hash) error {
	return s.ForgetAll(domain, []record.Hash{pack})
}

// eachNumber calls f with the pack's number, if it has one.
func eachNumber(db *pebble.DB, id chainID, name record.Hash, f func(n uint32) error) error {
	var n uint32
	found, err := get(db, key(nil, kindPack, id, name[:]), func(v []byte) error { return readNumber(&n, v) })
	if err != nil || !found {
		return err
	}
	return f(n)
}

// Reset drops all that is known of a domain's packs and chunks and of the tables loaded into it, durably, to be rebuilt from chunk
// tables. Pack numbers go on from where they were.
func (s *Store) Reset(domain string) error {
	id, err := parseChain(domain)
	if err != nil {
		return err
	}
	return s.update("reset a domain", pebble.Sync, func(_ *pebble.DB, b *pebble.Batch) error {
		for _, kind := range []byte{kindChunk, kindPack, kindNumber, kindOpen, kindLoaded, kindLock, kindDamage} {
			from, to := span(kind, id)
			if err := b.DeleteRange(from, to, nil); err != nil {
				return err
			}
		}
		return nil
	})
}

// Loaded reports whether MarkLoaded was called for the chunk table.
func (s *Store) Loaded(domain string, table record.Hash) (loaded bool, err error) {
	id, err := parseChain(domain)
	if err != nil {
		return false, err
	}
	err = s.use("look up a chunk table", func(db *pebble.DB) error {
		loaded, err = get(db, key(nil, kindLoaded, id, table[:]), func([]byte) error { return nil })
		return err
	})
	return loaded, err
}

// MarkLoaded notes that all packs of the chunk table were added. It need not be durable, and never survives a power cut without them.
func (s *Store) MarkLoaded(domain string, table record.Hash) error {
	id, err := parseChain(domain)
	if err != nil {
		return err
	}
	return s.update("note a chunk table", pebble.NoSync, func(_ *pebble.DB, b *pebble.Batch) error {
		return b.Set(key(nil, kindLoaded, id, table[:]), nil, nil)
	})
}

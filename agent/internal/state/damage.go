package state

import (
	"errors"

	"farshore/agent/record"

	"github.com/cockroachdb/pebble/v2"
)

// maxMarks is how many damaged objects Damaged returns at most, of 32 bytes each: a vault that has more is lost.
const maxMarks = 1 << 18

// MarkDamaged remembers packs and pages that were found damaged, durably, and forgets what it knows of those packs as Forget does.
func (s *Store) MarkDamaged(domain string, names []record.Hash) error {
	id, err := parseChain(domain)
	if err != nil || len(names) == 0 {
		return err
	}
	return s.update("note damage", pebble.Sync, func(db *pebble.DB, b *pebble.Batch) error {
		for _, name := range names {
			if err := errors.Join(b.Set(key(nil, kindDamage, id, name[:]), nil, nil), forgetPack(db, b, id, name)); err != nil {
				return err
			}
		}
		return nil
	})
}

// Damaged returns what MarkDamaged remembered.
func (s *Store) Damaged(domain string) (names []record.Hash, err error) {
	id, err := parseChain(domain)
	if err != nil {
		return nil, err
	}
	err = s.use("list damage", func(db *pebble.DB) (err error) {
		from, to := span(kindDamage, id)
		iter, err := db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, iter.Close()) }()
		for ok := iter.First(); ok && len(names) < maxMarks; ok = iter.Next() {
			var name record.Hash
			k := iter.Key()
			if len(k) != len(from)+len(name) {
				return malformed("damage")
			}
			copy(name[:], k[len(from):])
			names = append(names, name)
		}
		return iter.Error()
	})
	if err != nil {
		return nil, err
	}
	return names, nil
}

// ForgetAll is Forget for several packs.
func (s *Store) ForgetAll(domain string, packs []record.Hash) error {
	id, err := parseChain(domain)
	if err != nil || len(packs) == 0 {
		return err
	}
	return s.update("forget packs", pebble.Sync, func(db *pebble.DB, b *pebble.Batch) error {
		for _, name := range packs {
			if err := forgetPack(db, b, id, name); err != nil {
				return err
			}
		}
		return nil
	})
}

func forgetPack(db *pebble.DB, b *pebble.Batch, id chainID, pack record.Hash) error {
	return eachNumber(db, id, pack, func(n uint32) error {
		return errors.Join(
			b.Delete(key(nil, kindPack, id, pack[:]), nil), forgetLock(b, id, pack),
			b.Delete(numberKey(kindNumber, id, n), nil),
			b.Delete(numberKey(kindOpen, id, n), nil))
	})
}

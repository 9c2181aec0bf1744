package state

import (
	"encoding/binary"
	"errors"
	"time"

	"farshore/agent/record"

	"github.com/cockroachdb/pebble/v2"
)

// LockOf says of what a lock's end is remembered.
type LockOf byte

// Ends are remembered of an object's own lock; of the earliest among the objects that it refers to, which never change; and of the latest among those of them that could not be
// stored anew when it was written, though their locks ended too soon. LockOfDamage is no lock: its seconds are how many damaged objects a segment refers to that could not be
// left out when it was written.
const (
	LockOfObject LockOf = 'o'
	LockOfRefs   LockOf = 'r'
	LockOfStuck  LockOf = 's'
	LockOfDamage LockOf = 'd'
)

// SetLock remembers until when an object, or all that it refers to, is locked at least: binding locks can be extended and never shortened. It need not be durable: the vault
// can be asked again. A time before 1970 counts as 1970.
func (s *Store) SetLock(domain string, of LockOf, object record.Hash, end time.Time) error {
	id, err := parseChain(domain)
	if err != nil {
		return err
	}
	return s.update("remember a lock", pebble.NoSync, func(_ *pebble.DB, b *pebble.Batch) error {
		return b.Set(lockKey(id, of, object), binary.BigEndian.AppendUint64(nil, unixSeconds(end)), nil)
	})
}

// Lock returns what SetLock remembered, to the second.
func (s *Store) Lock(domain string, of LockOf, object record.Hash) (end time.Time, known bool, err error) {
	id, err := parseChain(domain)
	if err != nil {
		return end, false, err
	}
	err = s.use("look up a lock", func(db *pebble.DB) (err error) {
		var t uint64
		known, err = get(db, lockKey(id, of, object), func(v []byte) error { return readSeconds(&t, v) })
		end = time.Unix(int64(t), 0).UTC()
		return err
	})
	if err != nil || !known {
		return time.Time{}, false, err
	}
	return end, true, nil
}

// AddPackOver is AddPack, but for a chunk whose place is known: where the lock of the pack that has it is remembered to end before t, the chunk's place is in p from
// now on.
func (s *Store) AddPackOver(domain string, p Pack, committed bool, t time.Time) error {
	return s.addPack(domain, p, committed, unixSeconds(t))
}

func lockKey(id chainID, of LockOf, object record.Hash) []byte {
	return append(key(nil, kindLock, id, object[:]), byte(of))
}

// forgetLock drops what is remembered of an object.
func forgetLock(b *pebble.Batch, id chainID, object record.Hash) error {
	var errs []error
	for _, of := range []LockOf{LockOfObject, LockOfRefs, LockOfStuck, LockOfDamage} {
		errs = append(errs, b.Delete(lockKey(id, of, object), nil))
	}
	return errors.Join(errs...)
}

// endsBefore reports whether the pack of that number is remembered to be locked, and only until before t.
func endsBefore(db *pebble.DB, id chainID, number uint32, t uint64) (bool, error) {
	var pack record.Ref
	found, err := get(db, numberKey(kindNumber, id, number), func(v []byte) error { return readRef(&pack, v) })
	if err != nil || !found {
		return false, err
	}
	var end uint64
	known, err := get(db, lockKey(id, LockOfObject, pack.Name), func(v []byte) error { return readSeconds(&end, v) })
	return known && end < t, err
}

func unixSeconds(t time.Time) uint64 { return uint64(max(0, t.Unix())) }

func readSeconds(t *uint64, v []byte) error {
	if len(v) != 8 {
		return malformed("lock")
	}
	*t = binary.BigEndian.Uint64(v)
	return nil
}

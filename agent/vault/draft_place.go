package vault

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"farshore/agent/record"
	"farshore/crypto/sign"
	"farshore/providers"
)

// ErrMovedOn says that a statement does not follow the vault's newest: it was drafted before another one was placed.
var ErrMovedOn = errors.New("the vault has moved on since this statement was drafted")

// Placed is a statement of the owner's and what came of placing it.
type Placed struct {
	Stated
	// Name is the object's.
	Name string
	// Before is the statement that was in force when it was placed, or that it follows where it had been placed before.
	Before *record.Statement
	// Already is true when it was there.
	Already bool
}

// CheckPlace holds a signed statement to be the owner's next one of this vault, or one that is there. It stores nothing. The error is ErrMovedOn where another one stands in its place.
func (v *Vault) CheckPlace(stored []byte) (*Placed, error) {
	signed, err := sign.Parse(kindStatement, stored)
	if err != nil {
		return nil, err
	}
	hash := record.Hash(sha256.Sum256(stored))
	if i := slices.Index(v.hashes, hash); i >= 0 {
		p := &Placed{Stated: Stated{v.statements[i], hash}, Name: record.StatementName(v.statements[i].N, hash), Already: true}
		if i > 0 {
			p.Before = v.statements[i-1]
		}
		return p, nil
	}
	if err := signed.Verify(v.id, v.owner); err != nil {
		return nil, fmt.Errorf("it is not a statement of this vault %s by its owner %s: %w", v.id, v.owner, err)
	}
	st, err := record.DecodeStatement(signed.JSON)
	if err != nil {
		return nil, err
	}
	newest := v.Statement()
	last := v.hashes[len(v.hashes)-1]
	switch {
	case st.N > newest.N+1:
		return nil, fmt.Errorf("it is statement %d, and the vault's newest is %d: place those before it first", st.N, newest.N)
	case st.N <= newest.N:
		return nil, fmt.Errorf("%w: another statement %d is in the vault, and its newest is %d", ErrMovedOn, st.N, newest.N)
	case st.Prev == nil || *st.Prev != last:
		return nil, fmt.Errorf("%w: it does not follow statement %d as the vault has it", ErrMovedOn, newest.N)
	}
	if err := succeeds(newest, last, st); err != nil {
		return nil, err
	}
	return &Placed{Stated: Stated{st, hash}, Name: record.StatementName(st.N, hash), Before: newest}, nil
}

// Place stores the owner's next statement and reads the vault's statements again: what it returns is in force, and the Vault itself stays at what it read when it was opened. A statement
// that is there already is no error.
func (v *Vault) Place(ctx context.Context, stored []byte) (*Placed, error) {
	p, err := v.CheckPlace(stored)
	if err != nil || p.Already {
		return p, err
	}
	_, existed, err := v.bucket.Create(ctx, p.Name, section(stored), p.Hash)
	if providers.KindOf(err) == providers.Exists {
		return nil, &DamageError{p.Name, errors.New("other bytes than the owner's have its name: somebody who may create below vault/ put them there")}
	}
	if err != nil {
		return nil, err
	}
	p.Already = existed
	again, err := Open(ctx, v.bucket, Options{Owner: &v.owner, ID: v.id})
	if err != nil {
		return nil, fmt.Errorf("%s was stored, but the vault can't be opened with it: %w", p.Name, err)
	}
	if !slices.Contains(again.hashes, p.Hash) {
		return nil, fmt.Errorf("%s was stored, but no reader follows it", p.Name)
	}
	return p, nil
}

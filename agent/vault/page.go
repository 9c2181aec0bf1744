package vault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"farshore/agent/pack"
	"farshore/agent/record"
	"farshore/crypto/seal"
	"farshore/providers"
)

// maxRaw is the most raw bytes that a sealed file may have (docs/format.md, section 4.1).
const maxRaw = 1 << 30

// stored returns the stored bytes of a meta object, from the cache where it has them, and checks them against the name.
func (v *Vault) stored(ctx context.Context, name record.Hash) ([]byte, error) {
	if v.cache != nil {
		if b, ok, err := v.cache.Meta(name); err == nil && ok {
			return b, nil
		}
	}
	b, err := v.readNamed(ctx, record.MetaName(name), name)
	if err != nil {
		return nil, err
	}
	if v.cache != nil {
		// The cache is disposable: that it can't keep something costs time only.
		_ = v.cache.PutMeta(name, b)
	}
	return b, nil
}

// asDamage turns a store's answer that an object is missing or unusable into damage; other failures stay what they are.
func asDamage(object string, err error) error {
	switch providers.KindOf(err) {
	case providers.NotFound:
		return &DamageError{object, errors.New("it is missing")}
	case providers.Corrupt:
		return &DamageError{object, err}
	}
	return err
}

// page returns a stream of a page's raw bytes.
func (v *Vault) page(ctx context.Context, name record.Hash) (io.Reader, error) {
	if v.opener.Empty() {
		return nil, &LockedError{Object: record.MetaName(name)}
	}
	b, err := v.stored(ctx, name)
	if err != nil {
		return nil, err
	}
	plain, err := v.opener.Reader(bytes.NewReader(b))
	if errors.Is(err, seal.ErrWrongKey) {
		return nil, &LockedError{record.MetaName(name), err}
	}
	if err != nil {
		return nil, &DamageError{record.MetaName(name), err}
	}
	return pack.NewStream(plain, v.codec, maxRaw), nil
}

// pageBytes returns a page's raw bytes, at most max.
func (v *Vault) pageBytes(ctx context.Context, name record.Hash, max int64) ([]byte, error) {
	r, err := v.page(ctx, name)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(r, max+1))
	if err != nil {
		return nil, &DamageError{record.MetaName(name), err}
	}
	if int64(len(b)) > max {
		return nil, &DamageError{record.MetaName(name), fmt.Errorf("the page has more than %d bytes", max)}
	}
	return b, nil
}

// decodePage reads a page whole and decodes it.
func decodePage[T any](ctx context.Context, v *Vault, name record.Hash, decode func([]byte) (T, error)) (T, error) {
	var zero T
	b, err := v.pageBytes(ctx, name, 256<<20)
	if err != nil {
		return zero, err
	}
	t, err := decode(b)
	if err != nil {
		return zero, &DamageError{record.MetaName(name), err}
	}
	return t, nil
}

// List reads a public list; it needs no key.
func (v *Vault) List(ctx context.Context, name record.Hash) (*record.List, error) {
	b, err := v.stored(ctx, name)
	if err != nil {
		return nil, err
	}
	l, err := record.DecodeList(b)
	if err != nil {
		return nil, &DamageError{record.MetaName(name), err}
	}
	return l, nil
}

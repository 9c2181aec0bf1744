package faults

import (
	"context"
	"fmt"
	"io"

	"farshore/providers"
)

var (
	_ providers.Historian = (*Faults)(nil)
	_ providers.Keeper    = (*Faults)(nil)
	_ providers.Partial   = (*Faults)(nil)
)

// Can says what the driver below is (providers.Partial).
func (f *Faults) Can() (historian, keeper bool) {
	_, historian = providers.AsHistorian(f.d)
	_, keeper = providers.AsKeeper(f.d)
	return historian, keeper
}

// OldestFirst says how the driver below lists (providers.OldestFirst).
func (f *Faults) OldestFirst() bool {
	up, ok := f.d.(providers.OldestFirst)
	return ok && up.OldestFirst()
}

// Versions passes on to the driver below, and changes the page where the script says so. It must be a Historian.
func (f *Faults) Versions(ctx context.Context, prefix string, after providers.Mark, limit int) (page []providers.Version, next providers.Mark, more bool, err error) {
	note := fmt.Sprintf("after %q %q limit %d", after.Name, after.ID, limit)
	err = f.run(ctx, "versions", prefix, note, func(fault *Fault) (err error) {
		h, ok := providers.AsHistorian(f.d)
		if !ok {
			return absent("versions", prefix)
		}
		if page, next, more, err = h.Versions(ctx, prefix, after, limit); err == nil && fault != nil {
			page, more = relist(fault, page, more)
		}
		return err
	})
	if err != nil {
		return nil, providers.Mark{}, false, err
	}
	return page, next, more, nil
}

// OpenVersion passes on to the driver below, and damages the body where the script says so. It must be a Historian.
func (f *Faults) OpenVersion(ctx context.Context, name, id string, off, n int64) (io.ReadCloser, error) {
	return f.open(ctx, "open-version", name, fmt.Sprintf("%s %d %d", id, off, n), func() (io.ReadCloser, error) {
		h, ok := providers.AsHistorian(f.d)
		if !ok {
			return nil, absent("open-version", name)
		}
		return h.OpenVersion(ctx, name, id, off, n)
	})
}

// Lock passes on to the driver below, which must be a Keeper.
func (f *Faults) Lock(ctx context.Context, name, id string) (lock providers.Lock, err error) {
	err = f.run(ctx, "lock", name, id, func(*Fault) (err error) {
		k, ok := providers.AsKeeper(f.d)
		if !ok {
			return absent("lock", name)
		}
		lock, err = k.Lock(ctx, name, id)
		return err
	})
	if err != nil {
		return providers.Lock{}, err
	}
	return lock, nil
}

// Settings passes on to the driver below, which must be a Keeper.
func (f *Faults) Settings(ctx context.Context) (s providers.Settings, err error) {
	err = f.run(ctx, "settings", "", "", func(*Fault) (err error) {
		k, ok := providers.AsKeeper(f.d)
		if !ok {
			return absent("settings", "")
		}
		s, err = k.Settings(ctx)
		return err
	})
	if err != nil {
		return providers.Settings{}, err
	}
	return s, nil
}

func absent(op, name string) error {
	return &providers.Error{Kind: providers.Unsupported, Op: op, Name: name, Err: fmt.Errorf("the driver below has no %s", op)}
}

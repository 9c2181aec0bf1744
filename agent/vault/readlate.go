package vault

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"farshore/agent/record"
)

// readLate reads back the pages that a commit adds and that were stored after its contents were read back: its root and its list among them, and the keys of a new chain, without which
// nothing that it has can be found. They are few and small. An interrupted pass has no time for it.
func (w *Writer) readLate(ctx context.Context, pages []record.Ref, hurry <-chan struct{}) error {
	if w.back.off() {
		return nil
	}
	bare := *w.vault
	bare.cache = nil
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(readBackWorkers)
	for _, p := range pages {
		select {
		case <-hurry:
			return g.Wait()
		default:
		}
		g.Go(func() error {
			_, err := bare.stored(ctx, p.Name)
			var damage *DamageError
			switch {
			case err == nil:
				return nil
			case errors.As(err, &damage):
				return &DamageError{damage.Object, fmt.Errorf("%w (%w)", errReadBack, damage.Err)}
			}
			return fmt.Errorf("read back: %w", err)
		})
	}
	return g.Wait()
}

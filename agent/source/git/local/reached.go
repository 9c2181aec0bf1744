package local

import (
	"bytes"
	"context"
)

// Reached reports whether tips reach all the ids: an id that is not there is not reached. It can always be told.
func (r *Repository) Reached(ctx context.Context, ids, tips []string) (reached, told bool, err error) {
	gone, err := r.missing(ctx, ids)
	if err != nil {
		return false, false, r.failure(err)
	}
	if len(gone) > 0 {
		return false, true, nil
	}
	if tips, err = r.present(ctx, tips); err != nil {
		return false, false, r.failure(err)
	}
	out, err := r.git.Output(ctx, revisions(ids, tips), "rev-list", "--objects", "--max-count=1", "--stdin")
	if err != nil {
		return false, false, r.failure(err)
	}
	return len(bytes.TrimSpace(out)) == 0, true, nil
}

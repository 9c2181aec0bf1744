package vault

import (
	"context"
	"errors"

	"farshore/agent/internal/state"
	"farshore/agent/record"
	"farshore/providers"
)

// errUnlike says of a pack that it is not what was stored under its name.
var errUnlike = errors.New("its bytes do not have the hash in its name")

// checkAdopted reads packs that an earlier run stored and did not commit, as many as would be read back, and returns why some may not be adopted. That run may have ended because
// something did not read back, before it came to the rest; nobody has the packs' file keys any more, but each is named by the hash of what was sent. A pack that can't be read is not
// adopted either, or what keeps failing would be committed in the end; the others are left unread then, so that a store that is slow, or away, costs one wait. Packs that the
// credential may not read are not checked. The error is the context's.
func (w *Writer) checkAdopted(ctx context.Context, packs []state.Pack) (unfit map[record.Hash]error, err error) {
	unfit = map[record.Hash]error{}
	if w.back.off() {
		return unfit, nil
	}
	var total int64
	for i := range packs {
		total += packs[i].Size
	}
	sample, seen := newSampler(w.back, total), false
	for i := range packs {
		p := &packs[i]
		if !sample.take(p.Size, true) {
			continue
		}
		ok, _, err := w.vault.matches(ctx, &providers.Version{Info: providers.Info{Name: record.PackName(p.Name)}}, p.Name)
		kind := providers.KindOf(err)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case kind == providers.Denied && !seen:
			return unfit, nil
		case err == nil && ok:
			seen = true
		case err == nil:
			unfit[p.Name] = errUnlike
		default:
			unfit[p.Name] = err
			if kind != providers.NotFound && kind != providers.Corrupt && kind != providers.Denied {
				return unfit, nil
			}
		}
	}
	return unfit, nil
}

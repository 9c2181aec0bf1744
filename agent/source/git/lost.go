package git

import (
	"context"

	"farshore/agent/record"
	"farshore/agent/repo/refs"
	"farshore/agent/source/git/local"
	"farshore/agent/source/git/wire"
)

var _, _ backend = (*local.Repository)(nil), (*wire.Remote)(nil)

// Bounds of asking what became of refs that changed: that a few branches are rewritten is usual, and a repository is asked about so many of them at most.
const (
	manyMoved = 20
	sample    = 16
)

// countLost finds out whether branches and tags that changed since the last record lost what they had. Asked are one question about the default branch when it moved, and, where at
// least manyMoved others did, one about them together and, if something was lost, one about each of a sample of them.
func (h *history) countLost(ctx context.Context) error {
	h.refsLost = h.refsBefore
	if h.before == nil {
		return nil
	}
	before := refs.ParseLost(h.before.attrs[record.AttrLost])
	h.refsLost = before
	if h.before.format() != h.now.Format {
		h.refsLost = before.And(refs.Lost{Heads: 1, Of: before.Of})
		return nil
	}
	moves, of := refs.Moves(h.before.manifest, h.now)
	if len(moves) == 0 {
		return nil
	}
	q := &question{history: h, tips: h.now.Tips(), lost: refs.Lost{Of: of}}
	rest := moves[:0:0]
	for _, m := range moves {
		if m.Name != h.before.manifest.Head {
			rest = append(rest, m)
			continue
		}
		gone, err := q.gone(ctx, m)
		if err != nil {
			return err
		}
		if gone {
			q.lost.Heads++
		}
	}
	if len(rest) >= manyMoved {
		if err := q.many(ctx, rest); err != nil {
			return err
		}
	}
	h.refsLost = before.And(q.lost)
	return nil
}

// compareWith has refs compared with those of a record that nothing is built upon. Where its refs can't be read, what it lost before is kept, and that nobody can tell what it
// lost since.
func (h *history) compareWith(ctx context.Context, before *record.Record) {
	if before == nil {
		return
	}
	c, err := load(ctx, h.sink, before)
	if err == nil && c != nil {
		h.before = c
		return
	}
	lost := refs.ParseLost(before.Attrs[record.AttrLost])
	h.refsBefore = lost.And(refs.Lost{Untold: 1, Of: lost.Of})
}

// question asks a repository about refs that changed.
type question struct {
	history *history
	tips    []string // that it has now
	lost    refs.Lost
}

// gone reports whether a ref no longer reaches what it pointed to, or, where it is gone itself, whether nothing does.
func (q *question) gone(ctx context.Context, m refs.Move) (bool, error) {
	tips := q.tips
	if m.Now != "" {
		tips = []string{m.Now}
	}
	return q.ask(ctx, []string{m.Old}, tips)
}

// ask reports whether the tips do not reach all the ids. Where that can't be told it counts so, and reports false.
func (q *question) ask(ctx context.Context, ids, tips []string) (bool, error) {
	reached, told := len(tips) > 0, true
	if len(tips) > maxHaves {
		told = false
	} else if len(tips) > 0 {
		var err error
		reached, told, err = q.history.backend.Reached(ctx, ids, tips)
		switch {
		case ctx.Err() != nil:
			return false, ctx.Err()
		case err != nil:
			told = false
		}
	}
	if !told {
		q.lost.Untold++
		return false, nil
	}
	return !reached, nil
}

// many counts how many of many refs lost something, by a sample where something was.
func (q *question) many(ctx context.Context, moves []refs.Move) error {
	var olds []string
	for _, m := range moves {
		olds = append(olds, m.Old)
	}
	if len(olds) <= maxHaves {
		lost, err := q.ask(ctx, olds, q.tips)
		if err != nil {
			return err
		}
		// A branch may have been moved to where it has nothing of what it had, which others still have: only the sample tells. But where as much as nothing is lost, nothing is
		// harmed either.
		if !lost {
			return nil
		}
	}
	var rewritten, vanished, asked int64
	for i := range min(sample, len(moves)) {
		m := moves[i*len(moves)/min(sample, len(moves))]
		gone, err := q.gone(ctx, m)
		if err != nil {
			return err
		}
		asked++
		switch {
		case gone && m.Now == "":
			vanished++
		case gone:
			rewritten++
		}
	}
	q.lost.Rewritten += rewritten * int64(len(moves)) / asked
	q.lost.Vanished += vanished * int64(len(moves)) / asked
	return nil
}

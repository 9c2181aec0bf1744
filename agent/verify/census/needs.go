package census

import (
	"context"
	"errors"

	"farshore/agent/record"
	"farshore/agent/vault"
)

// needs adds what the snapshots need that were made behind a commit which the owner revoked alone: they count, and may rest on what only that commit names. Where no such
// commit was revoked it reads nothing. Where a list can't be read, t.unsure says so.
func (t *taker) needs(ctx context.Context) error {
	n := needer{taker: t, lists: map[record.Hash]bool{}, sections: map[section]bool{}}
	for i, from := range t.behind() {
		for _, k := range t.chains[i].Commits {
			if k.Seq <= from || k.Revoked || k.List == nil || n.lists[k.List.Name] {
				continue
			}
			n.lists[k.List.Name] = true
			err := n.snapshot(ctx, *k.List)
			var damaged *vault.DamageError
			if errors.As(err, &damaged) || err != nil && t.from.Withheld(ctx, err) {
				t.unsure = true
				return nil
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// behind returns, by the indices of chains whose snapshots may rest on a commit that was revoked alone, the number of the first of these: 0 where it is in another chain
// that this one continues.
func (t *taker) behind() map[int]int64 {
	first := map[string]int64{} // by chain
	out := map[int]int64{}
	for i, c := range t.chains {
		for _, k := range c.Commits {
			if k.Revoked {
				out[i], first[c.ID] = k.Seq, k.Seq
				break
			}
		}
	}
	for more := len(first) > 0; more; {
		more = false
		for i, c := range t.chains {
			from := c.Commits[0].Continues
			if from == nil || first[c.ID] == below {
				continue
			}
			if seq, ok := first[from.Chain]; ok && from.Seq >= seq {
				out[i], first[c.ID], more = 0, below, true
			}
		}
	}
	return out
}

// below is the number of a commit that is before all of a chain.
const below = -1

// section is a segment's section of a list.
type section struct{ segment, list record.Hash }

// needer reads public lists, each once.
type needer struct {
	*taker
	lists    map[record.Hash]bool
	sections map[section]bool
}

// snapshot adds what a snapshot needs.
func (n *needer) snapshot(ctx context.Context, list record.Ref) error {
	live, err := n.from.Live(ctx, list)
	if err != nil {
		return err
	}
	meta := append([]record.Ref(nil), live.Lists...)
	for _, m := range live.Meta {
		meta = append(meta, m.Ref)
	}
	wanted := map[record.Hash]map[record.Hash]bool{} // segments by list
	for _, s := range live.Segments {
		meta = append(meta, s.Ref)
		if at := (section{s.Name, s.List}); !n.sections[at] {
			n.sections[at] = true
			if wanted[s.List] == nil {
				wanted[s.List] = map[record.Hash]bool{}
			}
			wanted[s.List][s.Name] = true
		}
	}
	if err := n.refs(meta, true, needed, 0, 0); err != nil {
		return err
	}
	for name, segments := range wanted {
		if err := n.list(ctx, name, segments); err != nil {
			return err
		}
	}
	return nil
}

// list adds what the sections of these segments name.
func (n *needer) list(ctx context.Context, name record.Hash, segments map[record.Hash]bool) error {
	l, err := n.from.List(ctx, name)
	if err != nil {
		return err
	}
	for _, s := range l.Sections {
		if !segments[s.Segment] {
			continue
		}
		if err := errors.Join(n.refs(s.Packs, false, needed, 0, 0), n.refs(s.Meta, true, needed, 0, 0)); err != nil {
			return err
		}
	}
	return nil
}

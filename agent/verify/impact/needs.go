package impact

import (
	"context"
	"errors"
	"slices"

	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/agent/vault"
	"farshore/providers"
)

// Roles of a damaged object below meta/.
const (
	roleSegment = "segment"
	roleList    = "list"
	rolePart    = "part" // a page of extents or of lines
)

// set holds indices of damages, ascending. Sets are shared, and never changed.
type set []int32

// builder collects a set.
type builder map[int32]bool

func (b builder) add(s set) {
	for _, i := range s {
		b[i] = true
	}
}

func (b builder) set() set {
	if len(b) == 0 {
		return nil
	}
	out := make(set, 0, len(b))
	for i := range b {
		out = append(out, i)
	}
	slices.Sort(out)
	return out
}

// claim is a section of a list. The same segment may be described by several lists.
type claim struct{ segment, list record.Hash }

// needs reads public lists, each once, and remembers of each which damaged objects it names. Memory is in proportion to the number of lists and of what is hit.
type needs struct {
	v     *vault.Vault
	packs map[record.Hash]int32
	meta  map[record.Hash]int32
	roles map[int32]string

	lists    map[record.Hash]set  // of a snapshot with that list
	pages    map[record.Hash]set  // of a page of a list
	read     map[record.Hash]bool // lists whose sections were read
	sections map[claim]set        // those with hits alone
	segments map[record.Hash]set  // the same, by segment
	blind    map[record.Hash]bool // lists and pages that can't be read
}

func newNeeds(v *vault.Vault, damaged []report.Damage) *needs {
	n := &needs{
		v: v, packs: map[record.Hash]int32{}, meta: map[record.Hash]int32{}, roles: map[int32]string{}, lists: map[record.Hash]set{}, pages: map[record.Hash]set{},
		read: map[record.Hash]bool{}, sections: map[claim]set{}, segments: map[record.Hash]set{}, blind: map[record.Hash]bool{},
	}
	for i := range damaged {
		if name, err := record.ParsePackName(damaged[i].Object); err == nil {
			n.packs[name] = int32(i)
		} else if name, err := record.ParseMetaName(damaged[i].Object); err == nil {
			n.meta[name] = int32(i)
		}
	}
	return n
}

// page adds a page that a list names.
func (n *needs) page(b builder, name record.Hash, role string) {
	if i, ok := n.meta[name]; ok {
		b[i] = true
		n.roles[i] = role
	}
}

// lost reports whether err says that a list can't be read while the store answers.
func (n *needs) lost(ctx context.Context, err error) bool {
	var d *vault.DamageError
	return ctx.Err() == nil && (errors.As(err, &d) || providers.KindOf(err) == providers.Corrupt || n.v.Withheld(ctx, err))
}

// commit returns the damaged objects that the commit's snapshot needs, and whether all its lists could be read.
func (n *needs) commit(ctx context.Context, k *vault.Commit) (set, bool, error) {
	b := builder{}
	n.page(b, k.Root.Name, record.LiveRoot)
	if k.List == nil {
		return b.set(), true, nil
	}
	known, seen := n.lists[k.List.Name]
	if !seen {
		var err error
		if known, err = n.list(ctx, k.List.Name); err != nil {
			return nil, false, err
		}
		n.lists[k.List.Name] = known
	}
	if len(b) == 0 {
		return known, !n.blind[k.List.Name], nil
	}
	b.add(known)
	return b.set(), !n.blind[k.List.Name], nil
}

// list returns what a commit's list names.
func (n *needs) list(ctx context.Context, name record.Hash) (set, error) {
	b := builder{}
	n.page(b, name, roleList)
	l, err := n.sectionsOf(ctx, name)
	if err != nil || l == nil {
		return b.set(), err
	}
	if err := n.live(ctx, b, name, l.Segments, l.Meta); err != nil {
		return nil, err
	}
	for _, p := range l.Pages {
		s, err := n.listPage(ctx, p.Name)
		if err != nil {
			return nil, err
		}
		b.add(s)
		n.blind[name] = n.blind[name] || n.blind[p.Name]
	}
	return b.set(), nil
}

// live adds what live lines name, which stand in the list or page of that name.
func (n *needs) live(ctx context.Context, b builder, in record.Hash, segments []record.LiveSegment, meta []record.LiveMeta) error {
	for _, m := range meta {
		n.page(b, m.Name, m.Role)
	}
	for _, s := range segments {
		n.page(b, s.Name, roleSegment)
		if s.List.IsZero() {
			s.List = in
		}
		if !n.read[s.List] {
			if _, err := n.sectionsOf(ctx, s.List); err != nil {
				return err
			}
		}
		if n.page(b, s.List, roleList); n.blind[s.List] {
			n.blind[in] = true
		}
		b.add(n.sections[claim{s.Name, s.List}])
	}
	return nil
}

// listPage returns what a page of a list names.
func (n *needs) listPage(ctx context.Context, name record.Hash) (set, error) {
	if s, ok := n.pages[name]; ok {
		return s, nil
	}
	b := builder{}
	n.page(b, name, roleList)
	p, err := n.v.ListPage(ctx, name)
	switch {
	case err != nil && !n.lost(ctx, err):
		return nil, err
	case err != nil:
		n.blind[name] = true
	default:
		if err := n.live(ctx, b, name, p.Segments, p.Meta); err != nil {
			return nil, err
		}
	}
	n.pages[name] = b.set()
	return n.pages[name], nil
}

// sectionsOf reads a list and remembers its sections; nil where it can't be read.
func (n *needs) sectionsOf(ctx context.Context, name record.Hash) (*record.List, error) {
	n.read[name] = true
	l, err := n.v.List(ctx, name)
	if err != nil {
		if !n.lost(ctx, err) {
			return nil, err
		}
		n.blind[name] = true
		return nil, nil
	}
	for i := range l.Sections {
		s := &l.Sections[i]
		b := builder{}
		for _, p := range s.Packs {
			if d, ok := n.packs[p.Name]; ok {
				b[d] = true
			}
		}
		for _, m := range s.Meta {
			n.page(b, m.Name, rolePart)
		}
		if len(b) == 0 {
			continue
		}
		n.sections[claim{s.Segment, name}] = b.set()
		b.add(n.segments[s.Segment])
		n.segments[s.Segment] = b.set()
	}
	return l, nil
}

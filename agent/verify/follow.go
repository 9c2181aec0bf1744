package verify

import (
	"context"
	"fmt"

	"farshore/agent/record"
	"farshore/agent/vault"
)

// follow walks from every commit that counts through its public list, and checks that all that its snapshot needs is there.
func (r *run) follow(ctx context.Context) error {
	sections := map[claim]bool{} // what was checked, and whether all is well
	for _, c := range r.chains {
		if c.ID == "" {
			continue
		}
		res := ChainResult{Chain: c.ID, Source: c.Source.Name, Commits: int64(len(c.Commits))}
		lists := map[record.Hash]listed{}
		for _, k := range c.Commits {
			by := fmt.Sprintf("commit %d of %s", k.Seq, c.ID)
			if err := r.added(ctx, k); err != nil {
				return err
			}
			whole, err := r.snapshot(ctx, k, by, lists, sections)
			if err != nil {
				return err
			}
			if whole && k.Root != nil && !k.Revoked {
				r.res.Snapshots++
			}
			if k.Complete && !k.Revoked {
				res.Newest, res.Whole = &k.Time, whole
			}
		}
		if h := c.Head(); h != nil {
			res.Head = fmt.Sprintf("%d:%s", h.Seq, h.Hash)
		}
		r.res.Chains = append(r.res.Chains, res)
	}
	return nil
}

// added checks the objects that a commit says it adds.
func (r *run) added(ctx context.Context, k *vault.Commit) error {
	packs, meta, err := r.v.Added(ctx, k)
	if err != nil {
		return r.damage(err)
	}
	by := fmt.Sprintf("commit %d of %s", k.Seq, k.Chain)
	for _, p := range packs {
		r.need(p, false, by)
	}
	for _, m := range meta {
		r.need(m, true, by)
	}
	return nil
}

// listed is what a public list names: the root that it is of, zero where it can't be read, and whether all that it names is there.
type listed struct {
	root  record.Hash
	whole bool
}

// claim is a section of a list. The same segment may be described by several lists, of which only those of one agent need agree.
type claim struct{ segment, list record.Hash }

// snapshot checks what one commit's snapshot needs. Commits that change nothing share their list.
func (r *run) snapshot(ctx context.Context, k *vault.Commit, by string, lists map[record.Hash]listed, sections map[claim]bool) (bool, error) {
	if k.Root == nil || k.List == nil {
		return true, nil
	}
	there := r.need(*k.Root, true, by)
	l, seen := lists[k.List.Name]
	if !seen {
		var err error
		if l, err = r.listed(ctx, *k.List, by, sections); err != nil {
			return false, err
		}
		lists[k.List.Name] = l
	}
	if !l.root.IsZero() && l.root != k.Root.Name {
		r.note(vault.Damage, record.MetaName(k.List.Name), "%s names it as its public list, and it is that of another root", by)
		return false, nil
	}
	return there && l.whole, nil
}

// listed checks that all that a public list names is there.
func (r *run) listed(ctx context.Context, list record.Ref, by string, sections map[claim]bool) (listed, error) {
	if !r.need(list, true, by) {
		return listed{}, nil
	}
	live, err := r.v.Live(ctx, list)
	if err != nil {
		return listed{}, r.damage(err)
	}
	r.o.Progress.Lists.Add(1)
	out := listed{whole: true}
	for _, m := range live.Meta {
		if m.Role == record.LiveRoot {
			out.root = m.Name
		}
		out.whole = r.need(m.Ref, true, by) && out.whole
	}
	for _, l := range live.Lists {
		out.whole = r.need(l, true, by) && out.whole
	}
	for _, s := range live.Segments {
		ok, err := r.segment(ctx, s, by, sections)
		if err != nil {
			return out, err
		}
		out.whole = ok && out.whole
	}
	return out, nil
}

func (r *run) segment(ctx context.Context, s record.LiveSegment, by string, sections map[claim]bool) (bool, error) {
	ok := r.need(s.Ref, true, by)
	at := claim{s.Name, s.List}
	if known, seen := sections[at]; seen {
		return ok && known, nil
	}
	section, err := r.section(ctx, s)
	if err != nil {
		sections[at] = false
		return false, r.damage(err)
	}
	of := "segment " + s.Name.String()
	for _, p := range section.Packs {
		ok = r.need(p, false, of) && ok
	}
	for _, m := range section.Meta {
		ok = r.need(m, true, of) && ok
	}
	sections[at] = ok
	return ok, nil
}

// section returns a segment's section of its list, keeping the last list decoded: neighbours are in the same.
func (r *run) section(ctx context.Context, s record.LiveSegment) (*record.ListSection, error) {
	if r.listName != s.List || r.list == nil {
		l, err := r.v.List(ctx, s.List)
		if err != nil {
			return nil, err
		}
		r.listName, r.list = s.List, map[record.Hash]*record.ListSection{}
		for i := range l.Sections {
			r.list[l.Sections[i].Segment] = &l.Sections[i]
		}
	}
	if section := r.list[s.Name]; section != nil {
		return section, nil
	}
	return nil, &vault.DamageError{Object: record.MetaName(s.List), Err: fmt.Errorf("it has no section for segment %s", s.Name)}
}

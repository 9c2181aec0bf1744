package verify

import (
	"context"
	"fmt"

	"farshore/agent/record"
	"farshore/agent/vault"
)

// follow walks from every commit that counts through its public list, and checks that all that its snapshot needs is there.
func (r *run) follow(ctx context.Context) error {
	sections := map[record.Hash]bool{} // segments whose needs were checked, and whether all is well
	for _, c := range r.chains {
		if c.ID == "" {
			continue
		}
		res := ChainResult{Chain: c.ID, Source: c.Source.Name, Commits: int64(len(c.Commits))}
		lists := map[record.Hash]bool{}
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

// snapshot checks what one commit's snapshot needs.
func (r *run) snapshot(ctx context.Context, k *vault.Commit, by string, lists, sections map[record.Hash]bool) (whole bool, err error) {
	if k.Root == nil || k.List == nil {
		return true, nil
	}
	if whole, ok := lists[k.List.Name]; ok {
		return whole, nil
	}
	defer func() { lists[k.List.Name] = whole }()
	whole = r.need(*k.Root, true, by)
	if !r.need(*k.List, true, by) {
		return false, nil
	}
	live, err := r.v.Live(ctx, *k.List)
	if err != nil {
		return false, r.damage(err)
	}
	r.o.Progress.Lists.Add(1)
	for _, m := range live.Meta {
		whole = r.need(m.Ref, true, by) && whole
	}
	for _, l := range live.Lists {
		whole = r.need(l, true, by) && whole
	}
	for _, s := range live.Segments {
		ok, err := r.segment(ctx, s, by, sections)
		if err != nil {
			return false, err
		}
		whole = ok && whole
	}
	return whole, nil
}

func (r *run) segment(ctx context.Context, s record.LiveSegment, by string, sections map[record.Hash]bool) (bool, error) {
	ok := r.need(s.Ref, true, by)
	if known, seen := sections[s.Name]; seen {
		return ok && known, nil
	}
	section, err := r.section(ctx, s)
	if err != nil {
		sections[s.Name] = false
		return false, r.damage(err)
	}
	of := "segment " + s.Name.String()
	for _, p := range section.Packs {
		ok = r.need(p, false, of) && ok
	}
	for _, m := range section.Meta {
		ok = r.need(m, true, of) && ok
	}
	sections[s.Name] = ok
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

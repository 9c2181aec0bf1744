package census

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/agent/vault"
)

// TestAsOf cuts chains off: the census is that which was taken when they ended there.
func TestAsOf(t *testing.T) {
	f := random(6)
	for len(f.chains) < 4 {
		f.chain(fmt.Sprintf("%032x", 2000-len(f.chains)))
	}
	for i := range f.chains {
		for len(f.chains[i].Commits) < 20 {
			f.commit(f.chains[i], []record.Ref{ref(int64(i), 5)}, nil)
		}
	}
	whole := f.chains
	var heads []report.Head
	early := make([]*vault.Chain, 0, len(whole))
	for i, c := range whole[1:] {
		part := *c
		part.Commits = c.Commits[:3+4*i]
		early = append(early, &part)
		heads = append(heads, report.Head{Chain: c.ID, Seq: part.Head().Seq, Hash: part.Head().Hash})
	}
	f.chains = early
	then := f.take(t, 0)
	m := f.model()
	v := &vault.Vault{}
	_, err := TakeAsOf(t.Context(), v, whole, []report.Head{heads[0], {Chain: heads[1].Chain, Seq: 2, Hash: heads[1].Hash}}, Options{})
	wrong(t, "another hash", err)
	_, err = TakeAsOf(t.Context(), v, whole, []report.Head{{Chain: heads[0].Chain, Seq: 1000, Hash: heads[0].Hash}}, Options{})
	wrong(t, "behind the end", err)
	_, err = TakeAsOf(t.Context(), v, whole, []report.Head{{Chain: heads[0].Chain, Hash: heads[0].Hash}}, Options{})
	wrong(t, "number 0", err)
	_, err = TakeAsOf(t.Context(), v, whole, []report.Head{heads[0], heads[0]}, Options{})
	wrong(t, "twice", err)
	_, err = TakeAsOf(t.Context(), v, whole, []report.Head{{Chain: "x", Seq: 1}}, Options{})
	wrong(t, "no such chain", err)

	slices.Reverse(heads)
	cut, err := cutOff(whole, heads)
	must(t, err)
	now, err := take(t.Context(), f, cut, Options{})
	must(t, err)
	m.holds(t, now)
	if !slices.Equal(now.Heads(), then.Heads()) {
		t.Errorf("%+v, wanted %+v", now.Heads(), then.Heads())
	}
}

func wrong(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, ErrHead) {
		t.Errorf("%s: %v", what, err)
	}
}

// TestRevoked holds what counts of a revoked commit: what snapshots behind it need, in its chain and in those that go on from it there.
func TestRevoked(t *testing.T) {
	f := newFake()
	one := f.chain("1")
	f.commit(one, []record.Ref{ref(1, 10)}, nil)
	bad := f.commit(one, []record.Ref{ref(2, 10), ref(3, 10), ref(4, 10)}, []record.Ref{ref(5, 10), ref(100, 7)})
	bad.Revoked = true
	after, again := f.commit(one, []record.Ref{ref(6, 10)}, nil), f.commit(one, nil, []record.Ref{ref(102, 7)})
	list, next := ref(100, 7), ref(102, 7) // the first is the revoked commit's own
	after.List, again.List = &list, &next
	f.lists[next.Name] = &record.List{Segments: []record.LiveSegment{{Ref: ref(5, 10), List: list.Name}}}
	f.lists[list.Name] = &record.List{Segments: []record.LiveSegment{{Ref: ref(5, 10)}}, Sections: []record.ListSection{
		{Segment: ref(5, 10).Name, Packs: []record.Ref{ref(2, 10), ref(77, 10)}}, // nobody names 77
		{Segment: ref(8, 10).Name, Packs: []record.Ref{ref(4, 10)}},              // not of this snapshot
	}}
	names := func(c *Census) (out []Object) {
		for _, o := range collect(t, c.Objects(t.Context())) {
			out = append(out, Object{Name: o.Name, Meta: o.Meta, Seq: o.Seq})
		}
		return out
	}
	want := func(objects ...Object) []Object { slices.SortFunc(objects, Compare); return objects }
	pack := func(n, seq int64) Object { return Object{Name: ref(n, 0).Name, Seq: seq} }
	page := func(n, seq int64) Object { return Object{Name: ref(n, 0).Name, Meta: true, Seq: seq} }
	base := []Object{pack(1, 1), pack(2, 2), page(5, 2), pack(6, 3), page(100, 2), page(102, 4)}
	for _, memory := range []int64{1, 0} {
		f.reads = 0
		c := f.take(t, memory)
		if got := names(c); !slices.Equal(got, want(slices.Clone(base)...)) || c.Revoked() != 1 || c.Population().Commits != 3 || f.reads != 3 {
			t.Errorf("%v, %d revoked, %+v, %d lists read", got, c.Revoked(), c.Population(), f.reads)
		}
	}

	// Another chain goes on from the revoked commit, and a third from that one.
	two, three := f.chain("2"), f.chain("3")
	f.commit(two, nil, nil).Continues = &record.Continues{Chain: "1", Seq: 2}
	last := f.commit(three, nil, nil)
	last.Continues = &record.Continues{Chain: "2", Seq: 1}
	other := ref(101, 7)
	last.List = &other
	f.lists[other.Name] = &record.List{Segments: []record.LiveSegment{{Ref: ref(8, 10), List: list.Name}}}
	if got := names(f.take(t, 0)); !slices.Equal(got, want(append(slices.Clone(base), pack(4, 2))...)) {
		t.Errorf("with chains that go on from it: %v", got)
	}
	last.Continues.Seq, two.Commits[0].Continues.Seq = 1, 1 // before it
	if got := names(f.take(t, 0)); !slices.Equal(got, want(slices.Clone(base)...)) {
		t.Errorf("with a chain that went on from before it: %v", got)
	}

	// What can't be told is not left out.
	f.gone[list.Name] = true
	if got := names(f.take(t, 0)); len(got) != len(base)+2 {
		t.Errorf("with a list that can't be read: %v", got)
	}

	// Where nothing was revoked no list is read.
	bad.Revoked, f.reads = false, 0
	if f.take(t, 0); f.reads != 0 {
		t.Errorf("%d lists were read", f.reads)
	}
}

// TestEmpty takes the census of a vault without commits.
func TestEmpty(t *testing.T) {
	f := newFake()
	f.chain("1")
	f.chains = append(f.chains, &vault.Chain{})
	for _, memory := range []int64{1, 0} {
		c := f.take(t, memory)
		if got := collect(t, c.Objects(t.Context())); len(got) != 0 || len(c.Heads()) != 0 || c.Population() != (report.Population{}) {
			t.Errorf("%v, %v, %+v", got, c.Heads(), c.Population())
		}
	}
}

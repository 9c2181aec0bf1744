package tripwire

import (
	"math"
	"math/rand"
	"slices"
	"strings"
	"testing"
	"testing/quick"

	"farshore/agent/record"
	"farshore/agent/repo/refs"
)

func codes(reasons []Reason) (out []string) {
	for _, r := range reasons {
		out = append(out, r.Code)
	}
	return out
}

// calm is a pass over 1,000 items of 1 MiB each in which nothing changed.
func calm() (History, Observation) {
	return History{Base: &Base{Seq: 7, Items: 1000, Bytes: 1000 << 20}, Raw: 100 << 20, Stored: 40 << 20},
		Observation{Complete: true, Items: 1000, Bytes: 1000 << 20}
}

// TestJudge holds every code to its threshold: what reaches it is suspicious, what is one less is not.
func TestJudge(t *testing.T) {
	type change func(t *Thresholds, h *History, o *Observation)
	for _, x := range []struct {
		name string
		do   change
		want string
	}{
		{"nothing", func(*Thresholds, *History, *Observation) {}, ""},
		{"no history", func(_ *Thresholds, h *History, o *Observation) { *h, o.Deleted, o.Items = History{}, 1000, 0 }, ""},
		{"deleted below", func(_ *Thresholds, _ *History, o *Observation) { o.Deleted = 299 }, ""},
		{"deleted", func(_ *Thresholds, _ *History, o *Observation) { o.Deleted = 300 }, DeletedShare},
		{"deleted midway", func(_ *Thresholds, _ *History, o *Observation) { *o = Observation{Deleted: 300} }, DeletedShare},
		{"deleted, turned off", func(t *Thresholds, _ *History, o *Observation) { t.Deleted, o.Deleted = 0, 899 }, ""},
		{"deleted, all only", func(t *Thresholds, _ *History, o *Observation) { t.Deleted, o.Deleted = 1, 999 }, ""},
		{"modified below", func(_ *Thresholds, _ *History, o *Observation) { o.Modified = 499 }, ""},
		{"modified", func(_ *Thresholds, _ *History, o *Observation) { o.Modified = 500 }, ModifiedShare},
		{"modified repositories", func(_ *Thresholds, _ *History, o *Observation) { o.Modified, o.Repositories = 1000, true }, ""},
		{"size below", func(_ *Thresholds, _ *History, o *Observation) { o.Bytes = 500<<20 + 1 }, ""},
		{"size", func(_ *Thresholds, _ *History, o *Observation) { o.Bytes = 500 << 20 }, SizeCollapse},
		{"size midway", func(_ *Thresholds, _ *History, o *Observation) { o.Bytes, o.Complete = 0, false }, ""},
		{"size of little", func(_ *Thresholds, h *History, o *Observation) { h.Base.Bytes, o.Bytes = 1<<20-1, 0 }, ""},
		{"items below", func(_ *Thresholds, _ *History, o *Observation) { o.Items = 101 }, ""},
		{"items", func(_ *Thresholds, _ *History, o *Observation) { o.Items = 100 }, ItemCollapse},
		{"empty", func(_ *Thresholds, _ *History, o *Observation) { o.Items = 0 }, EmptyListing},
		{"empty midway", func(_ *Thresholds, _ *History, o *Observation) { o.Items, o.Complete = 0, false }, ""},
		{"one item, and it is gone", func(_ *Thresholds, h *History, o *Observation) {
			h.Base.Items, h.Base.Bytes, o.Items, o.Bytes, o.Deleted = 1, 5, 0, 0, 1
		}, EmptyListing},
		{"empty before and now", func(_ *Thresholds, h *History, o *Observation) {
			h.Base.Items, h.Base.Bytes, o.Items, o.Bytes = 0, 0, 0, 0
		}, ""},
		{"few of few deleted", func(_ *Thresholds, h *History, o *Observation) { h.Base.Items, o.Items, o.Deleted = 20, 1, 19 }, ""},
		{"20 of 21 deleted", func(_ *Thresholds, h *History, o *Observation) { h.Base.Items, o.Items, o.Deleted = 21, 21, 20 }, DeletedShare},
		{"unreadable below", func(_ *Thresholds, _ *History, o *Observation) { o.Unreadable = 199 }, ""},
		{"unreadable", func(_ *Thresholds, _ *History, o *Observation) { o.Unreadable = 200 }, UnreadableShare},
		{"unreadable before", func(_ *Thresholds, h *History, o *Observation) { h.Base.Unreadable, o.Unreadable = 900, 1000 }, ""},
		{"two repositories gone", func(_ *Thresholds, h *History, o *Observation) {
			h.Base.Items, o.Items, o.Unreadable, o.Repositories = 4, 4, 2, true
		}, ""},
		{"three repositories gone", func(_ *Thresholds, h *History, o *Observation) {
			h.Base.Items, o.Items, o.Unreadable, o.Repositories = 4, 4, 3, true
		}, UnreadableShare},
		{"encrypted", func(_ *Thresholds, _ *History, o *Observation) { o.Modified, o.Raw, o.Stored = 50, 8<<20, 8<<20 }, Compressibility},
		{"encrypted and renamed", func(_ *Thresholds, _ *History, o *Observation) { o.Deleted, o.Raw, o.Stored = 50, 8<<20, 8<<20 }, Compressibility},
		{"encrypted in two passes", func(_ *Thresholds, h *History, o *Observation) {
			o.Modified, o.Raw, o.Stored, h.NewRaw, h.NewStored = 50, 4<<20, 4<<20, 4<<20, 4<<20
		}, Compressibility},
		{"half of what was saved is not", func(_ *Thresholds, _ *History, o *Observation) { o.Modified, o.Raw, o.Stored = 50, 100<<20, 70<<20 }, Compressibility},
		{"a little less", func(_ *Thresholds, _ *History, o *Observation) { o.Modified, o.Raw, o.Stored = 50, 100<<20, 69<<20 }, ""},
		{"photographs added", func(_ *Thresholds, _ *History, o *Observation) { o.Raw, o.Stored, o.Items = 1<<30, 1<<30, 1200 }, ""},
		{"too little to tell", func(_ *Thresholds, _ *History, o *Observation) { o.Modified, o.Raw, o.Stored = 50, 8<<20-1, 8<<20 }, ""},
		{"too little before", func(_ *Thresholds, h *History, o *Observation) {
			o.Modified, o.Raw, o.Stored, h.Raw, h.Stored = 50, 8<<20, 8<<20, 8<<20-1, 1
		}, ""},
		{"photographs before", func(_ *Thresholds, h *History, o *Observation) {
			o.Modified, o.Raw, o.Stored, h.Stored = 50, 8<<20, 8<<20, 91<<20
		}, ""},
		{"few modified", func(_ *Thresholds, _ *History, o *Observation) { o.Modified, o.Raw, o.Stored = 49, 8<<20, 8<<20 }, ""},
		{"rewritten", func(_ *Thresholds, _ *History, o *Observation) { o.Rewritten = 1 }, RefsRewritten},
		{"vanished", func(_ *Thresholds, _ *History, o *Observation) { o.Vanished = 1 }, RefsVanished},
		{"refs off", func(t *Thresholds, _ *History, o *Observation) { t.Refs, o.Rewritten, o.Vanished = 0, 1, 1 }, ""},
		{"policy", func(_ *Thresholds, _ *History, o *Observation) { o.Policy = []string{"worse"} }, SourcePolicy},
		{"policy off", func(t *Thresholds, _ *History, o *Observation) { t.Policy, o.Policy = false, []string{"worse"} }, ""},
		{"well again", func(_ *Thresholds, h *History, _ *Observation) { h.Since = 9 }, ""},
		{"well again so far", func(_ *Thresholds, h *History, o *Observation) { h.Since, o.Complete = 9, false }, "since-9"},
		{"well again as far as can be told", func(_ *Thresholds, h *History, o *Observation) { h.Since, o.Blind = 9, true }, "since-9"},
		{"still bad", func(_ *Thresholds, h *History, o *Observation) { h.Since, o.Deleted = 9, 300 }, DeletedShare + " since-9"},
		{"everything", func(_ *Thresholds, h *History, o *Observation) {
			*o = Observation{Complete: true, Deleted: 1000, Raw: 8 << 20, Stored: 8 << 20, Rewritten: 1, Vanished: 1, Policy: []string{"a", "b"}}
		}, "deleted-share empty-listing size-collapse compressibility refs-rewritten refs-vanished source-policy"},
	} {
		limits := Default()
		h, o := calm()
		x.do(&limits, &h, &o)
		got := Judge(limits, h, o)
		if c := strings.Join(codes(got), " "); c != x.want {
			t.Errorf("%s: got %q, want %q", x.name, c, x.want)
		}
		for _, r := range got {
			if r.Text == "" || CodeOf(r.String()) != r.Code || strings.ContainsAny(r.String(), "\n\x00") {
				t.Errorf("%s: bad reason %q", x.name, r)
			}
		}
	}
}

// TestJudgeMonotone holds that more harm never makes a pass less suspicious, and that nothing panics.
func TestJudgeMonotone(t *testing.T) {
	type numbers struct {
		Items, Bytes, Unreadable, Deleted, Modified, Raw, Stored, Rewritten, Vanished uint32
		BaseItems, BaseBytes, BaseUnreadable, OldRaw, OldStored, NewRaw               uint32
		Deleted1, Modified1, Size1, Items1, Unreadable1, Compression1, Refs1          uint8
		More                                                                          uint16
		Complete, Repositories, Policy                                                bool
	}
	property := func(n numbers) bool {
		share := func(v uint8) float64 { return float64(v) / math.MaxUint8 }
		limits := Thresholds{share(n.Deleted1), share(n.Modified1), share(n.Size1), share(n.Items1), share(n.Unreadable1), share(n.Compression1), share(n.Refs1), n.Policy}
		h := History{
			Base: &Base{Seq: 1, Items: int64(n.BaseItems >> 16), Bytes: int64(n.BaseBytes), Unreadable: int64(n.BaseUnreadable >> 16)},
			Raw:  int64(n.OldRaw), Stored: int64(n.OldStored), NewRaw: int64(n.NewRaw),
		}
		o := Observation{
			Complete: n.Complete, Repositories: n.Repositories, Items: int64(n.Items >> 16), Bytes: int64(n.Bytes), Unreadable: int64(n.Unreadable >> 16),
			Deleted: int64(n.Deleted >> 16), Modified: int64(n.Modified >> 16), Raw: int64(n.Raw), Stored: int64(n.Stored), Rewritten: int64(n.Rewritten & 3), Vanished: int64(n.Vanished & 3),
		}
		before := codes(Judge(limits, h, o))
		more := int64(n.More)
		o.Deleted, o.Modified, o.Stored, o.Bytes, o.Unreadable, o.Rewritten = o.Deleted+more, o.Modified+more, o.Stored+more, o.Bytes-min(o.Bytes, more), o.Unreadable+more, o.Rewritten+more
		after := codes(Judge(limits, h, o))
		for _, c := range before {
			if !slices.Contains(after, c) {
				t.Logf("%s of %v is not in %v", c, before, after)
				return false
			}
		}
		return true
	}
	if err := quick.Check(property, &quick.Config{MaxCount: 20000, Rand: rand.New(rand.NewSource(1))}); err != nil {
		t.Error(err)
	}
}

// TestHistoryOf finds the base, since when a chain is suspicious, and the ratio of contents up to the base.
func TestHistoryOf(t *testing.T) {
	commit := func(seq int64, complete, suspicious bool, raw int64) Commit {
		return Commit{seq, complete, suspicious, record.Counts{Items: seq * 10, Bytes: seq * 100, Raw: raw, Stored: raw / 2}}
	}
	base := func(seq int64) *Base { return &Base{Seq: seq, Items: seq * 10, Bytes: seq * 100} }
	for _, x := range []struct {
		name    string
		commits []Commit
		accept  int64
		want    History
	}{
		{"none", nil, 0, History{}},
		{"incomplete only", []Commit{commit(1, false, false, 10)}, 0, History{}},
		{"good", []Commit{commit(1, false, false, 10), commit(2, true, false, 20)}, 0, History{Base: base(2), Raw: 30, Stored: 15}},
		{"interrupted since", []Commit{commit(1, true, false, 10), commit(2, false, false, 20)}, 0, History{Base: base(1), Raw: 10, Stored: 5, NewRaw: 20, NewStored: 10}},
		{"suspicious since", []Commit{commit(1, true, false, 10), commit(2, false, true, 4), commit(3, true, true, 20)}, 0,
			History{Base: base(1), Since: 2, Raw: 10, Stored: 5, NewRaw: 24, NewStored: 12}},
		{"well again", []Commit{commit(1, true, false, 10), commit(2, true, true, 4), commit(3, true, false, 20)}, 0, History{Base: base(3), Raw: 30, Stored: 15}},
		{"accepted", []Commit{commit(1, true, false, 10), commit(2, true, true, 4), commit(3, true, true, 20)}, 2,
			History{Base: base(2), Since: 2, Raw: 14, Stored: 7, NewRaw: 20, NewStored: 10}},
		{"an older good one is no base", []Commit{commit(1, true, true, 10), commit(2, true, false, 4)}, 1, History{Base: base(2), Raw: 4, Stored: 2}},
		{"incomplete is not accepted", []Commit{commit(1, true, false, 10), commit(2, false, true, 4)}, 2, History{Base: base(1), Since: 2, Raw: 10, Stored: 5, NewRaw: 4, NewStored: 2}},
	} {
		got, _ := HistoryOf(x.commits, x.accept)
		got.Good = 0
		if (got.Base == nil) != (x.want.Base == nil) || got.Base != nil && *got.Base != *x.want.Base {
			t.Errorf("%s: base %+v, want %+v", x.name, got.Base, x.want.Base)
		}
		got.Base, x.want.Base = nil, nil
		if got != x.want {
			t.Errorf("%s: got %+v, want %+v", x.name, got, x.want)
		}
	}
}

// TestHistoryOfLong looks back only so far.
func TestHistoryOfLong(t *testing.T) {
	var commits []Commit
	for i := range int64(5000) {
		commits = append(commits, Commit{i + 1, true, false, record.Counts{Raw: 1, Stored: 1}})
	}
	if h, _ := HistoryOf(commits, 0); h.Raw != lookBackCommits {
		t.Errorf("%d commits were looked at, want %d", h.Raw, lookBackCommits)
	}
	commits = []Commit{{1, true, false, record.Counts{Raw: 1 << 40, Stored: 1}}, {2, true, false, record.Counts{Raw: 2 << 30, Stored: 2 << 30}}}
	if h, _ := HistoryOf(commits, 0); h.Raw != 2<<30 {
		t.Errorf("%d bytes were looked at: an old large commit outweighs what the source has become", h.Raw)
	}
}

// TestLossOf compares records of repositories.
func TestLossOf(t *testing.T) {
	git := func(digest, lost string) *record.Record {
		return &record.Record{Kind: record.KindGit, State: record.Present, Attrs: record.Attrs{"refs": digest, record.AttrLost: lost}}
	}
	svn := func(digest, rewritten string) *record.Record {
		return &record.Record{Kind: record.KindSVN, State: record.Present, Attrs: record.Attrs{"digest": digest, record.AttrRewritten: rewritten}}
	}
	gone := func(last *record.Record) *record.Record {
		return &record.Record{Kind: record.KindGit, State: record.Unreadable, Last: last}
	}
	for _, x := range []struct {
		name      string
		good, now *record.Record
		want      refs.Lost
	}{
		{"new", nil, git("a", "1 2 3 4 5"), refs.Lost{}},
		{"never read", gone(nil), git("a", "1 2 3 4 5"), refs.Lost{}},
		{"no change", git("a", ""), git("b", ""), refs.Lost{}},
		{"lost", git("a", ""), git("b", "1 2 3 4 5"), refs.Lost{Heads: 1, Rewritten: 2, Vanished: 3, Untold: 4, Of: 5}},
		{"lost before", git("a", "1 2 3 0 9"), git("b", "1 2 4 0 8"), refs.Lost{Vanished: 1, Of: 8}},
		{"put back", git("a", ""), git("a", "2 2 3 4 5"), refs.Lost{}},
		{"counted anew", git("a", "5 5 5 5 5"), git("b", ""), refs.Lost{}},
		{"unreadable by now", git("a", ""), gone(git("b", "1 0 0 0 5")), refs.Lost{Heads: 1, Of: 5}},
		{"garbage", git("a", "x"), git("b", "-1 0 0 0 0"), refs.Lost{}},
		{"svn", svn("a", ""), svn("b", ""), refs.Lost{}},
		{"svn rewritten", svn("a", ""), svn("b", "2026: why"), refs.Lost{Heads: 1}},
		{"svn rewritten before", svn("a", "2026: why"), svn("b", "2026: why"), refs.Lost{}},
		{"svn put back", svn("a", ""), svn("a", "2026: why"), refs.Lost{}},
	} {
		if got := LossOf(x.good, x.now); got != x.want {
			t.Errorf("%s: got %+v, want %+v", x.name, got, x.want)
		}
	}
}

// TestJudgeRefs holds one repository's loss to the threshold.
func TestJudgeRefs(t *testing.T) {
	for _, x := range []struct {
		share               float64
		lost                refs.Lost
		rewritten, vanished bool
	}{
		{0.3, refs.Lost{}, false, false},
		{0.3, refs.Lost{Heads: 1}, true, false},
		{0, refs.Lost{Heads: 1, Rewritten: 100, Vanished: 100, Of: 100}, false, false},
		{0.3, refs.Lost{Rewritten: 29, Vanished: 30, Of: 100}, false, true},
		{0.3, refs.Lost{Rewritten: 30, Vanished: 29, Of: 100}, true, false},
		{0.3, refs.Lost{Rewritten: 19, Vanished: 19, Of: 20}, false, false},
		{0.3, refs.Lost{Untold: 100, Of: 20}, false, false},
	} {
		r, v := Thresholds{Refs: x.share}.Judge(x.lost)
		if r != x.rewritten || v != x.vanished {
			t.Errorf("%v of %+v: %v and %v", x.share, x.lost, r, v)
		}
	}
}

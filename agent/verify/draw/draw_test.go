package draw

import (
	"context"
	"crypto/sha256"
	"errors"
	"iter"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/agent/verify/census"
)

// TestOrder: what was never verified comes first, beginning where an object waits longest, then what was verified longest ago; and round the circle from there.
func TestOrder(t *testing.T) {
	v := newVault(52, 1)
	v.heads[0].Seq = 100
	put := func(digit uint64, seq int64, age time.Duration) {
		for i := range uint64(10) {
			o := census.Object{Name: named(digit<<60+i<<56, 1), Seq: seq, Size: 1000}
			if seq == 100 {
				o.Name[31] = 2
			}
			v.objects, v.bytes = append(v.objects, o), v.bytes+1000
			v.added[placeOf(o)] = start.Add(-age)
		}
		slices.SortFunc(v.objects, census.Compare)
	}
	for digit := range uint64(16) {
		put(digit, 1, 100*day)
	}
	var l report.Ledger
	for i, digit := range []byte("89abcdef0123") { // 4 to 7 never were
		s := over(digit, digit+1, report.SweepAll)
		switch digit {
		case '9':
			s.To = over('a', 0, "").From
		case 'f':
			s.To = ""
		}
		l = Apply(l, []report.Sweep{s}, nil, start.Add(time.Duration(i-50)*day), heads(1))
	}
	plan := func(thousands int64) string {
		in := v.input(start, thousands*1000*10/7+9)
		in.Ledger = l
		p := draw(t, in)
		checkPlan(t, v, in, p)
		var out []string
		for _, s := range p.Sweeps {
			out = append(out, strings.TrimRight(s.From, "0")+"-"+strings.TrimRight(s.To, "0")+" "+s.Only)
		}
		return strings.Join(out, ", ")
	}
	for _, c := range []struct {
		thousands int64
		want      string
	}{
		{15, "4-55 new, 8- new, -4 new"},
		{39, "4-79 new, 8- new, -4 new"},
		{40, "4- new, -4 new"},
		{41, "4-8 new, 81- new, -4 new, 8-81 all"},
		{65, "4-8 new, a5- new, -4 new, 8-a5 all"},
	} {
		if got := plan(c.thousands); got != c.want {
			t.Errorf("%d of 160: %s, want %s", c.thousands, got, c.want)
		}
	}
	put(0xd, 100, day)
	put(0x2, 100, 2*day)
	for _, c := range []struct {
		thousands int64
		want      string
	}{
		// Those of 4 to 7 wait since 100 days, then those of 2, then those of d. Where nothing is new, to go over it costs nothing.
		{45, "4-d new, e- new, -25 new, 3-4 new"},
		{55, "4-d5 new, e- new, -4 new"},
		// Once the new all fit, the oldest run comes after them: 8.
		{65, "4-8 new, 85- new, -4 new, 8-85 all"},
	} {
		if got := plan(c.thousands); got != c.want {
			t.Errorf("%d of 180: %s, want %s", c.thousands, got, c.want)
		}
	}
}

// TestSameBeginnings: runs are cut only between beginnings of names, so that a crowd of names with the same one is gone over whole or not at all, and at least once.
func TestSameBeginnings(t *testing.T) {
	v := newVault(53, 1)
	v.heads[0].Seq = 1
	for i := range 30 {
		for _, meta := range []bool{false, true} {
			o := census.Object{Name: named(uint64(5+i/10)<<60, byte(i)), Meta: meta, Seq: 1, Size: 100}
			v.objects, v.bytes = append(v.objects, o), v.bytes+100
			v.added[placeOf(o)] = start
		}
	}
	slices.SortFunc(v.objects, census.Compare)
	for budget, want := range map[int64]int{1: 20, 1000: 20, 2000: 20, 3999: 20, 5713: 20, 5715: 40, 5999: 40, 6000: 60} {
		in := v.input(start, budget)
		p := draw(t, in)
		if got := checkPlan(t, v, in, p); len(got) != want {
			t.Errorf("%d bytes: %d objects are swept, want %d", budget, len(got), want)
		}
		l := Apply(in.Ledger, p.Sweeps, nil, start, v.heads)
		c, err := CoverageOf(t.Context(), v.iterate, v.when, l, v.heads, nil, start, 0)
		if err != nil || c.Verified != int64(want) || c.Never != int64(60-want) || c.Met != nil {
			t.Errorf("%+v, %v", c, err)
		}
	}
}

// TestProgress: with a budget of one byte, every object is verified in the end.
func TestProgress(t *testing.T) {
	v := newVault(54, 2)
	v.commit(start, 20, 20, v.sized)
	var l report.Ledger
	for n := range 41 {
		in := v.input(start.Add(time.Duration(n)*day), 1)
		in.Ledger = l
		p := draw(t, in)
		if p.SweepObjects != 1 || len(p.Packs) != 1 || len(p.Pages) != 1 || len(p.Bytes) != 1 || len(p.Risk) != 1 {
			t.Fatalf("each part has one object: %+v", p)
		}
		if n == 40 && p.Before.Never != 0 {
			t.Errorf("%d were never verified", p.Before.Never)
		}
		l = Apply(l, p.Sweeps, nil, in.Now, in.Heads)
	}
}

func TestEmptyVault(t *testing.T) {
	v := newVault(55, 0)
	for _, budget := range []int64{0, 1, 1 << 40} {
		in := v.input(start, budget)
		in.Promise, in.Every = day, day
		p := draw(t, in)
		checkPlan(t, v, in, p)
		if p.TotalBytes != 0 || p.SweepObjects != 0 || len(p.Packs)+len(p.Pages)+len(p.Bytes)+len(p.Risk) != 0 || !*p.Before.Feasible || !*p.Before.Met {
			t.Errorf("%d: %+v", budget, p)
		}
		if l := Apply(in.Ledger, p.Sweeps, nil, start, nil); len(l.Arcs) > 1 {
			t.Errorf("%+v", l)
		}
	}
	// Objects of no bytes are no reason to divide by them.
	v = newVault(56, 1)
	v.commit(start, 3, 2, func(bool) int64 { return 0 })
	for _, budget := range []int64{0, 1} {
		if p := draw(t, v.input(start, budget)); len(p.Packs) != 3 || len(p.Pages) != 2 || len(p.Bytes) != 0 || p.SweepObjects != 5 {
			t.Errorf("%+v", p)
		}
	}
}

// TestBad: what was found bad is looked at again before anything else, and is not verified until it was read whole, whatever the ledger says.
func TestBad(t *testing.T) {
	v := newVault(57, 1)
	v.commit(start, 50, 10, v.sized)
	in := v.input(start.Add(10*day), 0)
	in.Ledger = Apply(report.Ledger{}, draw(t, in).Sweeps, nil, start.Add(9*day), v.heads)
	in.Bad, in.Bytes, in.Promise, in.Every = map[record.Hash]bool{v.objects[30].Name: true, v.objects[40].Name: true}, v.bytes*3/4, 5*day, day
	p := draw(t, in)
	swept := checkPlan(t, v, in, p)
	if p.Before.Never != 2 || p.Before.Overdue != 2 || *p.Before.Met || !p.Before.NeverSince.Equal(start) || !p.Before.Oldest.Equal(start.Add(9*day)) {
		t.Errorf("%+v", p.Before)
	}
	for _, list := range [][]census.Object{p.Risk[:2], swept} {
		for name := range in.Bad {
			if !slices.ContainsFunc(list, func(o census.Object) bool { return o.Name == name }) {
				t.Errorf("%s is not looked at again", name)
			}
		}
	}
}

// TestChainsInAnyOrder: which chains there are besides, and so what their indices are, changes no plan.
func TestChainsInAnyOrder(t *testing.T) {
	v := heavy(58, 100, 50)
	in := v.input(start, v.bytes/3)
	in.Ledger = Apply(report.Ledger{}, []report.Sweep{over('3', 'a', report.SweepAll)}, nil, start, heads(3, 3))
	want := draw(t, in)
	other := in
	other.Heads = append([]report.Head{{Chain: strings.Repeat("0", 32), Seq: 9}}, in.Heads...)
	other.Objects = func(ctx context.Context) iter.Seq2[census.Object, error] {
		return func(yield func(census.Object, error) bool) {
			for o := range v.iterate(ctx) {
				o.Chain++
				if !yield(o, nil) {
					return
				}
			}
		}
	}
	other.Added = func(o census.Object) time.Time { return v.when(o) }
	got := draw(t, other)
	for _, list := range [][]census.Object{got.Packs, got.Pages, got.Bytes, got.Risk} {
		for i := range list {
			list[i].Chain--
		}
	}
	got.survey, want.survey = nil, nil
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\n%+v", got, want)
	}
}

// TestBadInput: an input that contradicts itself is refused, and an error of the iterator comes through, wherever it happens.
func TestBadInput(t *testing.T) {
	v := newVault(59, 1)
	v.commit(start, 20, 20, v.sized)
	broken := errors.New("broken")
	var pass int
	feed := func(change func(pass, i int, o *census.Object) error) Objects {
		return func(context.Context) iter.Seq2[census.Object, error] {
			pass++
			p := pass
			return func(yield func(census.Object, error) bool) {
				for i, o := range v.objects {
					if err := change(p, i, &o); !yield(o, err) || err != nil {
						return
					}
				}
			}
		}
	}
	for name, change := range map[string]func(pass, i int, o *census.Object) error{
		"an error": func(_, i int, _ *census.Object) error { return map[bool]error{true: broken}[i == 30] },
		"an error in the second pass": func(pass, i int, _ *census.Object) error {
			return map[bool]error{true: broken}[pass == 2 && i == 30]
		},
		"twice": func(_, i int, o *census.Object) error { *o = v.objects[min(i, 20)]; return nil },
		"out of order": func(_, i int, o *census.Object) error {
			if i == 20 {
				o.Name = record.Hash{}
			}
			return nil
		},
		"no such chain":     func(_, i int, o *census.Object) error { o.Chain = int32(i / 20); return nil },
		"a chain below":     func(_, i int, o *census.Object) error { o.Chain = -1; return nil },
		"a size below zero": func(_, i int, o *census.Object) error { o.Size = -1; return nil },
		"sizes too large":   func(_, i int, o *census.Object) error { o.Size = maxBytes / 3; return nil },
		"a change": func(pass, i int, o *census.Object) error {
			if pass == 2 && !o.Meta {
				o.Size = 0
			}
			return nil
		},
	} {
		in := v.input(start, v.bytes/2)
		in.Objects, pass = feed(change), 0
		if p, err := Draw(t.Context(), in); err == nil || p != nil || strings.Contains(name, "error") && !errors.Is(err, broken) {
			t.Errorf("%s: %v", name, err)
		}
		if name == "an error in the second pass" || name == "a change" {
			continue
		}
		if _, err := CoverageOf(t.Context(), feed(change), in.Added, in.Ledger, in.Heads, nil, start, 0); err == nil {
			t.Errorf("%s: covered", name)
		}
		var last error
		for _, err := range Swept(t.Context(), in, []report.Sweep{over('0', 0, report.SweepAll)}) {
			last = err
		}
		if last == nil && name != "sizes too large" {
			t.Errorf("%s: swept", name)
		}
	}
}

// TestCancelled: an iterator that just ends when its context does is not taken for one that came to its end.
func TestCancelled(t *testing.T) {
	v := newVault(60, 1)
	v.commit(start, 20, 20, v.sized)
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	in := v.input(start, v.bytes/2)
	in.Objects = func(ctx context.Context) iter.Seq2[census.Object, error] {
		return func(yield func(census.Object, error) bool) {
			for i, o := range v.objects {
				if i == 10 {
					cancel(why)
				}
				if ctx.Err() != nil || !yield(o, nil) {
					return
				}
			}
		}
	}
	if _, err := Draw(ctx, in); !errors.Is(err, why) {
		t.Errorf("drawn: %v", err)
	}
	var last error
	for _, err := range Swept(ctx, in, []report.Sweep{over('0', 0, report.SweepAll)}) {
		last = err
	}
	if !errors.Is(last, why) {
		t.Errorf("swept: %v", last)
	}
	if _, err := CoverageOf(ctx, in.Objects, in.Added, in.Ledger, in.Heads, nil, start, 0); !errors.Is(err, why) {
		t.Errorf("covered: %v", err)
	}
}

// TestSweptStops: whoever takes the objects may stop at any.
func TestSweptStops(t *testing.T) {
	v := newVault(61, 1)
	v.commit(start, 20, 20, v.sized)
	n := 0
	for _, err := range Swept(t.Context(), v.input(start, 0), []report.Sweep{over('0', 0, report.SweepAll)}) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 7 {
			break
		}
	}
	if n != 7 {
		t.Error(n)
	}
}

func TestDigest(t *testing.T) {
	var d Digest
	if d.Sum() != record.Hash(sha256.Sum256(nil)) {
		t.Error("of nothing")
	}
	a, b := census.Object{Name: named(1, 2)}, census.Object{Name: named(3, 4), Meta: true}
	d.Add(a)
	d.Sum()
	d.Add(b)
	if want := sha256.Sum256([]byte("\x00" + string(a.Name[:]) + "\x01" + string(b.Name[:]))); d.Sum() != record.Hash(want) {
		t.Error("of two")
	}
}

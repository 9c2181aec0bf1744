package draw

import (
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"maps"
	"math/rand"
	"os"
	"slices"
	"testing"
	"time"

	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/agent/verify/census"
)

// long reports whether the tests that take minutes run.
func long() bool { return os.Getenv("FARSHORE_TEST_LONG") != "" }

const day = 24 * time.Hour

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// vaultful is what a vault should hold, for tests: objects with the times of the commits that added them.
type vaultful struct {
	r       *rand.Rand
	objects []census.Object // ascending
	added   map[place]time.Time
	heads   []report.Head
	bytes   int64
}

// place is an object.
type place struct {
	name record.Hash
	meta bool
}

func placeOf(o census.Object) place { return place{o.Name, o.Meta} }

func newVault(seed int64, chains int) *vaultful {
	v := &vaultful{r: rand.New(rand.NewSource(seed)), added: map[place]time.Time{}}
	for i := range chains {
		v.heads = append(v.heads, report.Head{Chain: fmt.Sprintf("%032x", i+1)})
	}
	return v
}

// seed returns random bytes.
func (v *vaultful) seed() (h record.Hash) {
	v.r.Read(h[:])
	return h
}

// commit adds a commit to a random chain, with so many packs and pages of the sizes that size gives.
func (v *vaultful) commit(at time.Time, packs, pages int, size func(meta bool) int64) {
	chain := v.r.Intn(len(v.heads))
	v.heads[chain].Seq++
	for i := range packs + pages {
		o := census.Object{Name: v.seed(), Meta: i >= packs, Chain: int32(chain), Seq: v.heads[chain].Seq}
		o.Size = size(o.Meta)
		v.bytes += o.Size
		v.added[placeOf(o)] = at
		v.objects = append(v.objects, o)
	}
	slices.SortFunc(v.objects, census.Compare)
}

// sized is a size of packs around 32 MiB, and of pages around 100 KiB.
func (v *vaultful) sized(meta bool) int64 {
	if meta {
		return 1 + v.r.Int63n(200<<10)
	}
	return 1<<20 + v.r.Int63n(62<<20)
}

func (v *vaultful) iterate(context.Context) iter.Seq2[census.Object, error] {
	return func(yield func(census.Object, error) bool) {
		for _, o := range v.objects {
			if !yield(o, nil) {
				return
			}
		}
	}
}

func (v *vaultful) when(o census.Object) time.Time { return v.added[placeOf(o)] }

// input is one for a draw from the vault, with a new seed.
func (v *vaultful) input(now time.Time, budget int64) Input {
	return Input{Seed: v.seed(), Bytes: budget, Now: now, Heads: slices.Clone(v.heads), Objects: v.iterate, Added: v.when}
}

func draw(t testing.TB, in Input) *Plan {
	t.Helper()
	p, err := Draw(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// sweptOf lists what sweeps go over.
func sweptOf(t testing.TB, in Input, sweeps []report.Sweep) (out []census.Object) {
	t.Helper()
	for o, err := range Swept(t.Context(), in, sweeps) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, o)
	}
	return out
}

// checkPlan holds a plan against its own input, in the plainest way.
func checkPlan(t testing.TB, v *vaultful, in Input, p *Plan) []census.Object {
	t.Helper()
	var want []census.Object
	for _, s := range p.Sweeps {
		for _, o := range v.objects {
			name := o.Name.String()[:16]
			at, known := Verified(&in.Ledger, in.Heads, o)
			known = known && !in.Bad[o.Name] && at.Sub(in.Now) <= time.Hour
			if name >= s.From && (s.To == "" || name < s.To) && (s.Only == "all" || !known) {
				want = append(want, o)
			}
		}
	}
	got := sweptOf(t, in, p.Sweeps)
	if !slices.Equal(got, want) {
		t.Fatalf("%d objects are swept, and %d lie in the sweeps %v", len(got), len(want), p.Sweeps)
	}
	distinct := map[place]int64{}
	var bytes int64
	for _, o := range got {
		if _, twice := distinct[placeOf(o)]; twice {
			t.Fatalf("%s is swept twice", o.Path())
		}
		distinct[placeOf(o)] = o.Size
		bytes += o.Size
	}
	if p.SweepObjects != int64(len(got)) || p.SweepBytes != bytes {
		t.Fatalf("%d objects of %d bytes are said to be swept, %d of %d are", p.SweepObjects, p.SweepBytes, len(got), bytes)
	}
	for _, o := range slices.Concat(p.Packs, p.Pages, p.Bytes, p.Risk) {
		distinct[placeOf(o)] = o.Size
	}
	var total int64
	for size := range maps.Values(distinct) {
		total += size
	}
	if p.TotalBytes != total {
		t.Fatalf("%d bytes are said to be read, and %d are", p.TotalBytes, total)
	}
	return got
}

// named is a name that begins with the 8 bytes of p.
func named(p uint64, rest byte) (h record.Hash) {
	binary.BigEndian.PutUint64(h[:8], p)
	h[31] = rest
	return h
}

package items

import (
	"bytes"
	"fmt"
	"testing"

	"farshore/agent/record"
	"farshore/agent/vault"
	"farshore/agent/verify/internal/rig"
)

// stacked is a vault with two sources whose ranges have stacks: items that were changed and deleted, and came back.
func stacked(t *testing.T) (r *rig.Rig, want map[string][]byte) {
	t.Helper()
	r = rig.New(t)
	a, b := rig.NewSource("a"), rig.NewSource("b")
	for i := range 160 {
		a.Put(fmt.Sprintf("item-%03d", i), fmt.Appendf(nil, "first content of %d", i))
	}
	for i := range 40 {
		b.Put(fmt.Sprintf("item-%03d", i), fmt.Appendf(nil, "content of %d", i))
	}
	r.Pass(a)
	r.Pass(b)
	for i := range 8 {
		a.Put(fmt.Sprintf("item-%03d", i*3), fmt.Appendf(nil, "second content of %d", i))
		delete(a.Items, fmt.Sprintf("item-%03d", 100+i))
	}
	r.Pass(a)
	for i := range 6 {
		a.Put(fmt.Sprintf("item-%03d", i*3), fmt.Appendf(nil, "third content of %d", i))
		a.Put(fmt.Sprintf("item-%03d", 100+i), []byte("it came back"))
	}
	r.Pass(a)
	want = map[string][]byte{}
	for _, s := range []*rig.Source{a, b} {
		for path, it := range s.Items {
			want[s.Name+" "+path] = it.Content
		}
	}
	return r, want
}

// drawn draws with a seed.
func drawn(t *testing.T, v *vault.Vault, chains []*vault.Chain, seed byte, most int) (*run, []pick, bool) {
	t.Helper()
	r := newRun(v, Options{Seed: record.Hash{seed}, Chains: chains, Most: most})
	places, err := r.places(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	picks, all, err := r.draw(t.Context(), places)
	if err != nil {
		t.Fatal(err)
	}
	return r, picks, all
}

// TestUniform draws many times from stacks with superseded and deleted records: only items in force come, each as often as any other.
func TestUniform(t *testing.T) {
	r, want := stacked(t)
	v, chains := r.Open(r.Store, r.Metadata)
	deep := 0
	for _, c := range chains {
		snap, err := v.Snapshot(t.Context(), newest(c))
		r.Must(err)
		for _, rng := range snap.Ranges() {
			deep = max(deep, len(rng.Segments))
		}
	}
	if deep < 3 {
		t.Fatalf("stacks of %d segments at the most: this test tries nothing", deep)
	}
	count := map[string]int{}
	total := 0
	for seed := range 150 {
		_, picks, all := drawn(t, v, chains, byte(seed), 100)
		if all || len(picks) != 100 {
			t.Fatalf("seed %d: %d picks, all: %v", seed, len(picks), all)
		}
		for i, p := range picks {
			if i > 0 && picks[i-1].j >= p.j {
				t.Fatal("not in the order of the draw")
			}
			key := p.item.place.source + " " + p.item.rec.Path
			if _, ok := want[key]; !ok {
				t.Fatalf("%s is no item", key)
			}
			if got, content := p.item.rec.Parts[0].Size, want[key]; got != int64(len(content)) {
				t.Fatalf("%s is drawn with %d bytes: not the record in force", key, got)
			}
			count[key]++
			total++
		}
	}
	mean := float64(total) / float64(len(want))
	chi := 0.0
	for key := range want {
		d := float64(count[key]) - mean
		chi += d * d / mean
	}
	// With 197 degrees of freedom, 99.9 % lie below 264.
	if chi > 264 || chi < 140 {
		t.Errorf("chi-square is %.1f for %d items and %d draws", chi, len(want), total)
	}
}

// TestDrawEverything draws no more than there is: each item once, in an order that the seed decides.
func TestDrawEverything(t *testing.T) {
	r, want := stacked(t)
	v, chains := r.Open(r.Store, r.Metadata)
	order := func(seed byte) (out []string) {
		_, picks, all := drawn(t, v, chains, seed, 1000)
		if !all {
			t.Fatal("not all")
		}
		seen := map[string]bool{}
		for _, p := range picks {
			key := p.item.place.source + " " + p.item.rec.Path
			if seen[key] {
				t.Errorf("%s comes twice", key)
			}
			seen[key] = true
			out = append(out, key)
		}
		if len(seen) != len(want) {
			t.Errorf("%d items, want %d", len(seen), len(want))
		}
		return out
	}
	one, same, other := fmt.Sprint(order(1)), fmt.Sprint(order(1)), fmt.Sprint(order(2))
	if one != same || one == other {
		t.Error("the order is not the seed's")
	}
}

// TestDrawAgain holds that a seed draws the same again, and another seed something else: anyone can redraw it.
func TestDrawAgain(t *testing.T) {
	r, _ := stacked(t)
	v, chains := r.Open(r.Store, r.Recovery)
	paths := func(seed byte) string {
		var b bytes.Buffer
		_, picks, _ := drawn(t, v, chains, seed, 50)
		for _, p := range picks {
			fmt.Fprintln(&b, p.j, p.item.place.chain, p.item.rec.Path)
		}
		return b.String()
	}
	if one, again, other := paths(1), paths(1), paths(2); one != again || one == other {
		t.Error("the draw is not the seed's")
	}
}

// TestPosition holds that positions lie where they should, for any total.
func TestPosition(t *testing.T) {
	r := newRun(nil, Options{Seed: record.Hash{7}})
	for _, total := range []int64{1, 2, 3, 1 << 40, 1<<62 + 12345} {
		for j := range 200 {
			if p := r.position(j, total); p < 0 || p >= total {
				t.Fatalf("position %d of %d", p, total)
			}
		}
	}
}

// TestTrim holds that records which take too much memory end the draw at a run from its beginning.
func TestTrim(t *testing.T) {
	var picks []pick
	for j := range 10 {
		picks = append(picks, pick{9 - j, &item{size: maxHeld / 4}})
	}
	kept, held, limit := trim(picks, sizes(picks), 1<<30)
	if held > maxHeld || len(kept) == 0 || limit != kept[len(kept)-1].j {
		t.Fatalf("%d kept with %d bytes, limit %d", len(kept), held, limit)
	}
	for i, p := range kept {
		if p.j != i {
			t.Errorf("kept %d at %d: no run from the beginning", p.j, i)
		}
	}
	if again, _, _ := trim(append(kept, pick{limit + 1, &item{}}), 0, limit); len(again) != len(kept) {
		t.Error("a draw behind the end was taken in")
	}
}

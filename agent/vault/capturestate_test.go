package vault_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"farshore/agent/record"
	"farshore/agent/vault"
)

// TestState stores capture state of two names with commits, which each later one keeps until it is set anew.
func TestState(t *testing.T) {
	r := newRig(t)
	ctx := context.Background()
	n := 0
	commit := func(set map[string]string) *vault.Commit {
		t.Helper()
		w, end, err := r.begin()
		must(t, err)
		defer end()
		for of, line := range set {
			must(t, w.SetState(ctx, of, [][]byte{[]byte(line), []byte("second")}))
		}
		n++
		c, err := r.write(w, map[string][]byte{fmt.Sprint("item", n): []byte(fmt.Sprint(n))})
		must(t, err)
		return c
	}
	state := func(c *vault.Commit, of string) string {
		t.Helper()
		v := r.open()
		snap, err := v.Snapshot(ctx, c)
		must(t, err)
		lines, err := snap.State(ctx, of)
		must(t, err)
		if lines == nil {
			return ""
		}
		if len(lines) != 2 || string(lines[1]) != "second" {
			t.Fatalf("%q", lines)
		}
		return string(lines[0])
	}
	commits := []*vault.Commit{
		commit(nil), commit(map[string]string{"a": "1"}), commit(nil), commit(map[string]string{"a": "1", "b": "x"}), commit(map[string]string{"a": "2"}), commit(map[string]string{"a": "2"}),
	}
	for i, want := range [][2]string{{"", ""}, {"1", ""}, {"1", ""}, {"1", "x"}, {"2", "x"}, {"2", "x"}} {
		if a, b := state(commits[i], "a"), state(commits[i], "b"); a != want[0] || b != want[1] {
			t.Errorf("commit %d: %q and %q, want %q", i, a, b, want)
		}
	}
	v := r.open()
	names := map[record.Hash]bool{}
	for _, c := range commits {
		snap, err := v.Snapshot(ctx, c)
		must(t, err)
		for _, s := range snap.Root().States {
			names[s.Name] = true
		}
	}
	if len(names) != 3 {
		t.Errorf("%d pages of state for 3 values", len(names))
	}
	r.verified()
}

// TestStateRefused holds that a state with a line feed in it is not stored, and that the writer goes on.
func TestStateRefused(t *testing.T) {
	r := newRig(t)
	w, end, err := r.begin()
	must(t, err)
	defer end()
	if err := w.SetState(context.Background(), "a", [][]byte{[]byte("1\n2")}); err == nil {
		t.Error("a state with a line feed was stored")
	}
	c, err := r.write(w, map[string][]byte{"x": []byte("1")})
	must(t, err)
	snap, err := r.open().Snapshot(context.Background(), c)
	must(t, err)
	if len(snap.Root().States) != 0 {
		t.Errorf("states %v", snap.Root().States)
	}
}

// TestJudge holds that whoever judges is told what the commit adds, and that the commit says so.
func TestJudge(t *testing.T) {
	r := newRig(t)
	w, end, err := r.begin()
	must(t, err)
	defer end()
	first, err := r.write(w, map[string][]byte{"x": make([]byte, 100000)})
	must(t, err)
	if c := first.Counts; c.Raw != 100000 || c.Stored <= 0 || c.Stored > first.AddedBytes {
		t.Errorf("counted %+v of %d added", c, first.AddedBytes)
	}
	p := w.NewPass()
	var told [2]int64
	for i := range p.Spans() {
		p.Begin(i)
		must(t, p.End(context.Background(), "", true))
	}
	c, err := p.Commit(context.Background(), "", vault.CommitInfo{Complete: true, Judge: func(raw, stored int64) vault.Judgement {
		told = [2]int64{raw, stored}
		return vault.Judgement{Suspicious: []string{"a: b"}, Accepted: []string{"c: d"}}
	}})
	must(t, err)
	if told != [2]int64{} || !slices.Equal(c.Suspicious, []string{"a: b"}) || !slices.Equal(c.Accepted, []string{"c: d"}) || c.Good() {
		t.Errorf("told %v, commit %+v", told, c)
	}
	chain := r.chain(r.open())
	if current := chain.Current(); len(current) != 2 || current[0] != chain.Newest() || current[1] != chain.NewestGood() {
		t.Errorf("%+v", current)
	}
	if k := chain.NewestGood(); k == nil || k.Seq != first.Seq || k.Counts.Raw != 100000 {
		t.Errorf("the newest good snapshot is %+v", k)
	}
	if k := chain.Newest(); k.Seq != c.Seq {
		t.Errorf("the newest snapshot is %d", k.Seq)
	}
}

package main

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"farshore/agent/record"
)

// grown is newShop with two snapshots, and the head of its chain as snapshots prints it for programs.
func grown(t *testing.T) (r *rig, chain, head string) {
	t.Helper()
	r = newShop(t)
	r.ok("replicate")
	r.put(map[string]string{"c": "delta"})
	r.ok("replicate")
	var s snapshotsResult
	r.json(&s, "snapshots")
	return r, s.Chains[0].Chain, s.Chains[0].Head
}

// rollBack removes the newest commit of the chain.
func (r *rig) rollBack(chain string) {
	r.t.Helper()
	commits := files(r.t, "vault/commits/"+chain)
	if err := os.Remove("vault/commits/" + chain + "/" + slices.Max(slices.Collect(maps.Keys(commits)))); err != nil {
		r.t.Fatal(err)
	}
}

// TestRolledBackReaders holds every reader to refuse a chain that lost a commit which was seen on this machine, and to read it all the same when it is told to.
func TestRolledBackReaders(t *testing.T) {
	r, chain, head := grown(t)
	r.rollBack(chain)
	readers := [][]string{{"ls", "shop"}, {"cat", "shop", "b", "--identity", "kit/recovery.key"}, {"restore", "--source", "shop", "--to", "out", "--identity", "kit/recovery.key"}}
	for _, args := range readers {
		r.run(args...).ends(exitDamage).warns("the chain ends before, or differs from", "commit "+head+" was seen", "the chain ends with commit 2", "hint: commits that were there are gone", "--seen ignore").lacks("3 items")
	}
	d, env := r.json(nil, "ls", "shop")
	if d.code != exitDamage || env.Error.Code != codeChain || !strings.Contains(env.Error.Hint, "--seen ignore") {
		t.Errorf("exit %d, %+v", d.code, env.Error)
	}
	for _, args := range readers {
		r.ok(append(args, "--seen", "ignore")...).warns("warning: chain "+chain+" of shop", "read all the same, because of --seen ignore")
	}
	var l struct{ Notices []string }
	if r.json(&l, "ls", "shop", "--seen", "ignore"); len(l.Notices) != 1 || !strings.Contains(l.Notices[0], "--seen ignore") {
		t.Errorf("%q", l.Notices)
	}
	if got := files(t, "out"); len(got) != 3 {
		t.Errorf("%q", got)
	}
	// What lists, lists all the same.
	r.run("snapshots").ends(exitDamage).says("head of shop: 2:", "ROLLED BACK: the chain ends before").warns("hint: commits that were there")
	r.run("snapshots", "--seen", "ignore").ends(exitDamage).says("head of shop: 2:")
	var s snapshotsResult
	if r.json(&s, "snapshots", "shop"); len(s.Chains) != 1 || s.Chains[0].RolledBack == "" {
		t.Errorf("%+v", s)
	}
	var v verifyResult
	if _, env := r.json(&v, "verify", "--identity", "kit/recovery.key"); env.Error == nil || env.Error.Code != codeChain || len(v.Heads) != 1 || v.Heads[0].RolledBack == "" || v.Audit.Items.Restored == 0 {
		t.Errorf("%+v, %+v", v, env.Error)
	}
	r.run("verify", "shop").ends(exitDamage).says("ROLLED BACK")
	// What is seen now is less, and is not taken for more.
	r.run("ls", "shop").ends(exitDamage)
}

// TestRolledBackByHand gives back a head that was kept elsewhere, on a machine that has never seen the vault.
func TestRolledBackByHand(t *testing.T) {
	r, chain, head := grown(t)
	t.Chdir(t.TempDir())
	seq, hash, _ := strings.Cut(head, ":")
	marks := []string{head, seq + ":" + hash[:32], seq + ":" + hash[:16]}
	for _, m := range marks {
		r.ok(r.bare("ls", "shop", "--seen", m)...).says("4 items")
	}
	r.ok(r.bare("snapshots")...).says("head of shop: "+seq+":"+hash[:32]+"\n", "keep the heads elsewhere", "--seen SEQ:HASH")
	r.ok(r.bare("verify")...).says("head of shop: "+seq+":"+hash[:32]+"\n", "keep the heads elsewhere")
	for _, bad := range []string{seq + ":" + hash[:15], seq, "x:" + hash, seq + ":" + hash + "0", "", "Ignore"} {
		r.run(r.bare("ls", "shop", "--seen", bad)...).ends(exitUsage).warns("--seen: ", "hint: give a head as")
	}
	t.Chdir(r.dir)
	r.rollBack(chain)
	t.Chdir(t.TempDir())
	for _, m := range marks {
		r.run(r.bare("ls", "shop", "--seen", m)...).ends(exitDamage).warns("no chain of the vault has commit "+m, "--seen ignore")
		r.run(r.bare("restore", "--source", "shop", "--to", "out", "--seen", m)...).ends(exitDamage)
		r.run(r.bare("verify", "shop", "--seen", m)...).ends(exitDamage).warns(m)
		r.run(r.bare("snapshots", "shop", "--seen", m)...).ends(exitDamage).warns(m)
		r.ok(r.bare("ls", "shop", "--seen", m, "--seen", "ignore")...).says("3 items").warns(m)
	}
	r.ok(r.bare("ls", "shop")...).says("3 items") // who knows nothing notices nothing
}

// TestChainGone takes a chain away whole: what it was of is remembered.
func TestChainGone(t *testing.T) {
	r, chain, head := grown(t)
	if err := os.RemoveAll("vault/commits/" + chain); err != nil {
		t.Fatal(err)
	}
	r.run("ls", "shop").ends(exitDamage).warns("chain "+chain+" of shop", head)
	r.run("snapshots").ends(exitDamage).says("head of shop: none", "ROLLED BACK")
	r.run("verify").ends(exitDamage).warns("chain " + chain)
}

// TestSeenState holds the marks to be kept where --state says, to be raised only, and to say so when they are lost.
func TestSeenState(t *testing.T) {
	r, chain, head := grown(t)
	read := func(path string) (mark seenMark) {
		t.Helper()
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var m seenMarks
		if err := json.Unmarshal(b, &m); err != nil {
			t.Fatal(err)
		}
		for _, chains := range m.Vaults {
			mark = chains[chain]
		}
		return mark
	}
	if m := read("state/seen.json"); record.Hash(m.Hash).String() != head[2:] || m.Seq != 3 || m.Source != "shop" {
		t.Errorf("%+v", m)
	}
	mine := r.path("mine")
	r.ok(r.bare("ls", "shop", "--state", mine)...)
	if m := read(mine + "/seen.json"); m.Seq != 3 {
		t.Errorf("%+v", m)
	}
	if err := os.WriteFile("state/seen.json", []byte("{garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.ok("ls", "shop").warns("seen.json: it is damaged", "is forgotten, so that a chain that was rolled back would not be noticed", "it was kept as", "seen.json.damaged-1")
	if kept, err := os.ReadFile("state/seen.json.damaged-1"); string(kept) != "{garbage" {
		t.Errorf("%q, %v", kept, err)
	}
	r.ok("ls", "shop").lacks("damaged")
	later := `{"farshore":"seen","version":2,"later":true}`
	if err := os.WriteFile("state/seen.json", []byte(later), 0o600); err != nil {
		t.Fatal(err)
	}
	r.ok("ls", "shop").warns("a newer farshore wrote it")
	if kept, err := os.ReadFile("state/seen.json"); string(kept) != later {
		t.Errorf("%q, %v", kept, err)
	}
	if err := os.RemoveAll("state"); err != nil {
		t.Fatal(err)
	}
	r.ok("ls", "shop").lacks("seen")
	if _, err := os.Stat("state"); !os.IsNotExist(err) {
		t.Error("a reader made the agent's directory of state")
	}
}

// TestSeenOtherVault holds marks of one vault not to be held against another that is read with the same state, where nothing but the vault says which it is.
func TestSeenOtherVault(t *testing.T) {
	r, chain, _ := grown(t)
	other := map[string]seenMark{seenChain(1): markOf(5)}
	m := newSeenMarks()
	m.Vaults[seenVault] = other
	if err := writeSeen("state", m); err != nil {
		t.Fatal(err)
	}
	r.ok("ls", "shop").lacks("seen")
	m, err := readSeen("state")
	if err != nil || len(m.Vaults) != 2 || m.Vaults[seenVault][seenChain(1)] != markOf(5) {
		t.Fatalf("%+v, %v", m, err)
	}
	r.rollBack(chain)
	r.run("ls", "shop").ends(exitDamage).warns("was seen, and the chain ends with commit 2")
}

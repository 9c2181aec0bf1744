package agent_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"farshore/agent"
	"farshore/agent/record"
	"farshore/agent/vault"
)

// TestKnownDamaged has a pass told of a damaged pack: what rests on it is stored anew, once, and the new snapshot restores without it.
func TestKnownDamaged(t *testing.T) {
	b := newBackRig(t)
	b.fill("a", 5, 20_000)
	b.mustPass()
	bad := b.store.packs()
	b.fill("bb", 5, 20_000)
	b.mustPass()
	b.src.put("a/001", noise(1, 20_000)) // changed
	b.bad = map[record.Hash]bool{}
	for _, name := range bad {
		h, err := record.ParsePackName(name)
		must(t, err)
		b.bad[h] = true
	}
	sum := b.mustPass()
	if sum.Mended != 4 || sum.Changed != 1 || sum.Unchanged != 5 {
		t.Errorf("%d mended, %d changed, %d unchanged", sum.Mended, sum.Changed, sum.Unchanged)
	}
	for _, name := range bad {
		b.store.Remove(name)
	}
	b.restores()
	captures, packs := b.src.captures, len(b.store.packs())
	b.mustPass()
	if b.src.captures != captures || len(b.store.packs()) != packs {
		t.Error("a pass later something was stored anew again")
	}
	// Not even an agent that lost its state rests anything on it, nor does it take it up again from the chunk tables.
	must(t, os.RemoveAll(b.dir))
	b.src.del("a/000")
	b.mustPass()
	b.bad = nil
	b.src.put("again", noise(1000, 20_000)) // as a/000 was
	b.mustPass()
	b.restores()
}

// TestKnownDamagedStays leaves an item as it is that is excluded, and does not write its range again each time.
func TestKnownDamagedStays(t *testing.T) {
	b := newBackRig(t)
	b.fill("a", 5, 20_000)
	b.mustPass()
	h, err := record.ParsePackName(b.store.packs()[0])
	must(t, err)
	b.bad = map[record.Hash]bool{h: true}
	o := agent.Options{Match: func(path string) bool { return path != "a/002" }}
	sum := b.mustReplicate(b.src, o)
	if sum.Mended != 4 || !slices.ContainsFunc(sum.Notices, func(f vault.Finding) bool {
		return strings.HasPrefix(f.Text, "1 of the snapshot's items rest on objects that are damaged") && strings.Contains(f.Text, `"a/002"`)
	}) {
		t.Errorf("%d mended, %+v", sum.Mended, sum.Notices)
	}
	objects := len(b.store.Objects())
	b.mustReplicate(b.src, o)
	if n := len(b.store.Objects()); n != objects+1 { // the commit alone
		t.Errorf("%d objects more", n-objects)
	}
	b.restores()
}

// lose takes a meta object of the newest snapshot away, and from the agent's cache.
func (b *backRig) lose(refs ...record.Ref) {
	b.t.Helper()
	for _, r := range refs {
		b.store.Remove(record.MetaName(r.Name))
	}
	must(b.t, os.RemoveAll(filepath.Join(b.dir, "meta")))
}

// TestDamagedSegment loses a segment: the first pass that meets it says so, and the next one captures its range afresh.
func TestDamagedSegment(t *testing.T) {
	for _, known := range []bool{false, true} {
		t.Run(fmt.Sprint("known: ", known), func(t *testing.T) {
			b := newBackRig(t)
			b.fill("a", 5, 20_000)
			b.mustPass()
			v := b.open()
			snap, err := v.Snapshot(context.Background(), b.chain(v).Head())
			must(t, err)
			segments := snap.Segments()
			b.lose(segments...)
			b.src.del("a/003")
			if known {
				b.bad = map[record.Hash]bool{segments[0].Name: true}
			} else {
				_, err := b.pass()
				b.damage(err, record.MetaName(segments[0].Name))
				if !strings.Contains(err.Error(), "the next pass") {
					t.Errorf("%v does not say what comes of it", err)
				}
			}
			sum := b.mustPass()
			if !sum.Complete || sum.New != 4 {
				t.Errorf("%+v", sum)
			}
			b.restores()
			if sum := b.mustPass(); sum.New+sum.Changed+sum.Mended != 0 || len(sum.Notices) > 0 {
				t.Errorf("a pass later %+v", sum)
			}
		})
	}
}

// TestDamagedRoot goes on from the snapshot before where the newest one's root is lost.
func TestDamagedRoot(t *testing.T) {
	b := newBackRig(t)
	b.fill("a", 5, 20_000)
	b.mustPass()
	b.src.put("more", noise(5, 1000))
	b.src.del("a/001")
	sum := b.mustPass()
	b.lose(*sum.Head.Root)
	b.src.put("a/002", noise(6, 1000))
	sum = b.mustPass()
	if !slices.ContainsFunc(sum.Notices, func(f vault.Finding) bool { return f.Severity == vault.Damage }) {
		t.Errorf("notices: %+v", sum.Notices)
	}
	b.restores()
}

package agent_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"farshore/agent"
	"farshore/agent/record"
	"farshore/agent/repo/gittest"
	"farshore/agent/repo/refs"
	"farshore/providers"
	"farshore/providers/mem"
)

// vanish takes an object away for good, with all its versions.
func (l *lockRig) vanish(name string) {
	l.t.Helper()
	all, _, _, err := l.store.Versions(context.Background(), name, providers.Mark{}, 100)
	must(l.t, err)
	for _, v := range all {
		l.store.RemoveVersion(name, v.ID)
	}
	must(l.t, os.RemoveAll(filepath.Join(l.dir, "meta")))
}

// TestDamagedSegmentUnderLocks loses a segment whose packs' locks are to be asked for: the pass that meets it says so, and the next one captures its range afresh.
func TestDamagedSegmentUnderLocks(t *testing.T) {
	for what, before := range map[string]func(*lockRig){
		"the locks are remembered":  func(*lockRig) {},
		"the locks end too soon":    func(l *lockRig) { l.wait(16 * day) },
		"the local state is lost":   func(l *lockRig) { l.dir += "lost" },
		"the locks are asked again": func(l *lockRig) { l.wait(50 * day) },
	} {
		t.Run(what, func(t *testing.T) {
			l := newLockRig(t)
			l.fill()
			l.mustPass()
			lost := record.MetaName(l.newest().Segments()[0].Name)
			before(l)
			l.vanish(lost)
			_, err := l.pass()
			(&backRig{rig: l.rig}).damage(err, lost)
			if sum := l.mustPass(); !sum.Complete || sum.New != 20 {
				t.Errorf("%+v", sum)
			}
			l.check(l.in(30 * day))
		})
	}
}

// TestDamagedListAndSegment loses a segment together with the public list that says what it refers to, where a pack is known to be damaged.
func TestDamagedListAndSegment(t *testing.T) {
	b := newBackRig(t)
	b.fill("a", 5, 20_000)
	sum := b.mustPass()
	v := b.open()
	snap, err := v.Snapshot(t.Context(), b.chain(v).Head())
	must(t, err)
	segment := snap.Segments()[0]
	live, err := v.Live(t.Context(), *sum.Head.List)
	must(t, err)
	b.src.put("b", noise(3, 1000))
	b.mustPass()
	b.lose(segment, record.Ref{Name: live.Lists[0].Name})
	pack, err := record.ParsePackName(b.store.packs()[0])
	must(t, err)
	b.bad = map[record.Hash]bool{pack: true}
	_, err = b.pass()
	b.damage(err, record.MetaName(segment.Name))
	if sum := b.mustPass(); !sum.Complete {
		t.Errorf("%+v", sum)
	}
	b.restores()
}

// TestDamagedRefs loses a page that only a capture reads, of which no audit said anything yet: the pass that meets it says so, and the next one captures the repository in full.
func TestDamagedRefs(t *testing.T) {
	root := memDir(t)
	app := gittest.New(t, filepath.Join(root, "app.git"), "", true)
	first := app.Commit("main", map[string]string{"a": "1"})
	for i := range 200 {
		app.Branch(fmt.Sprintf("a-branch-with-a-long-name-%d-%x", i, noise(uint64(i), 16)), first)
	}
	store := newUntrue()
	b := &backRig{rig: newRigOn(t, store), store: store}
	b.mustReplicate(gits(t, root), agent.Options{})
	v := b.open()
	m := &repoModel{t: t, rig: b.rig, store: mem.New()}
	snap, err := v.Snapshot(t.Context(), m.chainOf(v, "git").Head())
	must(t, err)
	var pages []record.Ref
	for r, err := range snap.Records(t.Context(), "", "") {
		must(t, err)
		if p := r.Part(record.PartRefs); p != nil {
			for _, l := range p.Lines {
				pages = append(pages, l.Ref)
			}
		}
	}
	if len(pages) == 0 {
		t.Fatal("the refs are in no page")
	}
	b.lose(pages...)
	app.Commit("main", map[string]string{"a": "2"})
	_, err = b.replicate(t.Context(), gits(t, root), agent.Options{})
	b.damage(err, record.MetaName(pages[0].Name))
	sum := b.mustReplicate(gits(t, root), agent.Options{})
	if !sum.Complete || sum.Changed+sum.Mended != 1 {
		t.Errorf("%+v", sum)
	}
	snap, err = b.open().Snapshot(t.Context(), sum.Head)
	must(t, err)
	for r, err := range snap.Records(t.Context(), "", "") {
		must(t, err)
		if lost := refs.ParseLost(r.Attrs[record.AttrLost]); r.Kind == record.KindGit && lost != (refs.Lost{Untold: 1}) {
			t.Errorf("it lost %+v; nobody can tell", lost)
		}
	}
	c := &comeback{t: t, v: b.open(), kind: "git"}
	if c.restored(snap, "app.git") != stateAt(t, "git", app.Dir) {
		t.Error("it restores as something else")
	}
}

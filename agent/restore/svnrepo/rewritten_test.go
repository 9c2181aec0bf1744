package svnrepo_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"farshore/agent/record"
	"farshore/agent/repo/svncmd"
	"farshore/agent/repo/svntest"
	"farshore/agent/restore/svnrepo"
	"farshore/agent/source/svn"
)

const sameID = "01234567-89ab-cdef-0123-456789abcdef"

// filler is so much text that an edit of a part of it is stored as a difference to the rest.
var filler = strings.Repeat("a line of text that stays\n", 40)

// scrubbed makes a repository whose second revision has these words in it, and whose others are the same whatever they are.
func scrubbed(t *testing.T, dir, words string) *svntest.Repo {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	r := svntest.New(t, dir)
	svntest.Run(t, nil, svncmd.Admin, "setuuid", dir, sameID)
	r.Commit("1", svntest.Node{Path: "a", Action: "add", Text: []byte(filler)}, svntest.Node{Path: "b", Action: "add", Text: []byte(filler)})
	r.Commit("2", svntest.Node{Path: "a", Action: "change", Text: []byte(filler + words + filler)})
	r.Commit("3", svntest.Node{Path: "b", Action: "change", Text: []byte(filler + "b")})
	return r
}

// TestScrubbed replaces a repository by one with the same id and the same last revision, whose history has other words in it. A new chain is begun, and goes on.
func TestScrubbed(t *testing.T) {
	t.Parallel()
	for _, server := range []bool{false, true} {
		root := t.TempDir()
		dir := filepath.Join(root, "app")
		scrubbed(t, dir, "password=secret")
		r := local(t, root)
		if server {
			r = newRig(t, svn.Options{Address: svntest.Serve(t, root, "", "", "") + "/app"})
		}
		r.pass()
		repo := scrubbed(t, dir, "password=XXXXXX")
		if server { // it shows nothing of it until something is committed
			repo.Commit("4", svntest.Node{Path: "c", Action: "add", Text: []byte("c")})
		}
		r.pass()
		if got := r.svn().Attrs["rewritten"]; !strings.HasSuffix(got, ": revisions 0 to 3 are not what they were") || r.count(record.PartDump) != 1 {
			t.Errorf("rewritten is %q, and there are %d dumps", got, r.count(record.PartDump))
		}
		r.same(dir)
		if restored, _ := r.restore(svnrepo.Options{}); strings.Contains(svntest.Dump(t, restored), "secret") {
			t.Error("what is no longer in the repository was restored")
		}
		repo.Commit("x", svntest.Node{Path: "a", Action: "change", Text: []byte("x\n" + filler + "password=XXXXXX" + filler[5:])})
		r.pass()
		if r.count(record.PartDump) != 2 {
			t.Errorf("the new chain has %d dumps", r.count(record.PartDump))
		}
		r.same(dir)
	}
}

// TestCopied replaces a repository by a copy, and one that is loaded from a dump, which have other files and the same history: the chain goes on.
func TestCopied(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	dir := filepath.Join(root, "app")
	repo := scrubbed(t, dir, "words")
	r := local(t, root)
	r.pass()
	repo.Commit("4", svntest.Node{Path: "c", Action: "add", Text: []byte("c")})
	r.pass()
	dump, instance := svntest.Dump(t, dir), r.svn().Attrs["instance"]
	copied := filepath.Join(t.TempDir(), "copy")
	svntest.Run(t, nil, svncmd.Admin, "hotcopy", dir, copied)
	for _, load := range []bool{false, true} {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		if load {
			svntest.New(t, dir)
			svntest.Run(t, strings.NewReader(dump), svncmd.Admin, "load", "--quiet", "--force-uuid", dir)
		} else {
			svntest.Run(t, nil, svncmd.Admin, "hotcopy", copied, dir)
		}
		r.pass()
		if got := r.svn().Attrs["rewritten"]; got != "" || r.count(record.PartDump) != 2 || r.svn().Attrs["instance"] == instance {
			t.Errorf("loaded %v: rewritten is %q, there are %d dumps, the instance is %q", load, got, r.count(record.PartDump), r.svn().Attrs["instance"])
		}
		instance = r.svn().Attrs["instance"]
		r.same(dir)
	}
}

// TestDamagedLater damages a revision that was captured before: what is compared in passing says nothing then, and what is new is captured.
func TestDamagedLater(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	dir := filepath.Join(root, "app")
	repo := scrubbed(t, dir, "words")
	r := local(t, root)
	r.pass()
	mend := corrupt(t, dir, 2)
	for i := range 3 {
		repo.Commit("more", svntest.Node{Path: string(rune('c' + i)), Action: "add", Text: []byte("more")})
		r.pass()
	}
	if got := r.svn().Attrs; got["youngest"] != "6" || got[record.AttrOmitted] != "" || got["rewritten"] != "" {
		t.Errorf("captured up to %s, omitted %q, rewritten %q", got["youngest"], got[record.AttrOmitted], got["rewritten"])
	}
	mend()
	r.same(dir)
}

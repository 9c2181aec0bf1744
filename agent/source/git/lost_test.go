package git

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"farshore/agent/record"
	"farshore/agent/repo/gittest"
)

// TestLost loses objects of a repository that was captured: its refs stay in the record, since the vault has what they reach, new work is still captured, and
// the record says what the source lacks.
func TestLost(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "a.git")
	repo := gittest.New(t, dir, "sha1", true)
	first := repo.Commit("main", map[string]string{"a": "1\n"})
	repo.Branch("other", first)
	last := repo.Commit("main", map[string]string{"a": "2\n"})
	p := replicate(t, Options{Address: "git+file://" + root})
	p.must()
	whole := stateOf(repo)
	want := p.records[item{"a.git", record.KindGit}].Attrs[attrRefs]
	if err := os.Remove(filepath.Join(dir, "objects", last[:2], last[2:])); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		p.must()
		rec := p.records[item{"a.git", record.KindGit}]
		if rec.State != record.Present || rec.Attrs[attrRefs] != want || !strings.Contains(rec.Attrs[record.AttrOmitted], last) {
			t.Fatalf("after the loss: %s, %+v", rec.State, rec.Attrs)
		}
	}
	repo.Run("update-ref", "refs/heads/new", first)
	p.must()
	rec := p.records[item{"a.git", record.KindGit}]
	if rec.Attrs[attrCount] != "3" || !strings.Contains(rec.Attrs[record.AttrOmitted], last) {
		t.Errorf("with new work: %+v", rec.Attrs)
	}
	whole.refs["refs/heads/new"] = first
	p.restores("after the loss", p.set("a.git"), whole)
}

package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"farshore/agent/record"
	"farshore/agent/repo/gittest"
	"farshore/agent/repo/refs"
	"farshore/agent/source"
	"farshore/agent/source/git/local"
	"farshore/agent/source/sourcetest"
)

// liar is a repository that gives another pack than the one that was asked for.
type liar struct {
	*local.Repository
	pack  func(ctx context.Context, wants, haves []string, thin bool) (io.ReadCloser, error)
	byID  bool
	asked int
}

func (l *liar) Pack(ctx context.Context, wants, haves []string, thin bool) (io.ReadCloser, error) {
	l.asked++
	p, err := l.pack(ctx, wants, haves, thin)
	if err != nil {
		return nil, err
	}
	if l.byID {
		return byID{p}, nil
	}
	return plain{p}, nil
}

type plain struct{ io.ReadCloser }

type byID struct{ io.ReadCloser }

func (byID) BasesByID() bool { return true }

// TestTooLittle holds that a pack which can't be all of a repository is not taken for it, and is asked for once more.
func TestTooLittle(t *testing.T) {
	r := gittest.Large(t, filepath.Join(t.TempDir(), "r.git"), 40, 3)
	here, err := local.Open(t.Context(), r.Dir, local.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	commits := strings.Fields(r.Run("rev-list", "main"))
	empty := []byte("PACK\x00\x00\x00\x02\x00\x00\x00\x00\x02\x9d\x08\x82\x3b\xd8\xa8\xea\xb5\x10\xad\x6a\xc7\x5c\x82\x3c\xfd\x3e\xd3\x1e")
	nothing := func(context.Context, []string, []string, bool) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(empty)), nil
	}
	few := func(ctx context.Context, _, _ []string, _ bool) (io.ReadCloser, error) {
		return here.Pack(ctx, commits[:1], commits[1:], false)
	}
	thin := func(ctx context.Context, wants, _ []string, _ bool) (io.ReadCloser, error) {
		return here.Pack(ctx, wants, commits[20:], true)
	}
	for i, oid := range commits {
		r.Branch(fmt.Sprint("b", i), oid)
	}
	for _, c := range []struct {
		name  string
		pack  func(context.Context, []string, []string, bool) (io.ReadCloser, error)
		byID  bool
		words string // empty: it is taken
	}{
		{"nothing", nothing, false, "the answer has 0 objects"},
		{"fewer objects than refs", few, false, "refs point to 40"},
		{"built upon what is not in it", thin, false, "stand on its own"},
		{"bases by id from a server that knows no offsets", thin, true, ""},
		{"whole", here.Pack, false, ""},
	} {
		b := &liar{Repository: here, pack: c.pack, byID: c.byID}
		s, err := New(Options{Address: "git+https://host/r.git"})
		if err != nil {
			t.Fatal(err)
		}
		h := &history{source: s, repo: s.at("r.git"), backend: b, sink: new(sourcetest.Memory)}
		_, _, err = h.capture(t.Context())
		err = s.failure(t.Context(), h.repo, err)
		var bad *source.Unreadable
		switch {
		case c.words == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.words != "" && (!errors.As(err, &bad) || bad.Reason != record.ReasonOther || !strings.Contains(bad.Detail, c.words) || b.asked != 2):
			t.Errorf("%s: after %d packs: %v", c.name, b.asked, err)
		}
	}
}

// TestRebased holds that a chain of a certain age is begun anew with what is added next, so that a pack that lacked something does not matter for ever; a fork builds
// upon its leader's new packs.
func TestRebased(t *testing.T) {
	root := t.TempDir()
	a := gittest.Large(t, filepath.Join(root, "a.git"), 40, 7)
	b := fork(t, a, filepath.Join(root, "b.git"), 1)
	p := replicate(t, Options{Address: "git+file://" + root, LFS: "off"})
	at := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	p.src.now = func() time.Time { return at }
	step := func(what, wantA, wantB string) {
		t.Helper()
		p.must()
		for name, want := range map[string]string{"a.git": wantA, "b.git": wantB} {
			rec := p.get(name, record.KindGit)
			if got := rec.Attrs[attrBased]; !strings.HasPrefix(got, want) {
				t.Errorf("%s: %s is based %s, not %s", what, name, got, want)
			}
		}
		p.restores(what, p.set("a.git"), stateOf(a))
		p.restores(what, p.set("b.git"), stateOf(b))
	}
	commit := func(text string) {
		a.Commit("main", map[string]string{"new": text})
		b.Commit("main", map[string]string{"newer": text})
	}
	step("first", "2030-01-01", "2030-01-01")
	at = at.Add(29 * 24 * time.Hour)
	commit("1")
	step("young", "2030-01-01", "2030-01-01")
	at = at.Add(2 * 24 * time.Hour)
	step("old, nothing new", "2030-01-01", "2030-01-01")
	commit("2")
	step("old", "2030-02-01", "2030-02-01")
	if n := len(packs(p.get("a.git", record.KindGit))); n != 1 {
		t.Errorf("%d packs of what was begun anew", n)
	}
	if one, other := packs(p.get("a.git", record.KindGit))[0], packs(p.get("b.git", record.KindGit))[0]; one.SHA256 != other.SHA256 {
		t.Error("the fork does not build upon its leader's new pack")
	}
	at = at.Add(40 * 24 * time.Hour)
	b.Commit("main", map[string]string{"newer": "3"})
	step("an old leader", "2030-02-01", "2030-03-13")
	if rec := p.get("b.git", record.KindGit); rec.Attrs[attrShared] != "" || len(packs(rec)) != 1 {
		t.Errorf("a fork of an old leader: %d packs, %q shared", len(packs(rec)), rec.Attrs[attrShared])
	}
}

// TestWrongObject holds that a repository on this machine with an object that has another's content is captured, said to lack something for as long as that is so,
// and captured anew when it is repaired.
func TestWrongObject(t *testing.T) {
	root := t.TempDir()
	r := gittest.New(t, filepath.Join(root, "r.git"), "", true)
	r.Commit("main", map[string]string{"a": "what it says"})
	r.Commit("other", map[string]string{"b": strings.Repeat("some text\n", 50)})
	file := func(content string) string {
		oid := r.Blob(content)
		return filepath.Join(r.Dir, "objects", oid[:2], oid[2:])
	}
	right, wrong := file("what it says"), file("something else")
	good := filepath.Join(t.TempDir(), "good")
	if err := errors.Join(os.Rename(right, good), os.Link(wrong, right)); err != nil {
		t.Fatal(err)
	}
	p := replicate(t, Options{Address: "git+file://" + root, LFS: "off"})
	for i := range 3 {
		p.must()
		rec := p.get("r.git", record.KindGit)
		if said := rec.Attrs[record.AttrOmitted]; !strings.HasPrefix(said, noteDamage) {
			t.Fatalf("pass %d: omitted: %q", i, said)
		}
		if i == 1 {
			r.Commit("other", map[string]string{"c": "more"})
		}
	}
	if n := len(packs(p.get("r.git", record.KindGit))); n != 2 {
		t.Errorf("%d packs", n)
	}
	if err := errors.Join(os.Remove(right), os.Rename(good, right)); err != nil {
		t.Fatal(err)
	}
	p.must()
	rec := p.get("r.git", record.KindGit)
	if said := rec.Attrs[record.AttrOmitted]; said != "" || len(packs(rec)) != 1 {
		t.Errorf("repaired: %d packs, omitted %q", len(packs(rec)), said)
	}
	p.restores("repaired", p.set("r.git"), stateOf(r))
	p.checked("repaired", p.set("r.git"))
}

// TestFits holds that refs that the vault does not take are refused before anything is stored.
func TestFits(t *testing.T) {
	m := &refs.Manifest{Format: refs.SHA1, Refs: []refs.Ref{{Name: "refs/heads/main", OID: strings.Repeat("1", 40)}}}
	size := int64(len(m.Encode()))
	if err := fits(m, size); err != nil {
		t.Error(err)
	}
	var bad *source.Unreadable
	if err := fits(m, size-1); !errors.As(err, &bad) || bad.Reason != record.ReasonTooLarge || !strings.Contains(bad.Detail, "1 refs") {
		t.Error(err)
	}
}

// TestGrowing holds that a file that grows while it is read ends the reading.
func TestGrowing(t *testing.T) {
	if b, err := io.ReadAll(&growing{r: strings.NewReader("12345"), left: 5}); string(b) != "12345" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := io.ReadAll(&growing{r: strings.NewReader("123456"), left: 5}); err == nil {
		t.Error("it has no end")
	}
}

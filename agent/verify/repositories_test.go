package verify_test

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"filippo.io/age"

	"farshore/agent/record"
	"farshore/agent/repo/refs"
	"farshore/agent/repo/svncmd"
	"farshore/agent/repo/svntest"
	"farshore/agent/source"
	"farshore/agent/vault"
	"farshore/agent/verify"
	"farshore/providers"
)

func empty(t *testing.T, dir string) {
	t.Helper()
	if all, err := os.ReadDir(dir); err != nil || len(all) > 0 {
		t.Errorf("left in %s: %v, %v", dir, all, err)
	}
}

func counts(t *testing.T, what string, got, want verify.Repositories) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %+v, want %+v", what, got, want)
	}
}

// TestRepositories counts the newest capture of each repository and, of an older snapshot, what is another one there, and compares with the sources.
func TestRepositories(t *testing.T) {
	r := newRig(t)
	one := r.repository("one.git")
	r.repository("two.git")
	books := svntest.New(t, filepath.Join(r.root, "svn/books"))
	books.Commit("first", svntest.Node{Path: "a", Action: "add", Text: []byte("one\n")})
	r.pass(r.git())
	r.pass(r.svn())
	res := r.checked(verify.Options{})
	counts(t, "the first passes", res.Repositories, verify.Repositories{Checked: 3})
	if !res.OK() {
		t.Errorf("findings: %+v", res.Findings)
	}
	r.pass(r.git())
	counts(t, "nothing new", r.checked(verify.Options{}).Repositories, verify.Repositories{Checked: 3})
	one.Commit("main", map[string]string{"file": "another\n"})
	books.Commit("second", svntest.Node{Path: "a", Action: "change", Text: []byte("two\n")})
	r.pass(r.svn())
	live := map[string]verify.Looker{"gits": r.git(), "svns": r.svn()}
	counts(t, "an older Subversion", r.checked(verify.Options{Live: live}).Repositories, verify.Repositories{Checked: 4, Older: 1, Current: 2, Moved: 1})
	r.pass(r.git())
	must(t, os.RemoveAll(filepath.Join(r.root, "git/two.git")))
	res = r.checked(verify.Options{Live: live})
	if n := res.Repositories.Older; n != 2 && n != 1 { // the older snapshot of git is one of two, of which one is as the other
		t.Errorf("%d older", n)
	}
	if res.Repositories.Unseen != 1 || res.Repositories.Current != 2 || finding(res, vault.Notice, `repository "two.git"`) == "" {
		t.Errorf("one is gone at the source: %+v %+v", res.Repositories, res.Findings)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestSameContent holds that repositories which are alike are each checked, and that each is named.
func TestSameContent(t *testing.T) {
	r := newRig(t)
	r.repository("a.git")
	must(t, os.CopyFS(filepath.Join(r.root, "git/b.git"), os.DirFS(filepath.Join(r.root, "git/a.git"))))
	r.pass(r.git())
	counts(t, "two alike", r.checked(verify.Options{}).Repositories, verify.Repositories{Checked: 2})
}

// TestWithoutRecoveryKey holds that nothing counts as checked without the key that opens contents, nor where items are not put together.
func TestWithoutRecoveryKey(t *testing.T) {
	r := newRig(t)
	r.repository("one.git")
	r.pass(r.git())
	res, err := r.verify(t.Context(), r.store, verify.Options{Items: true}, r.metadata)
	if !errors.Is(err, vault.ErrLocked) || res.Repositories.Checked != 0 {
		t.Errorf("with the agent's key: %v, %+v", err, res)
	}
	for _, ids := range [][]age.Identity{nil, {r.recovery}} {
		res, err := r.verify(t.Context(), r.store, verify.Options{}, ids...)
		if err != nil || res.ItemsChecked || res.Repositories != (verify.Repositories{}) {
			t.Errorf("without items: %v, %+v", err, res)
		}
	}
}

// TestDamagedPacks flips a byte of a stored pack, and loses one: the repository and the commit are named.
func TestDamagedPacks(t *testing.T) {
	for _, what := range []string{"flipped", "missing"} {
		t.Run(what, func(t *testing.T) {
			r := newRig(t)
			r.repository("good.git")
			r.pass(r.git())
			r.repository("later.git")
			r.pass(r.git())
			for _, name := range r.packsOf("later.git", record.PartPack) {
				b := slices.Clone(r.store.Objects()[name])
				r.store.Remove(name)
				if what == "flipped" {
					b[len(b)/2] ^= 1
					r.store.Set(name, b)
				}
			}
			res := r.checked(verify.Options{})
			counts(t, what, res.Repositories, verify.Repositories{Checked: 1, Problems: 1})
			if text := finding(res, vault.Damage, `repository "later.git" as of commit `); !strings.Contains(text, "pack 1 of 1") || res.OK() {
				t.Errorf("%q, %+v", text, res.Findings)
			}
		})
	}
}

// TestWrongRecords writes records that do not fit what they tell of, each with all hashes right: only a restore shows it.
func TestWrongRecords(t *testing.T) {
	var first *record.Record
	for _, c := range []struct {
		name, says string
		twist      func(t *testing.T, rec *record.Record, sink source.Sink)
	}{
		{"another's pack", "trailer", func(_ *testing.T, rec *record.Record, _ source.Sink) {
			if first == nil {
				first = rec
				return
			}
			mine := rec.Part(record.PartPack)
			attrs := mine.Attrs
			*mine = *first.Part(record.PartPack)
			mine.Attrs = attrs
		}},
		{"another's pack, with what is said of it", "refs", func(_ *testing.T, rec *record.Record, _ source.Sink) {
			if first == nil {
				first = rec
				return
			}
			*rec.Part(record.PartPack) = *first.Part(record.PartPack)
		}},
		{"a ref to what no pack has", "refs", func(t *testing.T, rec *record.Record, sink source.Sink) {
			if rec.Path != "b.git" {
				return
			}
			old := rec.Part(record.PartRefs)
			b, err := sink.Read(t.Context(), old)
			must(t, err)
			m, err := refs.Decode(b)
			must(t, err)
			m.Refs = append(m.Refs, refs.Ref{Name: "refs/heads/nowhere", OID: strings.Repeat("12", 20)})
			part, err := sink.Lines(t.Context(), record.Part{Kind: record.PartRefs}, m.Encode())
			must(t, err)
			*old, rec.Attrs["refs"] = part, m.Digest()
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			first = nil
			r.repository("a.git")
			r.repository("b.git")
			r.pass(twisted{r.git(), func(rec *record.Record, sink source.Sink) { c.twist(t, rec, sink) }})
			res := r.checked(verify.Options{})
			counts(t, c.name, res.Repositories, verify.Repositories{Checked: 1, Problems: 1})
			if text := finding(res, vault.Damage, `repository "b.git" as of commit `); !strings.Contains(text, c.says) {
				t.Errorf("%q", text)
			}
		})
	}
}

// TestWrongRevision writes the dump of a repository in which one revision is another's.
func TestWrongRevision(t *testing.T) {
	r := newRig(t)
	uuid := ""
	for _, name := range []string{"a", "b"} {
		repo := svntest.New(t, filepath.Join(r.root, "svn", name))
		if uuid == "" {
			uuid = strings.TrimSpace(svntest.Run(t, nil, svncmd.Look, "uuid", repo.Dir))
		}
		svntest.Run(t, nil, svncmd.Admin, "setuuid", repo.Dir, uuid)
		repo.Commit("first", svntest.Node{Path: "f", Action: "add", Text: []byte("one\n")})
		repo.Commit("second", svntest.Node{Path: "f", Action: "change", Text: []byte("of " + name + "\n")})
		repo.Commit("third", svntest.Node{Path: "g", Action: "add", Text: []byte("three\n")})
	}
	var first *record.Record
	r.pass(twisted{r.svn(), func(rec *record.Record, _ source.Sink) {
		if first == nil {
			first = rec
			return
		}
		attrs := rec.Part(record.PartDump).Attrs
		*rec.Part(record.PartDump) = *first.Part(record.PartDump)
		rec.Part(record.PartDump).Attrs = attrs
	}})
	res := r.checked(verify.Options{})
	counts(t, "a changed revision", res.Repositories, verify.Repositories{Checked: 1, Problems: 1})
	if text := finding(res, vault.Damage, `repository "b" as of commit `); !strings.Contains(text, "revision 2 differs") {
		t.Errorf("%q", text)
	}
}

// TestUnable holds that a machine that can't check says so: without the programs, and without room.
func TestUnable(t *testing.T) {
	r := newRig(t)
	noise := make([]byte, 1<<19)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(noise) // it never fails
	r.repository("one.git").Commit("main", map[string]string{"noise": string(noise)})
	books := svntest.New(t, filepath.Join(r.root, "svn/books"))
	books.Commit("first", svntest.Node{Path: "a", Action: "add", Text: []byte(strings.Repeat("x", 1<<20))})
	r.pass(r.git())
	r.pass(r.svn())
	hold := func(what string, res *verify.Result) {
		t.Helper()
		counts(t, what, res.Repositories, verify.Repositories{Unchecked: 2})
		for _, name := range []string{"one.git", "books"} {
			if text := finding(res, vault.Notice, `repository "`+name+`"`); !strings.Contains(text, "not checked: ") {
				t.Errorf("%s: %s: %q", what, name, text)
			}
		}
		if !res.OK() {
			t.Errorf("%s: %+v", what, res.Findings)
		}
	}
	t.Run("programs", func(t *testing.T) {
		t.Setenv("PATH", t.TempDir())
		hold("without the programs", r.checked(verify.Options{}))
	})
	t.Run("room", func(t *testing.T) {
		dir := t.TempDir()
		if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k,mode=700"); err != nil {
			t.Skipf("a small file system can't be mounted: %v", err)
		}
		defer func() {
			if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
				t.Error(err)
			}
		}()
		hold("without room", r.checked(verify.Options{Scratch: dir}))
	})
}

// failing is a store that refuses to open packs as soon as the scratch directory has something.
type failing struct {
	providers.Driver
	scratch string
	refused atomic.Int64
}

// Open implements providers.Driver.
func (f *failing) Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	if there, err := os.ReadDir(f.scratch); err != nil || len(there) > 0 && strings.HasPrefix(name, "packs/") {
		f.refused.Add(1)
		return nil, &providers.Error{Kind: providers.Denied, Op: "open", Name: name, Err: err}
	}
	return f.Driver.Open(ctx, name, off, n)
}

// TestStoreFails holds that a store which fails while repositories are restored ends the verification, and is not called damage.
func TestStoreFails(t *testing.T) {
	r := newRig(t)
	r.repository("one.git")
	r.pass(r.git())
	f := &failing{Driver: r.store, scratch: t.TempDir()}
	res, err := r.verify(t.Context(), f, verify.Options{Items: true, Scratch: f.scratch}, r.recovery)
	if err == nil || !strings.Contains(err.Error(), "one.git") || res.Items == 0 || res.Damaged > 0 || res.Repositories.Checked > 0 || f.refused.Load() == 0 {
		t.Errorf("%v, %+v, %d refused", err, res, f.refused.Load())
	}
	empty(t, f.scratch)
}

// looking ends a context when it is asked.
type looking struct{ cancel context.CancelFunc }

// Look cancels.
func (l looking) Look(ctx context.Context, _, _ string) (record.Attrs, error) {
	l.cancel()
	return nil, io.ErrUnexpectedEOF
}

// TestCancelledRepositories holds that an interruption ends the verification and leaves nothing.
func TestCancelledRepositories(t *testing.T) {
	r := newRig(t)
	r.repository("one.git")
	r.repository("two.git")
	r.pass(r.git())
	ctx, cancel := context.WithCancel(t.Context())
	dir := t.TempDir()
	res, err := r.verify(ctx, r.store, verify.Options{Items: true, Scratch: dir, Live: map[string]verify.Looker{"gits": looking{cancel}}}, r.recovery)
	if !errors.Is(err, context.Canceled) || res.Repositories.Problems > 0 || res.Repositories.Checked > 0 {
		t.Errorf("%v, %+v", err, res.Repositories)
	}
	empty(t, dir)
}

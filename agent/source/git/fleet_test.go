package git

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"farshore/agent/record"
	"farshore/agent/repo/gitserver"
	"farshore/agent/repo/gittest"
	"farshore/agent/source"
)

// fork copies a repository, and adds a commit of its own.
func fork(t *testing.T, of *gittest.Repo, dir string, n int) *gittest.Repo {
	t.Helper()
	if err := os.CopyFS(dir, os.DirFS(of.Dir)); err != nil {
		t.Fatal(err)
	}
	f := gittest.New(t, dir, "", true)
	f.Commit("main", map[string]string{"fork": fmt.Sprintf("fork %d\n", n)})
	return f
}

// TestForks holds that forks are captured as what differs from the first of them, that each restores on its own, and that their later captures build upon that.
func TestForks(t *testing.T) {
	for _, place := range places {
		t.Run(place.name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			all := []*gittest.Repo{gittest.Large(t, filepath.Join(root, "f0.git"), 100, 7)}
			names := []string{"f0.git"}
			for i := range 3 {
				names = append(names, fmt.Sprintf("f%d.git", i+1))
				all = append(all, fork(t, all[0], filepath.Join(root, names[i+1]), i))
			}
			o := place.address(t, root)
			o.Repositories = names
			p := replicate(t, o)
			p.must()
			p.restores("a fork", p.set("f3.git"), stateOf(all[3]))
			base := packs(p.get("f0.git", record.KindGit))[0]
			for _, name := range names[1:] {
				list := packs(p.get(name, record.KindGit))
				if shared := p.get(name, record.KindGit).Attrs[attrShared]; shared != "1" {
					t.Errorf("%s: %q packs are said to be another's", name, shared)
				}
				if len(list) != 2 || list[0].SHA256 != base.SHA256 || list[1].Size > base.Size/4 {
					t.Errorf("%s: %d packs, of %d bytes", name, len(list), list[len(list)-1].Size)
				}
			}
			if p.memory.Stored > base.Size*3/2 {
				t.Errorf("four repositories of a network take %d bytes, one takes %d", p.memory.Stored, base.Size)
			}
			p.src.increments = 1
			for i := range 2 {
				for n, r := range all {
					r.Commit("main", map[string]string{fmt.Sprint("later", i): fmt.Sprint(n, i)})
				}
				p.must()
			}
			for i, name := range names {
				p.restores("later "+name, p.set(name), stateOf(all[i]))
			}
			if list := packs(p.get("f2.git", record.KindGit)); list[0].SHA256 != base.SHA256 {
				t.Error("a fork no longer builds upon the first repository's pack")
			}
		})
	}
}

// TestLeaderMissing holds that forks do without a leader that is not captured in the pass, or fails, and use one that is unchanged.
func TestLeaderMissing(t *testing.T) {
	root := t.TempDir()
	a := gittest.Large(t, filepath.Join(root, "a.git"), 60, 7)
	b := fork(t, a, filepath.Join(root, "b.git"), 1)
	o := Options{Address: "git+file://" + root, LFS: "off"}
	t.Run("excluded", func(t *testing.T) {
		p := replicate(t, o)
		p.src.patience = 50 * time.Millisecond
		p.excluded = func(path string) bool { return path == "a.git" }
		p.must()
		p.restores("b", p.set("b.git"), stateOf(b))
	})
	t.Run("fails", func(t *testing.T) {
		p := replicate(t, o)
		full := errors.New("the vault is full")
		p.failAt = func(i item) error {
			if i.path == "a.git" && i.kind == record.KindGit {
				return full
			}
			return nil
		}
		if err := p.pass(); !errors.Is(err, full) {
			t.Errorf("an error of the sink became %v", err)
		}
		p.restores("b", p.set("b.git"), stateOf(b))
		p.failAt = nil
		p.must()
		p.restores("a", p.set("a.git"), stateOf(a))
	})
	t.Run("unchanged", func(t *testing.T) {
		p := replicate(t, o)
		p.excluded = func(path string) bool { return path == "b.git" }
		p.must()
		p.excluded = nil
		next := replicate(t, o)
		next.memory, next.records = p.memory, p.records
		next.must()
		if list := packs(next.get("b.git", record.KindGit)); len(list) != 2 || list[0].SHA256 != packs(next.get("a.git", record.KindGit))[0].SHA256 {
			t.Errorf("%d packs", len(list))
		}
		next.restores("b", next.set("b.git"), stateOf(b))
	})
}

// TestAlternates holds that a repository that borrows objects is captured whole, and with the one that it borrows from.
func TestAlternates(t *testing.T) {
	root := t.TempDir()
	pool := gittest.Large(t, filepath.Join(root, "pool.git"), 60, 3)
	r := gittest.New(t, filepath.Join(root, "app.git"), "", true)
	if err := os.MkdirAll(filepath.Join(r.Dir, "objects", "info"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(r.Dir, "objects", "info", "alternates"), []byte("../../pool.git/objects\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	r.Set("refs/heads/main", pool.Run("rev-parse", "HEAD~3"))
	r.Commit("main", map[string]string{"own": "1\n"})
	p := replicate(t, Options{Address: "git+file://" + root})
	p.must()
	p.restores("app", p.set("app.git"), stateOf(r))
	p.restores("pool", p.set("pool.git"), stateOf(pool))
	if a, b := packs(p.get("app.git", record.KindGit)), packs(p.get("pool.git", record.KindGit)); a[0].SHA256 != b[0].SHA256 {
		t.Error("the two have no pack in common")
	}
}

// TestOneBad holds that repositories that can't be captured are recorded as such, with what to do, and keep no other from being captured.
func TestOneBad(t *testing.T) {
	root := t.TempDir()
	mark := filepath.Join(t.TempDir(), "executed")
	repos := map[string]*gittest.Repo{}
	for i, name := range []string{"a.git", "broken.git", "headless.git", "hostile.git", "shallow.git", "z.git"} {
		repos[name] = gittest.Large(t, filepath.Join(root, name), 20, uint64(i+1))
	}
	p := replicate(t, Options{Address: "git+file://" + root})
	p.must()
	for _, r := range repos {
		r.Commit("main", map[string]string{"more": "1\n"})
	}
	breakPacks(t, repos["broken.git"])
	write(t, filepath.Join(repos["shallow.git"].Dir, "shallow"), repos["shallow.git"].Run("rev-parse", "main~1")+"\n")
	if err := os.Remove(filepath.Join(repos["headless.git"].Dir, "HEAD")); err != nil {
		t.Fatal(err)
	}
	repos["hostile.git"].Run("config", "core.fsmonitor", "touch "+mark)
	repos["hostile.git"].Run("config", "uploadpack.packObjectsHook", "touch "+mark)
	write(t, filepath.Join(repos["hostile.git"].Dir, "hooks", "pre-commit"), "#!/bin/sh\ntouch "+mark+"\n")
	p.must()
	for name, reason := range map[string]string{"broken.git": record.ReasonBroken, "headless.git": record.ReasonBroken, "shallow.git": record.ReasonUnsupported} {
		r := p.records[item{name, record.KindGit}]
		if r.State != record.Unreadable || r.Reason != reason || r.Detail == "" || r.Last == nil || len(packs(r.Last)) == 0 {
			t.Errorf("%s: %s %s %q", name, r.State, r.Reason, r.Detail)
		}
	}
	for it, r := range p.records {
		if it.kind != record.KindGit && r.State != record.Present {
			t.Errorf("%s %s: %s %s", it.path, it.kind, r.State, r.Detail)
		}
	}
	for _, name := range []string{"a.git", "hostile.git", "z.git"} {
		p.restores(name, p.set(name), stateOf(repos[name]))
	}
	if _, err := os.Stat(mark); err == nil {
		t.Error("something of a repository was executed")
	}
	// What is repaired goes on from what there was.
	if err := os.Remove(filepath.Join(repos["shallow.git"].Dir, "shallow")); err != nil {
		t.Fatal(err)
	}
	p.must()
	if got := packs(p.get("shallow.git", record.KindGit)); len(got) != 2 {
		t.Errorf("a repaired repository has %d packs", len(got))
	}
	p.restores("repaired", p.set("shallow.git"), stateOf(repos["shallow.git"]))
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o777); err != nil {
		t.Fatal(err)
	}
}

// breakPacks flips bytes in all packs and loose objects of a repository that has been packed.
func breakPacks(t *testing.T, r *gittest.Repo) {
	t.Helper()
	r.Run("repack", "-a", "-d", "-q")
	names, err := filepath.Glob(filepath.Join(r.Dir, "objects", "pack", "*.pack"))
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for i := 40; i < len(b)-40; i += 50 {
			b[i] ^= 0xff
		}
		if err := os.Chmod(name, 0o666); err != nil {
			t.Fatal(err)
		}
		write(t, name, string(b))
	}
}

// TestServerTrouble holds what is recorded when some repositories of a server can't be had, and what the check says of it.
func TestServerTrouble(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	good := gittest.New(t, filepath.Join(root, "good.git"), "", true)
	good.Commit("main", map[string]string{"a": "1\n"})
	gittest.New(t, filepath.Join(root, "secret.git"), "", true).Commit("main", map[string]string{"a": "1\n"})
	gittest.New(t, filepath.Join(root, "down.git"), "", true).Commit("main", map[string]string{"a": "1\n"})
	url := gitserver.HTTP(t, root, gitserver.HTTPOptions{Intercept: func(w http.ResponseWriter, req *http.Request, _ http.Handler) bool {
		switch {
		case strings.Contains(req.URL.Path, "secret.git"):
			w.WriteHeader(http.StatusForbidden)
		case strings.Contains(req.URL.Path, "down.git"):
			w.WriteHeader(http.StatusTeapot)
		default:
			return false
		}
		return true
	}})
	p := replicate(t, Options{Address: "git+" + url, Repositories: []string{"good.git", "secret.git", "gone.git", "down.git"}})
	p.must()
	p.restores("good", p.set("good.git"), stateOf(good))
	for name, reason := range map[string]string{"secret.git": record.ReasonDenied, "gone.git": record.ReasonVanished, "down.git": record.ReasonOther} {
		r := p.records[item{name, record.KindGit}]
		if r == nil || r.Reason != reason || r.Detail == "" {
			t.Errorf("%s: %+v", name, r)
		}
		if r := p.records[item{name, record.KindLFS}]; r != nil {
			t.Errorf("%s: a history that can't be captured makes an lfs record: %+v", name, r)
		}
	}
	if err := p.src.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "down.git") {
		t.Errorf("check: %v", err)
	}
}

// TestUnreachable holds that a source fails as a whole when no repository can be read and none is to blame.
func TestUnreachable(t *testing.T) {
	s := replicate(t, Options{Address: "git+https://host", Repositories: []string{"a.git"}}).src
	refused := &repository{path: "a.git", seen: survey{err: errors.New("connection refused")}}
	denied := &repository{path: "b.git", seen: survey{err: &source.Unreadable{Reason: record.ReasonDenied}}}
	for _, c := range []struct {
		repos []*repository
		fails bool
	}{
		{nil, false},
		{[]*repository{refused}, true},
		{[]*repository{refused, refused}, true},
		{[]*repository{refused, denied}, false},
		{[]*repository{refused, {seen: survey{ok: true}}}, false},
	} {
		if err := s.unreachable(c.repos); (err != nil) != c.fails {
			t.Errorf("%d repositories: %v", len(c.repos), err)
		}
	}
}

// TestVanished holds that a repository that is no longer there keeps its record, and that nothing is said where the listing has a gap.
func TestVanished(t *testing.T) {
	root := t.TempDir()
	gittest.New(t, filepath.Join(root, "a.git"), "", true).Commit("main", map[string]string{"a": "1\n"})
	gittest.New(t, filepath.Join(root, "deep", "b.git"), "", true).Commit("main", map[string]string{"a": "1\n"})
	p := replicate(t, Options{Address: "git+file://" + root})
	p.must()
	if err := os.Rename(filepath.Join(root, "a.git"), filepath.Join(t.TempDir(), "a.git")); err != nil {
		t.Fatal(err)
	}
	p.must()
	if _, err := p.src.Look(t.Context(), "a.git", record.KindGit); !errors.Is(err, source.ErrGone) {
		t.Errorf("a look at what is gone: %v", err)
	}
	if r := p.records[item{"a.git", record.KindGit}]; r.Reason != record.ReasonVanished || r.Last == nil {
		t.Errorf("the repository: %+v", r)
	}
	for _, kind := range []string{record.KindLFS, record.KindSidecar} {
		if r := p.records[item{"a.git", kind}]; r == nil || r.State != record.Present {
			t.Errorf("%s: %+v", kind, r)
		}
	}
	s := p.src
	s.doubts[""] = []string{"deep"}
	for path, want := range map[string]bool{"deep/b.git": false, "deep": false, "deeper/b.git": true} {
		if got := s.Vanished(&record.Record{Path: path}) != nil; got != want {
			t.Errorf("%s: %v", path, got)
		}
	}
	s.doubts[""] = []string{""}
	if s.Vanished(&record.Record{Path: "x"}) != nil {
		t.Error("a listing that failed as a whole makes repositories vanish")
	}
}

// TestGap holds that a folder that can't be looked into is an error of the listing, which has all others.
func TestGap(t *testing.T) {
	root := t.TempDir()
	gittest.New(t, filepath.Join(root, "z.git"), "", true)
	if err := os.MkdirAll(filepath.Join(root, strings.Repeat("d/", 105)), 0o777); err != nil {
		t.Fatal(err)
	}
	p := replicate(t, Options{Address: "git+file://" + root})
	var gap *source.Gap
	if err := p.pass(); !errors.As(err, &gap) || !strings.Contains(err.Error(), "d/d") {
		t.Errorf("the gap is not told: %v", err)
	}
	p.get("z.git", record.KindGit)
}

// TestRange holds that a range's listing has what lies in it and nothing else.
func TestRange(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"a.git", "b.git", "c/d.git", "e.git"} {
		gittest.New(t, filepath.Join(root, name), "", true)
	}
	s := replicate(t, Options{Address: "git+file://" + root, LFS: "off"}).src
	var got []string
	err := s.List(t.Context(), source.Range{From: "b.git", To: "e.git"}, func(e source.Entry) error {
		got = append(got, e.Path+" "+e.Kind)
		return nil
	})
	if want := []string{"b.git git", "b.git sidecar", "c/d.git git", "c/d.git sidecar"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
}

// TestBusy holds that captures of a repository that is pushed to, forced, repacked and pruned all the while are each of one moment, and whole.
func TestBusy(t *testing.T) {
	t.Parallel()
	rounds := 3
	if long() {
		rounds = 300
	}
	root := t.TempDir()
	r := gittest.Large(t, filepath.Join(root, "r.git"), 100, 5)
	p := replicate(t, Options{Address: "git+file://" + root})
	ctx, stop := context.WithCancel(t.Context())
	busy := make(chan struct{})
	go func() {
		defer close(busy)
		disturb(ctx, r)
	}()
	kept := 0
	for range rounds {
		p.must()
		rec := p.records[item{"r.git", record.KindGit}]
		if rec.State != record.Present {
			if rec.Reason != record.ReasonChanging {
				t.Errorf("%s: %s", rec.Reason, rec.Detail)
			}
			continue
		}
		kept++
		p.checked("a capture under pushes", p.set("r.git"))
	}
	stop()
	<-busy
	if kept == 0 {
		t.Error("nothing could be captured")
	}
	p.must()
	p.restores("quiet again", p.set("r.git"), stateOf(r))
}

// disturb changes the repository until ctx ends.
func disturb(ctx context.Context, r *gittest.Repo) {
	rng := rand.New(rand.NewPCG(1, 2))
	git := func(stdin string, args ...string) string {
		out, _ := r.Git.Output(context.WithoutCancel(ctx), strings.NewReader(stdin), args...) // now and then they get into each other's way
		return strings.TrimSpace(string(out))
	}
	for n := 0; ctx.Err() == nil; n++ {
		switch rng.IntN(6) {
		case 0:
			git("", "update-ref", "refs/heads/main", git("", "rev-parse", fmt.Sprintf("main~%d", rng.IntN(3))))
		case 1:
			git("", "-c", "gc.reflogExpire=now", "gc", "--prune=now", "--quiet")
		case 2:
			git("", "update-ref", "-d", fmt.Sprintf("refs/heads/b%d", rng.IntN(n+1)))
		default:
			blob := git(fmt.Sprint("blob ", n), "hash-object", "-w", "--stdin")
			tree := git("100644 blob "+blob+"\tf\n", "mktree")
			commit := git("", "commit-tree", "-p", "main", "-m", fmt.Sprint(n), tree)
			git("", "update-ref", fmt.Sprintf("refs/heads/b%d", n), commit)
			git("", "update-ref", "refs/heads/main", commit)
		}
	}
}

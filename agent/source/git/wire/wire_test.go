package wire_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"farshore/agent/record"
	"farshore/agent/repo/gitcmd"
	"farshore/agent/repo/gitserver"
	"farshore/agent/repo/gittest"
	"farshore/agent/repo/refs"
	"farshore/agent/source"
	"farshore/agent/source/git/wire"
)

// place is a way to reach the repositories below a directory.
type place struct {
	name    string
	url     string
	o       wire.Options
	version int  // that is asked for
	old     bool // what answers speaks version 0 or 1
}

// places serves root over http and git's own protocol in every version; sshPlace does over ssh, which is slower.
func places(t *testing.T, root string) []place {
	t.Helper()
	web, former, daemon := gitserver.HTTP(t, root, gitserver.HTTPOptions{}), gitserver.HTTP(t, root, gitserver.HTTPOptions{Version: 1}), gitserver.Daemon(t, root)
	return []place{
		{name: "http v2", url: web, version: 2},
		{name: "http v1", url: web, version: 1, old: true},
		{name: "http v0", url: web, version: 0, old: true},
		{name: "http without v2", url: former, version: 2, old: true},
		{name: "daemon v2", url: daemon, version: 2},
		{name: "daemon v1", url: daemon, version: 1, old: true},
		{name: "daemon v0", url: daemon, version: 0, old: true},
	}
}

func sshPlace(t *testing.T, root string, drop bool) place {
	t.Helper()
	url, command := gitserver.SSH(t, root, gitserver.SSHOptions{DropProtocol: drop})
	return place{name: map[bool]string{false: "ssh v2", true: "ssh without the variable"}[drop], url: url, o: wire.Options{SSH: command}, version: 2, old: drop}
}

func (p place) open(t *testing.T, path string) *wire.Remote {
	t.Helper()
	r := open(t, p.url+"/"+path, p.o)
	r.AskFor(p.version)
	return r
}

func open(t *testing.T, address string, o wire.Options) *wire.Remote {
	t.Helper()
	r, err := wire.Open(address, o)
	if err != nil {
		t.Fatal(err)
	}
	r.Sleep(func(context.Context, time.Duration) error { return nil })
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// pack reads a whole pack.
func pack(t *testing.T, r *wire.Remote, wants, haves []string, thin bool) []byte {
	t.Helper()
	s, err := r.Pack(t.Context(), wants, haves, thin)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	b, err := io.ReadAll(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// copied is a repository that is filled from packs only.
type copied struct{ *gitcmd.Git }

func newCopied(t *testing.T, format string) copied {
	t.Helper()
	g, err := gitcmd.Init(t.Context(), filepath.Join(t.TempDir(), "copy.git"), format)
	if err != nil {
		t.Fatal(err)
	}
	return copied{g}
}

func (c copied) index(t *testing.T, pack []byte, args ...string) {
	t.Helper()
	if _, err := c.Output(t.Context(), bytes.NewReader(pack), append([]string{"index-pack", "--stdin"}, args...)...); err != nil {
		t.Fatal(err)
	}
}

// lacks returns which of the ids are not there.
func (c copied) lacks(t *testing.T, ids []string) []string {
	t.Helper()
	out, err := c.Output(t.Context(), nil, "cat-file", "--batch-check=%(objectname)", "--batch-all-objects")
	if err != nil {
		t.Fatal(err)
	}
	have := strings.Fields(string(out))
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return slices.Contains(have, id) })
}

// expect makes the manifest that a repository should have from what git itself says of it.
func expect(repo *gittest.Repo, old bool) *refs.Manifest {
	m, all := &refs.Manifest{Format: repo.Format}, repo.Refs()
	for name, value := range all {
		target, symbolic := strings.CutPrefix(value, "ref: ")
		switch {
		case name == "HEAD" && symbolic && old && all[target] == "": // not told
		case name == "HEAD" && symbolic:
			m.Head = target
		case name == "HEAD":
			m.HeadOID = value
		case symbolic && all[target] == "": // dangling: git does not list it
		case symbolic && old:
			m.Refs = append(m.Refs, refs.Ref{Name: name, OID: all[target]})
		case symbolic:
			m.Refs = append(m.Refs, refs.Ref{Name: name, OID: all[target], Symref: target})
		default:
			m.Refs = append(m.Refs, refs.Ref{Name: name, OID: value})
		}
	}
	slices.SortFunc(m.Refs, func(a, b refs.Ref) int { return strings.Compare(a.Name, b.Name) })
	return m
}

func checkRefs(t *testing.T, r *wire.Remote, want *refs.Manifest) *refs.Manifest {
	t.Helper()
	m, err := r.Refs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(m.Encode()), string(want.Encode()); got != want {
		t.Errorf("refs:\n%s\nwant:\n%s", got, want)
	}
	return m
}

// begin makes a repository with all that a listing can have.
func begin(t *testing.T, dir, format string) *gittest.Repo {
	t.Helper()
	repo := gittest.New(t, dir, format, true)
	repo.Commit("main", map[string]string{"a": strings.Repeat("some text\n", 400), "d/b": "b"})
	tip := repo.Commit("main", map[string]string{"c": "c"})
	repo.Branch("same", tip)
	repo.Branch("caf\xe9", "main~1")
	repo.Tag("v1", "main~1", "first")
	repo.Tag("tree", "main^{tree}", "")
	repo.Tag("blob", "main:c", "a blob")
	repo.Set("refs/pull/1/head", tip)
	repo.Run("symbolic-ref", "refs/remotes/origin/HEAD", "refs/heads/main")
	repo.Run("symbolic-ref", "refs/dangling", "refs/heads/none")
	return repo
}

// increment changes the repository.
func increment(repo *gittest.Repo) {
	repo.Commit("main", map[string]string{"a": strings.Repeat("some text\n", 400) + "more\n"})
	repo.Commit("topic", map[string]string{"e": "e"})
	repo.Delete("refs/heads/same")
	repo.Force("caf\xe9", "main")
}

// follower copies a repository from one place.
type follower struct {
	place
	r     *wire.Remote
	c     copied
	first *refs.Manifest
}

func TestFetch(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	all := append(places(t, root), sshPlace(t, root, false), sshPlace(t, root, true))
	for _, format := range []string{"sha1", "sha256"} {
		path := format + "/it's $HOME.git"
		repo := begin(t, filepath.Join(root, path), format)
		var followers []*follower
		for _, p := range all {
			if (p.o.SSH != nil || p.version == 1) && format == "sha256" {
				continue // what carries the bytes has no part in their format
			}
			f := &follower{place: p, r: p.open(t, strings.ReplaceAll(path, " ", "%20")), c: newCopied(t, format)}
			followers = append(followers, f)
			t.Run(p.name+" "+format, func(t *testing.T) { f.full(t, repo) })
		}
		increment(repo)
		for _, f := range followers {
			t.Run(f.name+" "+format+" increment", func(t *testing.T) { f.thin(t, repo) })
		}
	}
}

func (f *follower) full(t *testing.T, repo *gittest.Repo) {
	f.first = checkRefs(t, f.r, expect(repo, f.old))
	f.c.index(t, pack(t, f.r, f.first.Tips(), nil, false))
	if missing := f.c.lacks(t, repo.Objects()); len(missing) > 0 {
		t.Fatalf("the pack lacks %v", missing)
	}
}

func (f *follower) thin(t *testing.T, repo *gittest.Repo) {
	second := checkRefs(t, f.r, expect(repo, f.old))
	unknown := strings.Repeat("ab", len(f.first.Tips()[0])/2)
	thin := pack(t, f.r, second.Tips(), append(f.first.Tips(), unknown, "of another format"), true)
	if err := newCopied(t, repo.Format).Run(t.Context(), bytes.NewReader(thin), io.Discard, "index-pack", "--stdin"); err == nil {
		t.Error("the increment is not thin")
	}
	f.c.index(t, thin, "--fix-thin")
	if missing := f.c.lacks(t, repo.Objects()); len(missing) > 0 {
		t.Fatalf("the packs lack %v", missing)
	}
}

func TestHead(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	all := places(t, root)
	for name, change := range map[string]func(*gittest.Repo){
		"same-oid": func(r *gittest.Repo) { r.Run("symbolic-ref", "HEAD", "refs/heads/same") },
		"detached": func(r *gittest.Repo) { r.Run("update-ref", "--no-deref", "HEAD", "main~1") },
		"unborn":   func(r *gittest.Repo) { r.Run("symbolic-ref", "HEAD", "refs/heads/later") },
	} {
		repo := begin(t, filepath.Join(root, name), "sha1")
		change(repo)
		for _, p := range all {
			t.Run(p.name+" "+name, func(t *testing.T) { checkRefs(t, p.open(t, name), expect(repo, p.old)) })
		}
	}
}

func TestEmpty(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for _, format := range []string{"sha1", "sha256"} {
		gittest.New(t, filepath.Join(root, format), format, true)
	}
	for _, p := range places(t, root) {
		for _, format := range []string{"sha1", "sha256"} {
			t.Run(p.name+" "+format, func(t *testing.T) {
				r := p.open(t, format)
				m, err := r.Refs(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				want := refs.Manifest{Format: format, Head: "refs/heads/main"}
				if p.old { // such a server tells no more than that there is no ref
					want = refs.Manifest{Format: m.Format}
				}
				if !bytes.Equal(m.Encode(), want.Encode()) {
					t.Errorf("%s, want %s", m.Encode(), want.Encode())
				}
				c := newCopied(t, m.Format)
				c.index(t, pack(t, r, m.Tips(), nil, false)) // an empty pack is one
			})
		}
	}
}

func TestNotThere(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for _, p := range append(places(t, root), sshPlace(t, root, false)) {
		t.Run(p.name, func(t *testing.T) {
			_, err := p.open(t, "none.git").Refs(t.Context())
			if !errors.Is(err, source.ErrGone) {
				t.Errorf("Refs: %v", err)
			}
			_, err = p.open(t, "none.git").Pack(t.Context(), []string{strings.Repeat("a", 40)}, nil, false)
			if !errors.Is(err, source.ErrGone) {
				t.Errorf("Pack: %v", err)
			}
		})
	}
}

func TestMoved(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for _, p := range places(t, root) {
		t.Run(p.name, func(t *testing.T) {
			path := strings.ReplaceAll(p.name, " ", "-")
			repo := gittest.New(t, filepath.Join(root, path), "sha1", true)
			repo.Commit("main", map[string]string{"a": "a"})
			lost := repo.Commit("topic", map[string]string{"b": "b"})
			r := p.open(t, path)
			if _, err := r.Refs(t.Context()); err != nil {
				t.Fatal(err)
			}
			repo.Delete("refs/heads/topic")
			unreachable(t, r, lost, p.old)
			repo.Run("reflog", "expire", "--expire=now", "--all")
			repo.Run("gc", "--quiet", "--prune=now")
			if _, err := r.Pack(t.Context(), []string{lost}, nil, false); !errors.Is(err, wire.ErrMoved) {
				t.Errorf("an object that is gone: %v", err)
			}
		})
	}
}

// unreachable asks for an object that no ref reaches: version 2 gives it, those before say that it moved.
func unreachable(t *testing.T, r *wire.Remote, id string, old bool) {
	t.Helper()
	s, err := r.Pack(t.Context(), []string{id}, nil, false)
	if old {
		if !errors.Is(err, wire.ErrMoved) {
			t.Errorf("an unreachable object: %v", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	b, err := io.ReadAll(s)
	if err != nil {
		t.Fatal(err)
	}
	c := newCopied(t, "sha1")
	c.index(t, b)
	if missing := c.lacks(t, []string{id}); len(missing) > 0 {
		t.Errorf("the pack lacks %v", missing)
	}
}

func TestShallow(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	repo := begin(t, filepath.Join(root, "whole"), "sha1")
	gittest.New(t, filepath.Join(root, "cut"), "sha1", true).Run("fetch", "--quiet", "--depth=1", "file://"+repo.Dir, "main:main")
	for _, p := range places(t, root) {
		t.Run(p.name, func(t *testing.T) {
			r := p.open(t, "cut")
			m, err := r.Refs(t.Context())
			if err == nil {
				_, err = r.Pack(t.Context(), m.Tips(), nil, false)
			}
			checkReason(t, err, record.ReasonUnsupported, "unshallow")
		})
	}
}

func TestSmall(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	repo := gittest.New(t, filepath.Join(root, "r"), "sha1", true)
	repo.Commit("main", map[string]string{"small": strings.Repeat("s", 1024), "large": strings.Repeat("l", 1025)})
	small, large := repo.Run("rev-parse", "main:small"), repo.Run("rev-parse", "main:large")
	for _, filter := range []bool{false, true} {
		repo.Run("config", "uploadpack.allowFilter", map[bool]string{true: "true", false: "false"}[filter])
		for _, p := range places(t, root) {
			r := p.open(t, "r")
			s, err := r.Small(t.Context(), []string{repo.Run("rev-parse", "main")}, nil)
			if err != nil {
				t.Fatal(p.name, err)
			}
			b, err := io.ReadAll(s)
			if err := errors.Join(err, s.Close()); err != nil {
				t.Fatal(p.name, err)
			}
			c := newCopied(t, "sha1")
			c.index(t, b)
			if missing := c.lacks(t, []string{small, large}); slices.Contains(missing, small) || slices.Contains(missing, large) != filter {
				t.Errorf("%s, filter %v: the pack lacks %v", p.name, filter, missing)
			}
		}
	}
}

func checkReason(t *testing.T, err error, reason, words string) {
	t.Helper()
	var u *source.Unreadable
	if !errors.As(err, &u) || u.Reason != reason || !strings.Contains(err.Error(), words) {
		t.Errorf("%v: want reason %s and the words %q", err, reason, words)
	}
}

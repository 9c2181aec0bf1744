package git

import (
	"context"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"farshore/agent/record"
	"farshore/agent/repo/gitserver"
	"farshore/agent/repo/gittest"
)

// TestTokenExpires lets the token of a server expire when the second of three repositories is fetched. With a new one at hand nothing shows; without, what came before
// is captured, the rest is recorded as denied with what there was of it, and the next pass goes on from there.
func TestTokenExpires(t *testing.T) {
	for _, renewed := range []bool{true, false} {
		root := t.TempDir()
		names := []string{"a.git", "b.git", "c.git"}
		repos := map[string]*gittest.Repo{}
		for i, name := range names {
			repos[name] = gittest.Large(t, filepath.Join(root, name), 10, uint64(i+1))
		}
		var valid, given atomic.Value
		var armed atomic.Bool
		valid.Store("one")
		given.Store("one")
		url := gitserver.HTTP(t, root, gitserver.HTTPOptions{Intercept: func(w http.ResponseWriter, req *http.Request, _ http.Handler) bool {
			body, again := bodyOf(req)
			req.Body = again
			if strings.Contains(body, "command=fetch") && strings.Contains(req.URL.Path, "b.git") && armed.CompareAndSwap(true, false) {
				valid.Store("two")
				if renewed {
					given.Store("two")
				}
			}
			if _, password, _ := req.BasicAuth(); password == valid.Load() {
				return false
			}
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			w.WriteHeader(http.StatusUnauthorized)
			return true
		}})
		p := replicate(t, Options{
			Address: "git+" + url, Repositories: names, LFS: "off", Username: "farshore",
			Password: func(context.Context) (string, error) { return given.Load().(string), nil },
		})
		p.workers = 1
		p.must()
		for _, r := range repos {
			r.Commit("main", map[string]string{"more": "1\n"})
		}
		armed.Store(true)
		p.must()
		for _, name := range names {
			if renewed || name == "a.git" {
				p.restores(name, p.set(name), stateOf(repos[name]))
				continue
			}
			r := p.records[item{name, record.KindGit}]
			if r.State != record.Unreadable || r.Reason != record.ReasonDenied || r.Last == nil || len(packs(r.Last)) != 1 || strings.Contains(r.Detail, "one") {
				t.Errorf("%s: %s %s %q", name, r.State, r.Reason, r.Detail)
			}
		}
		given.Store("two")
		p.must()
		for _, name := range names {
			if n := len(packs(p.get(name, record.KindGit))); n != 2 {
				t.Errorf("%s: %d packs", name, n)
			}
			p.checked(name, p.set(name))
		}
	}
}

// TestHiddenRefs holds what is said of refs that a server hides: a capture from the server does not have them, one of the same repository on this machine does.
func TestHiddenRefs(t *testing.T) {
	root := t.TempDir()
	r := gittest.New(t, filepath.Join(root, "r.git"), "", true)
	r.Commit("main", map[string]string{"a": "1\n"})
	r.Set("refs/keep-around/1", r.Commit("kept", map[string]string{"a": "kept\n"}))
	r.Delete("refs/heads/kept")
	whole := stateOf(r)
	r.Run("config", "transfer.hideRefs", "refs/keep-around")
	for _, place := range places {
		o := place.address(t, root)
		o.Repositories = []string{"r.git"}
		if place.name == "local" {
			o.Repositories = nil
		}
		p := replicate(t, o)
		p.must()
		if place.name == "local" {
			p.restores(place.name, p.set("r.git"), whole)
			continue
		}
		if got := p.get("r.git", record.KindGit).Attrs[attrCount]; got != "1" {
			t.Errorf("%s: %s refs", place.name, got)
		}
		r.Delete("refs/keep-around/1")
		p.restores(place.name, p.set("r.git"), stateOf(r))
	}
}

// TestOldServers captures from servers that speak as before version 2: in full, as increments, and forks.
func TestOldServers(t *testing.T) {
	for _, c := range []struct {
		name    string
		passes  int
		address func(testing.TB, string) Options
	}{
		{"http", 3, func(tb testing.TB, root string) Options {
			return Options{Address: "git+" + gitserver.HTTP(tb, root, gitserver.HTTPOptions{Version: 1})}
		}},
		{"ssh", 1, func(tb testing.TB, root string) Options {
			url, command := gitserver.SSH(tb, root, gitserver.SSHOptions{DropProtocol: true})
			return Options{Address: "git+" + url, SSH: command}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			a := gittest.Large(t, filepath.Join(root, "a.git"), 40, 3)
			b := fork(t, a, filepath.Join(root, "b.git"), 1)
			o := c.address(t, root)
			o.Repositories, o.LFS = []string{"a.git", "b.git"}, "off"
			p := replicate(t, o)
			p.must()
			h := a.History(5)
			for range c.passes {
				for range 3 {
					h.Step()
				}
				h.Commit("last", map[string]string{"last": "1\n"})
				p.must()
				p.restores("a", p.set("a.git"), stateOf(a))
			}
			p.checked("b", p.set("b.git"))
			p.restores("b", p.set("b.git"), stateOf(b))
		})
	}
}

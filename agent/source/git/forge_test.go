package git

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"farshore/agent/record"
	"farshore/agent/repo/gitserver"
	"farshore/agent/repo/gittest"
)

// TestForge holds that all repositories that a forge lists are captured, forks as such by its word, and that a listing that breaks off says nothing of
// what it did not have.
func TestForge(t *testing.T) {
	root := t.TempDir()
	app := gittest.Large(t, filepath.Join(root, "acme", "app.git"), 60, 2)
	forked := fork(t, app, filepath.Join(root, "acme", "zfork.git"), 1)
	gittest.New(t, filepath.Join(root, "acme", "empty.git"), "", true)
	names := []string{"zfork", "app", "empty"}
	var down atomic.Bool
	var web *httptest.Server
	git := gitserver.Handler(t, root, gitserver.HTTPOptions{})
	mux := http.NewServeMux()
	mux.Handle("/acme/", git)
	mux.HandleFunc("/api/v1/orgs/acme/repos", func(w http.ResponseWriter, req *http.Request) {
		if down.Load() {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		listed := []map[string]any{}
		if page := req.URL.Query().Get("page"); page == "" || page == "1" {
			for i, name := range names {
				r := map[string]any{"id": i + 1, "name": name, "full_name": "acme/" + name, "clone_url": web.URL + "/acme/" + name + ".git", "owner": map[string]any{"login": "acme"}}
				if name == "zfork" {
					r["fork"], r["parent"] = true, map[string]any{"full_name": "acme/app"}
				}
				listed = append(listed, r)
			}
		}
		w.Header().Set("X-Total-Count", strconv.Itoa(len(names)))
		_ = json.NewEncoder(w).Encode(listed)
	})
	web = httptest.NewServer(mux)
	defer web.Close()
	p := replicate(t, Options{Address: "git+" + web.URL + "/acme?forge=gitea&api=" + web.URL + "/api/v1", LFS: "off"})
	p.must()
	p.restores("app", p.set("app.git"), stateOf(app))
	p.restores("zfork", p.set("zfork.git"), stateOf(forked))
	rec := p.get("zfork.git", record.KindGit)
	if rec.Attrs[attrParent] != "acme/app" || packs(rec)[0].SHA256 != packs(p.get("app.git", record.KindGit))[0].SHA256 {
		t.Errorf("the fork is not captured as one: %v", rec.Attrs)
	}
	if n := len(packs(p.get("empty.git", record.KindGit))); n != 0 {
		t.Errorf("an empty repository has %d packs", n)
	}
	if err := p.src.Check(t.Context()); err != nil {
		t.Errorf("check: %v", err)
	}

	down.Store(true)
	if err := p.pass(); err == nil || !strings.Contains(err.Error(), "acme") {
		t.Errorf("a listing that fails: %v", err)
	}
	p.get("app.git", record.KindGit)
	down.Store(false)
	names = names[:1]
	p.must()
	if r := p.records[item{"app.git", record.KindGit}]; r.Reason != record.ReasonVanished {
		t.Errorf("no longer listed: %s %s", r.State, r.Reason)
	}
}

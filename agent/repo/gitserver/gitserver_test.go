package gitserver_test

import (
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"farshore/agent/repo/gitcmd"
	"farshore/agent/repo/gitserver"
	"farshore/agent/repo/gittest"
)

// client is a git that may use the network.
func client(t *testing.T, repo *gittest.Repo, env ...string) *gitcmd.Git {
	t.Helper()
	return &gitcmd.Git{Dir: repo.Dir, Env: append([]string{"GIT_ALLOW_PROTOCOL=http:git:ssh"}, env...)}
}

// TestPush holds that pushes are taken only where they are let in, also large ones, which git sends in chunks.
func TestPush(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	from, to := gittest.New(t, t.TempDir(), "sha1", true), gittest.New(t, filepath.Join(root, "r"), "sha1", true)
	from.Commit("main", map[string]string{"a": strings.Repeat("a", 100_000)})
	for _, push := range []bool{false, true} {
		url := gitserver.HTTP(t, root, gitserver.HTTPOptions{Push: push, Username: "me", Password: "right"})
		address := strings.Replace(url, "http://", "http://me:right@", 1) + "/r"
		err := client(t, from).Run(t.Context(), nil, io.Discard, "-c", "http.postBuffer=1000", "push", "--quiet", address, "main:main")
		if (err == nil) != push || to.Has("refs/heads/main") != push {
			t.Errorf("push %v: %v", push, err)
		}
		if err := client(t, from).Run(t.Context(), nil, io.Discard, "ls-remote", strings.Replace(address, "right", "wrong", 1)); err == nil {
			t.Error("a wrong password is taken")
		}
	}
}

// TestServe holds that git itself is served in each way, and that a server that is to be old speaks as one.
func TestServe(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	repo := gittest.New(t, filepath.Join(root, "team", "r.git"), "sha1", true)
	id := repo.Commit("main", map[string]string{"a": "a"})
	secure, command := gitserver.SSH(t, root)
	dropping, droppingCommand := gitserver.SSH(t, root, gitserver.SSHOptions{DropProtocol: true})
	for _, c := range []struct {
		name, url, ssh string
		version        string
	}{
		{"http", gitserver.HTTP(t, root, gitserver.HTTPOptions{}), "", "version 2"},
		{"http, old", gitserver.HTTP(t, root, gitserver.HTTPOptions{Version: 1}), "", ""},
		{"daemon", gitserver.Daemon(t, root), "", "version 2"},
		{"ssh", secure, strings.Join(command, " "), "version 2"},
		{"ssh, old", dropping, strings.Join(droppingCommand, " "), ""},
	} {
		var said strings.Builder
		g := client(t, repo, "GIT_TRACE_PACKET=1", "GIT_SSH_COMMAND="+c.ssh)
		s, err := g.Start(t.Context(), nil, "ls-remote", c.url+"/team/r.git", "refs/heads/main")
		if err == nil {
			_, err = io.Copy(&said, s)
		}
		if err != nil || said.String() != id+"\trefs/heads/main\n" {
			t.Errorf("%s: %q, %v", c.name, said.String(), err)
			continue
		}
		if newest := strings.Contains(s.Stderr(), "< version 2"); newest != (c.version != "") {
			t.Errorf("%s: version 2: %v\n%s", c.name, newest, s.Stderr())
		}
		_ = s.Close() // it ended
	}
}

// TestIntercept holds that a request can be answered, or passed on with another writer.
func TestIntercept(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	gittest.New(t, filepath.Join(root, "r"), "sha1", true)
	url := gitserver.HTTP(t, root, gitserver.HTTPOptions{Intercept: func(w http.ResponseWriter, r *http.Request, next http.Handler) bool {
		if r.URL.Path == "/refused" {
			w.WriteHeader(http.StatusTeapot)
			return true
		}
		w.Header().Set("X-Seen", r.URL.Path)
		next.ServeHTTP(w, r)
		return true
	}})
	for path, want := range map[string]int{"/refused": http.StatusTeapot, "/r/info/refs?service=git-upload-pack": http.StatusOK, "/none/info/refs?service=git-upload-pack": http.StatusNotFound} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close() // its head is all that counts
		if resp.StatusCode != want || (resp.Header.Get("X-Seen") == "") != (path == "/refused") {
			t.Errorf("%s: %d, %v", path, resp.StatusCode, resp.Header)
		}
	}
}

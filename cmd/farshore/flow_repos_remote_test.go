package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"farshore/agent/repo/gitserver"
	"farshore/agent/repo/gittest"
	"farshore/agent/repo/svntest"
	"farshore/providers/servers"
)

// Passwords of the servers in these tests: no output may hold them.
const (
	gitPassword = "tok-9f1c5e27"
	svnPassword = "pw-77d0aa31"
)

// secretFile writes a password to a file, with the mode that it needs.
func (r *rig) secretFile(name, password string) string {
	r.t.Helper()
	path := r.path(name)
	if err := os.WriteFile(path, []byte(password+"\n"), 0o600); err != nil {
		r.t.Fatal(err)
	}
	return path
}

// quiet holds an output to have no password in it.
func (d *did) quiet() *did { d.t.Helper(); return d.lacks(gitPassword, svnPassword, "tok-wrong") }

// plainHTTP makes a source's address of a server's.
func plainHTTP(server, path string) string { return "git+" + server + "/" + path }

// TestGitServer protects repositories of a server that wants a password, which is wrong, too open, and replaced between passes.
func TestGitServer(t *testing.T) {
	r := newRepoRig(t)
	app, lib := r.git("srv/team/app.git"), r.git("srv/team/lib.git")
	lib.Tag("v1", "main", "one")
	server := gitserver.HTTP(t, r.path("srv"), gitserver.HTTPOptions{Username: "agent", Password: gitPassword})
	token := r.secretFile("token", "tok-wrong")
	add := []string{"source", "add", "code", plainHTTP(server, "team"), "--repository", "app.git", "--repository", "lib.git", "--username", "agent", "--password-file", token}
	r.run(add...).ends(exitFailed).warns("code can't be read", "401", "hint: the server does not take the credential").quiet()
	r.run("source", "add", "code", plainHTTP(server, "team/app.git")).ends(exitFailed).warns("401", "credential")
	r.secretFile("token", gitPassword)
	if err := os.Chmod(token, 0o644); err != nil {
		t.Fatal(err)
	}
	r.run(add...).ends(exitFailed).warns("chmod 600").quiet()
	if err := os.Chmod(token, 0o600); err != nil {
		t.Fatal(err)
	}
	r.ok(add...).says("it can be read").quiet()
	r.ok("source", "list").says("app.git lib.git").quiet()
	r.ok("replicate").says("2 repositories listed, 2 new").quiet()
	r.ok("replicate").says("2 repositories listed, 0 new, 0 changed", "captured 0 B").quiet()
	app.Commit("main", map[string]string{"b": "two"})
	r.secretFile("token", "tok-wrong")
	r.run("replicate").ends(exitIncomplete).says("2 repositories unreadable: denied", "401").warns("none of them may be read", "--password-file").quiet()
	r.secretFile("token", gitPassword)
	r.ok("replicate").says("0 new, 1 changed").quiet()
	r.ok(r.bare("restore", "--source", "code", "--to", "out")...).says("2 repositories written")
	sameRefs(t, app, r.path("out/app.git"))
	sameRefs(t, lib, r.path("out/lib.git"))
	r.ok("verify", "--identity", "kit/recovery.key").says("repositories, checked by git or Subversion").quiet()
	r.run("source", "set", "code", "--repository", "app.git", "--repository", "none.git").ends(exitDone)
	r.run("replicate").ends(exitIncomplete).says("lib.git: vanished", "none.git: vanished").warns("--accept vanished").quiet()
}

// TestGitServerWays protects a repository over ssh and over git's own protocol.
func TestGitServerWays(t *testing.T) {
	r := newRepoRig(t)
	app := r.git("srv/app.git")
	r.ok("source", "add", "daemon", gitserver.Daemon(t, r.path("srv"))+"/app.git")
	address, ssh := gitserver.SSH(t, r.path("srv"))
	r.command("ssh", ssh...)
	r.ok("source", "add", "ssh", "git+"+address+"/app.git")
	r.ok("replicate").says("daemon: 1 repository listed, 1 new", "ssh: 1 repository listed, 1 new")
	r.ok("replicate").says("daemon: 1 repository listed, 0 new, 0 changed", "ssh: 1 repository listed, 0 new, 0 changed")
	for _, name := range []string{"daemon", "ssh"} {
		r.ok(r.bare("restore", "--source", name, "--to", name)...)
		sameRefs(t, app, r.path(name, "app.git"))
	}
	r.command("ssh", append(ssh, "-o", "UserKnownHostsFile=/dev/null")...)
	r.run("replicate", "ssh").ends(exitFailed).warns("known_hosts", "Host key verification failed")
}

// TestGitServerAway holds the errors of a server that is away, or that this machine does not trust, to say what to do.
func TestGitServerAway(t *testing.T) {
	r := newRepoRig(t)
	tls := httptest.NewUnstartedServer(http.NotFoundHandler())
	tls.Config.ErrorLog = log.New(io.Discard, "", 0)
	tls.StartTLS()
	t.Cleanup(tls.Close)
	r.run("source", "add", "code", "git+"+tls.URL+"/app.git").ends(exitFailed).warns("source code can't be read", "certificate", "hint: this machine does not trust")
	if os.Getenv("FARSHORE_TEST_LONG") != "1" {
		return // the rest waits for retries
	}
	nobody := servers.Unused(t)
	for _, url := range []string{"git+http://" + nobody + "/app.git", "git://" + nobody + "/app.git"} {
		r.run("source", "add", "code", url).ends(exitFailed).warns("source code can't be read", "connection refused", "hint: nothing listens at this address")
	}
}

// TestForge protects all repositories that a forge lists for an owner, of which one goes away.
func TestForge(t *testing.T) {
	r := newRepoRig(t)
	r.git("srv/team/app.git")
	r.git("srv/team/lib.git")
	f := newForge(t, r.path("srv"), "app", "lib")
	token := r.secretFile("token", "tok-wrong")
	address := plainHTTP(f.url, "team?forge=gitea&api="+url.QueryEscape(f.url+"/api/v1"))
	r.run("source", "add", "forge", address, "--password-file", token).ends(exitFailed).warns("401").quiet()
	r.secretFile("token", gitPassword)
	r.ok("source", "add", "forge", address, "--password-file", token).quiet()
	r.ok("replicate").says("2 repositories listed, 2 new").quiet()
	f.names.Store(&[]string{"app"})
	r.run("replicate").ends(exitIncomplete).says("1 repository listed", "lib", "vanished").warns("--accept vanished")
	r.ok(r.bare("restore", "--source", "forge", "--to", "out")...).says("2 repositories written", "last good content")
	f.names.Store(&[]string{"app", "lib"})
	r.ok("replicate").says("2 repositories listed").lacks("vanished")
}

// fakeForge is as much of Gitea's API as a listing needs, beside a git server.
type fakeForge struct {
	url   string
	names atomic.Pointer[[]string]
}

func newForge(t *testing.T, root string, names ...string) *fakeForge {
	t.Helper()
	f := &fakeForge{}
	f.names.Store(&names)
	f.url = gitserver.HTTP(t, root, gitserver.HTTPOptions{Password: gitPassword, Intercept: func(w http.ResponseWriter, q *http.Request, next http.Handler) bool {
		if !strings.HasPrefix(q.URL.Path, "/api/v1/") {
			_, password, _ := q.BasicAuth()
			q.SetBasicAuth("", password) // a forge takes any user name beside a token
			next.ServeHTTP(w, q)
			return true
		}
		f.api(w, q)
		return true
	}})
	return f
}

// api answers for GET /orgs/team/repos.
func (f *fakeForge) api(w http.ResponseWriter, q *http.Request) {
	switch {
	case q.Header.Get("Authorization") != "token "+gitPassword:
		http.Error(w, `{"message":"token is wrong"}`, http.StatusUnauthorized)
		return
	case q.URL.Path != "/api/v1/orgs/team/repos":
		http.Error(w, `{"message":"not found"}`, http.StatusNotFound)
		return
	}
	list := []map[string]any{}
	for i, name := range *f.names.Load() {
		full := "team/" + name
		list = append(list, map[string]any{"id": i + 1, "name": name, "full_name": full, "clone_url": f.url + "/" + full + ".git", "size": 1})
	}
	if q.URL.Query().Get("page") > "1" {
		list = list[:0]
	}
	w.Header().Set("X-Total-Count", fmt.Sprint(len(*f.names.Load())))
	_ = json.NewEncoder(w).Encode(list) // the client says when that failed
}

// TestSVNServer protects a repository of svnserve, with a password.
func TestSVNServer(t *testing.T) {
	svntest.Need(t, servers.Missing, "svn", "svnadmin", "svnserve", "svnrdump")
	r := newRepoRig(t)
	repo := r.svn("srv/one")
	server := svntest.Serve(t, r.path("srv"), "agent", svnPassword, "")
	secret := r.secretFile("secret", "tok-wrong")
	add := []string{"source", "add", "svn", server + "/one", "--username", "agent", "--password-file", secret}
	r.run(add...).ends(exitFailed).warns("svn can't be read", "hint: ").quiet()
	r.secretFile("secret", svnPassword)
	r.ok(add...).quiet()
	r.ok("replicate").says("1 repository listed, 1 new").quiet()
	r.ok("replicate").says("1 repository listed, 0 new, 0 changed").quiet()
	repo.Commit("more", svntest.Node{Path: "trunk/b", Action: "add", Text: []byte("b\n")})
	r.ok("replicate").says("0 new, 1 changed").quiet()
	r.ok("ls", "svn").says("one  [svn revision 3]")
	r.ok(r.bare("restore", "--source", "svn", "--to", "out")...).says("1 repository written").quiet()
	if got, want := svntest.Youngest(t, r.path("out/one")), svntest.Youngest(t, repo.Dir); got != want {
		t.Errorf("restored to revision %s, not %s", got, want)
	}
	r.run("source", "add", "gone", "svn://"+servers.Unused(t)+"/one").ends(exitFailed).warns("gone can't be read", "hint: nothing listens at this address")
}

// TestRestoreByPush restores to a git server that wants a password and hides some refs.
func TestRestoreByPush(t *testing.T) {
	r := newRepoRig(t)
	app := r.git("git/app.git")
	app.Set("refs/pull/1/head", "main")
	r.ok("source", "add", "code", "git+file://"+r.path("git"))
	r.ok("replicate")
	gittest.New(t, r.path("new/app.git"), "", true).Run("config", "receive.hideRefs", "refs/pull")
	server := gitserver.HTTP(t, r.path("new"), gitserver.HTTPOptions{Username: "me", Password: gitPassword, Push: true})
	token := r.secretFile("token", "tok-wrong")
	push := r.bare("restore", "--source", "code", "--item", "app.git", "--to", plainHTTP(server, "app.git"), "--username", "me", "--password-file", token)
	r.ok(append(push, "--dry-run")...).says("would restore", "1 repository to write").quiet()
	r.run(push...).ends(exitIncomplete).says("app.git: not as it was captured", "Authentication failed").warns("hint: the server does not take the credential").quiet()
	r.secretFile("token", gitPassword)
	r.ok(push...).says("1 repository written", "refs that the server has below refs/backup/ (1)").quiet()
	refs := gittest.At(t, r.path("new/app.git")).Refs()
	if refs["refs/backup/pull/1/head"] != app.Refs()["refs/pull/1/head"] || refs["refs/heads/main"] != app.Refs()["refs/heads/main"] {
		t.Errorf("pushed %v", refs)
	}
	r.ok(push...).quiet()
	gittest.At(t, r.path("new/app.git")).Commit("main", map[string]string{"other": "history"})
	r.run(push...).ends(exitIncomplete).says("app.git: ", "refs/heads/main").quiet()
}

// TestRestoreToTheWrongKind refuses destinations that can't take what a source has.
func TestRestoreToTheWrongKind(t *testing.T) {
	r := newShop(t)
	gittest.New(t, r.path("git/app.git"), "", true)
	r.ok("source", "add", "code", "git+file://"+r.path("git"))
	r.ok("replicate")
	r.run(r.bare("restore", "--source", "code", "--to", "s3://bucket/prefix")...).ends(exitUsage).warns("holds repositories", "git+https://")
	r.run(r.bare("restore", "--source", "code", "--to", "gs://bucket/prefix")...).ends(exitUsage).warns("holds repositories")
	r.run(r.bare("restore", "--source", "shop", "--to", "git+https://git.example.net/team")...).ends(exitUsage).warns("shop is a bucket")
	r.run(r.bare("restore", "--source", "shop", "--to", "out", "--as", "bundle")...).ends(exitUsage).warns("are for repositories")
	r.run(r.bare("restore", "--source", "code", "--to", "git+https://git.example.net/team", "--as", "bundle")...).ends(exitUsage).warns("takes repositories")
	r.run(r.bare("restore", "--source", "code", "--to", "out", "--username", "me")...).ends(exitUsage)
	r.run(r.bare("restore", "--source", "code", "--to", "svn://host/path")...).ends(exitUsage)
	r.run(r.bare("restore", "--source", "code", "--to", "git+https://host/path?forge=gitea")...).ends(exitUsage)
	r.run(r.bare("restore", "--source", "code", "--to", "git+http://git.example.net/path", "--password-file", "token")...).ends(exitUsage).warns("plain http", "git+https://")
	r.run(r.bare("restore", "--source", "code", "--to", "git+ssh://git.example.net/path", "--password-file", "token")...).ends(exitUsage).warns("ssh has its own keys")
	if d := r.run(r.bare("restore", "--source", "code", "--to", "git+https://me:"+gitPassword+"@host/path")...).ends(exitUsage).warns("--password-file"); strings.Contains(d.stdout+d.stderr, gitPassword) {
		t.Error("the password is shown")
	}
}

// command puts a program of that name before all others on PATH, which runs the command given.
func (r *rig) command(name string, command ...string) {
	r.t.Helper()
	dir := r.path("bin")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		r.t.Fatal(err)
	}
	script := "#!/bin/sh\nexec '" + strings.Join(command, "' '") + "' \"$@\"\n"
	if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if path := os.Getenv("PATH"); !strings.HasPrefix(path, dir+":") {
		r.t.Setenv("PATH", dir+":"+path)
	}
}

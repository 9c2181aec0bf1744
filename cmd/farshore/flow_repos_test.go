package main

import (
	"maps"
	"os"
	"path/filepath"
	"testing"

	"farshore/agent/repo/gittest"
	"farshore/agent/repo/svntest"
	"farshore/providers/servers"
)

// newRepoRig makes a vault on a machine with git, and no source yet.
func newRepoRig(t *testing.T) *rig {
	t.Helper()
	needPrograms(t, "git")
	r := &rig{t: t, dir: t.TempDir()}
	t.Chdir(r.dir)
	r.ok("init", "--vault", r.vault(), "--config", "farshore.yaml", "--kit", "kit", "--quiet")
	return r
}

func needPrograms(t *testing.T, programs ...string) {
	t.Helper()
	svntest.Need(t, servers.Missing, programs...)
}

// git makes a repository with a commit.
func (r *rig) git(name string) *gittest.Repo {
	r.t.Helper()
	repo := gittest.New(r.t, r.path(name), "", true)
	repo.Commit("main", map[string]string{"README": name + "\n"})
	return repo
}

// svn makes a repository with two revisions.
func (r *rig) svn(name string) *svntest.Repo {
	r.t.Helper()
	if err := os.MkdirAll(filepath.Dir(r.path(name)), 0o755); err != nil {
		r.t.Fatal(err)
	}
	repo := svntest.New(r.t, r.path(name))
	repo.Commit("begin", svntest.Node{Path: "trunk", Action: "add", Dir: true})
	repo.Commit("a", svntest.Node{Path: "trunk/a", Action: "add", Text: []byte("a\n")})
	return repo
}

// sameRefs holds a restored repository to have the refs of the other, and git to find it whole.
func sameRefs(t *testing.T, want *gittest.Repo, dir string) {
	t.Helper()
	got := gittest.At(t, dir)
	if !maps.Equal(got.Refs(), want.Refs()) {
		t.Errorf("%s: restored %v, not %v", dir, got.Refs(), want.Refs())
	}
	got.Run("fsck", "--full")
}

// restored is a command line that restores from what a bare machine has.
func (r *rig) restored(source, to string, more ...string) []string {
	return append(r.bare("restore", "--source", source, "--to", to), more...)
}

// TestRepositories makes passes over git and Subversion repositories of this machine, and restores them as of each.
func TestRepositories(t *testing.T) {
	needPrograms(t, "svn", "svnadmin")
	r := newRepoRig(t)
	app, lib, one := r.git("git/team/app.git"), r.git("git/team/lib.git"), r.svn("svn/one")
	r.ok("source", "add", "code", "git+file://"+r.path("git")+"?match=*.git").says("it can be read")
	r.ok("source", "add", "svn", "svn+file://"+r.path("svn"))
	r.ok("source", "list").says("git+file://", "svn+file://")
	before := files(t, "vault")
	r.ok("replicate", "--dry-run").says("code: 2 repositories listed, 2 new, 0 changed", "svn: 1 repository listed, 1 new", "would read what is new in them").lacks("prices", "request")
	if !maps.Equal(files(t, "vault"), before) {
		t.Error("a dry run stored something")
	}
	r.ok("replicate").says("code: 2 repositories listed, 2 new, 0 changed", "svn: 1 repository listed, 1 new", "snapshot 2").lacks("item")
	var res replicateResult
	d, _ := r.json(&res, "replicate", "code")
	c := res.Sources[0]
	if d.ends(exitDone); c.Repositories == nil || c.Repositories.Listed != 2 || c.Repositories.New+c.Repositories.Changed != 0 || c.ReadBytes+c.StoredBytes+c.StoredPacks != 0 || !c.Complete {
		t.Errorf("unchanged: %+v, %+v", c, c.Repositories)
	}
	was := lib.Refs()
	app.Commit("main", map[string]string{"b": "two\n"})
	app.Branch("topic/x", "main")
	lib.Tag("v1", "main", "first")
	one.Commit("more", svntest.Node{Path: "trunk/b", Action: "add", Text: []byte("b\n")})
	r.ok("replicate", "--dry-run").says("2 repositories listed, 0 new, 2 changed", "1 repository listed, 0 new, 1 changed")
	r.ok("replicate").says("2 repositories listed, 0 new, 2 changed", "1 repository listed, 0 new, 1 changed")

	r.ok(r.bare("snapshots")...).says("2 repositories in snapshot 4 of code", "1 repository in snapshot 3 of svn").lacks("not as a whole")
	r.ok("ls", "code").says("team/app.git  [git 2 refs, ", "beside it]", "2 repositories, ")
	r.ok("ls", "svn").says("one  [svn revision 3, ", "1 repository, ")
	var ls struct {
		Items        []lsItem `json:"items"`
		Repositories int64    `json:"repositories"`
	}
	r.json(&ls, "ls", "code", "team/app")
	if ls.Repositories != 1 || len(ls.Items) == 0 || ls.Items[0].Kind != "git" || ls.Items[0].About != "2 refs" {
		t.Errorf("%+v", ls)
	}
	r.run("cat", "code", "team/app.git", "--identity", "kit/recovery.key").ends(exitUsage).warns("is a repository (git)", "hint: `farshore restore --source code --item team/app.git", "--as bundle")

	r.ok(r.restored("code", "now")...).says("2 repositories written")
	sameRefs(t, app, r.path("now/team/app.git"))
	sameRefs(t, lib, r.path("now/team/lib.git"))
	r.ok(r.restored("code", "then", "--at", "2", "--prefix", "team/l")...).says("1 repository written")
	if got := gittest.At(t, r.path("then/team/lib.git")).Refs(); !maps.Equal(got, was) {
		t.Errorf("as of the first pass: %v, not %v", got, was)
	}
	r.ok(r.restored("svn", "svn-now")...).says("1 repository written", "farshore-sidecar")
	if got, want := svntest.Dump(t, r.path("svn-now/one")), svntest.Dump(t, one.Dir); got != want {
		t.Error("the restored repository's dump is another one")
	}
	var list snapshotsResult
	r.json(&list, "snapshots", "code")
	if h := list.Chains[0].Repositories; h == nil || h.Seq != 4 || h.Count != 2 || h.Lacking != 0 {
		t.Errorf("snapshots: %+v", h)
	}
	r.ok(r.restored("code", "timed", "--at", list.Chains[0].Snapshots[1].Time)...).says("restored snapshot 3 of code", "2 repositories written")
	if got := gittest.At(t, r.path("timed/team/lib.git")).Refs(); !maps.Equal(got, was) {
		t.Errorf("as of a time: %v, not %v", got, was)
	}
	r.ok("source", "remove", "svn").says("its data stays in the vault")
	r.ok("snapshots").says("head of svn (retired)", "1 repository in snapshot 3 of svn")
	r.ok(r.restored("svn", "svn-again")...).says("1 repository written")
}

// TestRestoreRepositoriesAgain restores over what is there: equal, different, and a folder that is none of farshore's.
func TestRestoreRepositoriesAgain(t *testing.T) {
	r := newRepoRig(t)
	app := r.git("git/app.git")
	write(t, filepath.Join(app.Dir, "hooks", "post-receive"), "#!/bin/sh\n", 0o755)
	r.ok("source", "add", "code", "git+file://"+r.path("git"))
	r.ok("replicate")
	r.ok(r.restored("code", "out", "--dry-run")...).says("would restore", "1 repository to write")
	if _, err := os.Stat("out"); err == nil {
		t.Error("a dry run wrote something")
	}
	r.ok(r.restored("code", "out")...).says("1 repository written", "configuration and hooks, which lie in farshore-sidecar")
	if _, err := os.Stat("out/app.git/hooks/post-receive"); err == nil {
		t.Error("a hook is in effect")
	}
	r.ok(r.restored("code", "out")...).says("0 repositories written", "1 there and equal")
	gittest.At(t, r.path("out/app.git")).Branch("mine", "main")
	r.run(r.restored("code", "out")...).ends(exitIncomplete).says("1 different and left", "app.git: differs at the destination").warns("--overwrite moves what differs aside")
	r.ok(r.restored("code", "out", "--overwrite", "--hooks", "--item", "app.git")...).says("1 repository written", "in place of something else")
	sameRefs(t, app, r.path("out/app.git"))
	if _, err := os.Stat("out/app.git/hooks/post-receive"); err != nil {
		t.Error("with --hooks:", err)
	}
	aside, err := filepath.Glob(r.path("out", "app.git?*"))
	if err != nil || len(aside) != 1 || !gittest.At(t, aside[0]).Has("refs/heads/mine") {
		t.Errorf("moved aside: %q, %v", aside, err)
	}
	r.run(r.restored("code", "out", "--item", "none.git")...).ends(exitUsage).warns("no item none.git")
}

// TestRestoreRepositoriesAsFiles restores bundles and dumps, and reads them with git and Subversion.
func TestRestoreRepositoriesAsFiles(t *testing.T) {
	needPrograms(t, "svn", "svnadmin")
	r := newRepoRig(t)
	app, one := r.git("git/app.git"), r.svn("svn/one")
	r.ok("source", "add", "code", "git+file://"+r.path("git"))
	r.ok("source", "add", "svn", "svn+file://"+r.path("svn"))
	r.ok("replicate")
	r.ok(r.restored("code", "out", "--as", "bundle")...)
	app.Run("clone", "--quiet", "--mirror", r.path("out/app.git.bundle"), r.path("clone.git"))
	sameRefs(t, app, r.path("clone.git"))
	r.ok(r.restored("svn", "out", "--as", "dump")...)
	svntest.Run(t, nil, "svnadmin", "create", r.path("loaded"))
	f, err := os.Open("out/one.svndump")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	svntest.Run(t, f, "svnadmin", "load", "--quiet", r.path("loaded"))
	if got, want := svntest.Dump(t, r.path("loaded")), svntest.Dump(t, one.Dir); got != want {
		t.Error("the loaded dump is another repository")
	}
	r.run(r.restored("code", "out", "--as", "dump")...).ends(exitUsage).warns("--as bundle")
	r.run(r.restored("svn", "out", "--as", "bundle")...).ends(exitUsage).warns("--as dump")
	r.run(r.restored("svn", "git+https://git.example.net/one")...).ends(exitUsage).warns("Subversion")
}

// TestVerifyRepositories lets git and Subversion check what is in the vault, beside the live repositories, and finds damage.
func TestVerifyRepositories(t *testing.T) {
	r := newRepoRig(t)
	app := r.git("git/app.git")
	r.git("git/lib.git")
	r.ok("source", "add", "code", "git+file://"+r.path("git"))
	r.ok("replicate")
	packs := files(t, "vault/packs")
	r.ok("verify").says("not tried: no key that opens packs was at hand")
	if err := os.Mkdir("scratch", 0o700); err != nil {
		t.Fatal(err)
	}
	r.ok("verify", "--identity", "kit/recovery.key", "--scratch", "scratch").says("repositories, checked by git or Subversion")
	if left := files(t, "scratch"); len(left) > 0 {
		t.Errorf("left in the scratch directory: %d files", len(left))
	}
	app.Commit("main", map[string]string{"b": "two\n"})
	r.ok("verify", "--identity", "kit/recovery.key").says("have changed since")
	r.ok("replicate")
	var res verifyResult
	d, _ := r.json(&res, "verify", "--identity", "kit/recovery.key")
	if d.ends(exitDone); res.Audit.Repos.Checked < 2 || res.Audit.Repos.Problems != 0 {
		t.Errorf("%+v, %+v", res.Audit.Repos, res.Audit.Items)
	}
	path := os.Getenv("PATH")
	t.Setenv("PATH", r.path("empty"))
	r.run("verify", "--identity", "kit/recovery.key").ends(exitIncomplete).says("INCOMPLETE", "app.git: a repository was not checked", "the git program").warns("not all that was to be checked could be checked")
	r.run("replicate").ends(exitFailed).warns("the git program can't be run", "hint: install it")
	r.run(r.restored("code", "out")...).ends(exitFailed).warns("git", "hint: install it")
	r.run("source", "add", "more", "git+file://"+r.path("git")).ends(exitFailed).warns("hint: install it")
	t.Setenv("PATH", path)
	for name := range packs {
		b := []byte(packs[name])
		b[len(b)-20] ^= 1 // behind the header, which says for which keys it is
		write(t, filepath.Join("vault/packs", name), string(b), 0o644)
	}
	r.run("verify", "--identity", "kit/recovery.key").ends(exitDamage).says("app.git: a repository is not as it was captured", "DAMAGE")
	r.run(r.restored("code", "out")...).ends(exitDamage).says("damaged in the vault")
}

// TestBrokenRepositories puts repositories that can't be captured among good ones, of which none is kept from being restored.
func TestBrokenRepositories(t *testing.T) {
	r := newRepoRig(t)
	good := r.git("git/good.git")
	broken := r.git("git/broken.git")
	good.Run("clone", "--quiet", "--bare", "--depth=1", "file://"+r.git("elsewhere.git").Dir, r.path("git/shallow.git"))
	write(t, r.path("git/shallow.git/shallow"), good.Refs()["refs/heads/main"]+"\n", 0o644)
	hostile := r.git("git/hostile.git")
	marker := r.path("executed")
	hostile.Run("config", "core.fsmonitor", "touch "+marker)
	hostile.Run("config", "core.sshCommand", "touch "+marker)
	write(t, filepath.Join(hostile.Dir, "hooks", "reference-transaction"), "#!/bin/sh\ntouch "+marker+"\n", 0o755)
	lost := broken.Refs()["refs/heads/main"]
	if err := os.RemoveAll(filepath.Join(broken.Dir, "objects", "pack")); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(broken.Dir, "objects", lost[:2])); err != nil {
		t.Fatal(err)
	}
	r.ok("source", "add", "code", "git+file://"+r.path("git"))
	r.run("replicate").ends(exitIncomplete).says("4 repositories listed", "shallow.git: unsupported: ", "fetch --unshallow", "broken.git: ").
		warns("2 repositories could not be captured, or not all of it", "hint: all others are in the snapshot", "farshore source set code --accept ")
	r.ok("snapshots").says("4 repositories in snapshot 2 of code, 2 of them not captured, or not as a whole: `farshore ls code` says why")
	r.ok("ls", "code").says("shallow.git", "unreadable: unsupported: ", "fetch --unshallow")
	r.run(r.restored("code", "out")...).ends(exitIncomplete).says("shallow.git: could not be read at the source, ever").warns("the lines above say which")
	sameRefs(t, good, r.path("out/good.git"))
	sameRefs(t, hostile, r.path("out/hostile.git"))
	r.ok(r.restored("code", "one", "--item", "good.git")...)
	r.run(r.restored("code", "partial", "--item", "broken.git")...).ends(exitIncomplete).
		says("broken.git: restored without what could not be captured; an earlier snapshot may have it: refs/heads/main").warns("1 repository captured, but for some of it", "--at NUMBER --item PATH")
	if _, err := os.Stat(marker); err == nil {
		t.Error("something that a repository says was executed")
	}
	var res replicateResult
	d, env := r.json(&res, "replicate")
	if d.ends(exitIncomplete); env.Error.Code != codeIncomplete || len(res.Sources[0].Repositories.Unreadable) == 0 || len(res.Sources[0].Examples) != 2 {
		t.Errorf("%+v, %+v", env.Error, res.Sources[0])
	}
	accept := []string{"source", "set", "code"}
	for reason := range res.Sources[0].Repositories.Unreadable {
		accept = append(accept, "--accept", reason)
	}
	r.ok(accept...)
	r.ok("replicate").says("shallow.git: unsupported")
}

// TestVanishedRepository keeps what was captured of a repository that is gone, and goes on with one that comes back.
func TestVanishedRepository(t *testing.T) {
	r := newRepoRig(t)
	r.git("git/app.git")
	lib := r.git("git/lib.git")
	r.ok("source", "add", "code", "git+file://"+r.path("git"))
	r.ok("replicate")
	if err := os.Rename("git/lib.git", "lib-away"); err != nil {
		t.Fatal(err)
	}
	r.run("replicate").ends(exitIncomplete).says("1 repository listed, 0 new, 0 changed", "1 repository not there, what was captured before is kept: vanished", "lib.git: vanished").
		warns("1 repository could not be captured", "--accept vanished")
	r.ok("ls", "code").says("lib.git  [git 1 ref, 1 file beside it]  (unreadable: vanished: ", "2 repositories, ")
	r.run("cat", "code", "lib.git", "--identity", "kit/recovery.key").ends(exitUsage).warns("is a repository (git)")
	r.ok(r.restored("code", "out")...).says("2 repositories written", "lib.git could not be read when the snapshot was taken; its last good content was restored")
	if err := os.Rename("lib-away", "git/lib.git"); err != nil {
		t.Fatal(err)
	}
	r.ok("replicate").says("2 repositories listed, 0 new, 0 changed").lacks("vanished")
	sameRefs(t, lib, r.path("out/lib.git"))
	r.ok("source", "set", "code", "--exclude", "lib.git")
	r.ok("replicate").says("1 repository listed", "1 repository excluded by patterns")
	r.ok("ls", "code").says("2 repositories, ")
}

// write writes a file, with the folders above it.
func write(t *testing.T, name, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, mode); err != nil {
		t.Fatal(err)
	}
}

// TestDamagedSource holds a repository that was whole in an earlier snapshot, and is damaged at the source now, to be named, and the earlier one to be had.
func TestDamagedSource(t *testing.T) {
	r := newRepoRig(t)
	app := r.git("git/app.git")
	r.git("git/good.git")
	r.ok("source", "add", "code", "git+file://"+r.path("git"))
	r.ok("replicate")
	was := app.Refs()
	if err := os.RemoveAll(filepath.Join(app.Dir, "objects", was["refs/heads/main"][:2])); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(app.Dir, "objects", "pack")); err != nil {
		t.Fatal(err)
	}
	r.run("replicate").ends(exitIncomplete).says("app.git: ")
	r.ok("source", "set", "code", "--accept", "partial", "--accept", "broken")
	r.ok("replicate")
	r.run(r.restored("code", "out")...).ends(exitIncomplete).says("app.git: ").warns("hint: ")
	r.ok(r.restored("code", "then", "--at", "2", "--item", "app.git")...)
	if got := gittest.At(t, r.path("then/app.git")).Refs(); !maps.Equal(got, was) {
		t.Errorf("the earlier snapshot has %v, not %v", got, was)
	}
}

package agent_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"farshore/agent"
	"farshore/agent/repo/gitcmd"
	"farshore/agent/repo/gittest"
	"farshore/agent/source/git"
	"farshore/agent/source/svn"
	"farshore/crypto/keyring"
	"farshore/providers/file"
	"farshore/providers/servers"
)

// TestRecoverRepositories restores repositories of git and Subversion with the two scripts of docs/recover.md, from a vault that passes wrote.
func TestRecoverRepositories(t *testing.T) {
	for _, tool := range []string{"jq", "zstd", "sha256sum", "svnadmin", "svnlook", "svn"} {
		if _, err := exec.LookPath(tool); err != nil {
			servers.Missing(t, tool, "apt-get install jq zstd coreutils subversion")
		}
	}
	dir := t.TempDir()
	d, err := file.New(filepath.Join(dir, "vault"), file.CreateDir())
	must(t, err)
	r := newHybridRig(t, d)
	gits, svns := filepath.Join(dir, "git"), filepath.Join(dir, "svn")
	must(t, os.MkdirAll(svns, 0o700))
	one := gittest.New(t, filepath.Join(gits, "team/one.git"), "sha1", true)
	two := gittest.New(t, filepath.Join(gits, "two.git"), "sha256", true)
	gittest.New(t, filepath.Join(gits, "empty.git"), "sha1", true)
	must(t, os.WriteFile(filepath.Join(one.Dir, "description"), []byte("the first one\n"), 0o600))
	must(t, os.MkdirAll(filepath.Join(one.Dir, "hooks"), 0o700))
	must(t, os.WriteFile(filepath.Join(one.Dir, "hooks/post-receive"), []byte("#!/bin/sh\nexit 0\n"), 0o700))
	old := one.Commit("main", map[string]string{"a": "one\n", "large": strings.Repeat("many words, ", 100_000)})
	two.Commit("main", map[string]string{"b": "two\n"})
	repository := filepath.Join(svns, "books")
	shell(t, dir, `svnadmin create svn/books && svn mkdir -q -m first "file://$PWD/svn/books/trunk" && svn mkdir -q -m second "file://$PWD/svn/books/trunk/a"`)
	pass := func() {
		g, err := git.New(git.Options{Name: "fake", Place: "git+file://" + gits, Address: "git+file://" + gits})
		must(t, err)
		r.mustReplicate(g, agent.Options{})
		s, err := svn.New(svn.Options{Name: "svns", Place: "svn+file://" + svns, Address: "svn+file://" + svns})
		must(t, err)
		r.mustReplicate(s, agent.Options{})
	}
	pass()
	one.Commit("main", map[string]string{"a": "changed\n"})
	one.Force("topic", old)
	one.Tag("v1", old, "the first")
	one.Set("refs/heads/caf\xe9", old)
	two.Commit("other", map[string]string{"b": "too\n"})
	shell(t, dir, `svn mkdir -q -m third "file://$PWD/svn/books/trunk/b" && printf 'corrected\n' >log && svnadmin setlog --bypass-hooks -r 1 svn/books log`)
	pass()

	main, repos := filepath.Join(dir, "recover.sh"), filepath.Join(dir, "repositories.sh")
	must(t, os.WriteFile(main, []byte(recoverScript(t)), 0o600))
	must(t, os.WriteFile(repos, []byte(recoverScripts(t)[1]), 0o600))
	keyFile := filepath.Join(dir, "recovery.key")
	must(t, keyring.WriteRecovery(keyFile, r.recoveryText, r.id, r.owner.Public().String()))
	path := ageCommand(t) + ":" + os.Getenv("PATH")
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("sh", args...)
		cmd.Env = append(os.Environ(), "PATH="+path)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	chains, err := r.open().Chains(t.Context())
	must(t, err)
	for _, c := range chains {
		out := filepath.Join(dir, "out-"+c.Source.Kind)
		run(main, filepath.Join(dir, "vault"), keyFile, out, c.ID)
		t.Log(run(repos, out))
	}
	for name, r := range map[string]*gittest.Repo{"team/one.git": one, "two.git": two} {
		got := gittest.At(t, filepath.Join(dir, "out-git", name))
		if a, b := fmt.Sprint(got.Refs()), fmt.Sprint(r.Refs()); a != b {
			t.Errorf("%s: refs %s in place of %s", name, a, b)
		}
		if !slices.Equal(got.Objects(), r.Objects()) {
			t.Errorf("%s: other objects", name)
		}
	}
	g := &gitcmd.Git{Dir: filepath.Join(dir, "out-git/empty.git")}
	if b, err := g.Output(t.Context(), nil, "for-each-ref"); err != nil || len(b) > 0 {
		t.Errorf("the empty repository: %s, %v", b, err)
	}
	hook, err := os.Stat(filepath.Join(dir, "out-git/team/one.git/farshore-sidecar/hooks/post-receive"))
	if err != nil || hook.Mode().Perm()&0o111 != 0 {
		t.Errorf("the hook: %v, %v", hook, err)
	}
	dump := func(repository string) string {
		out, err := exec.Command("svnadmin", "dump", "-q", repository).Output()
		must(t, err)
		return string(out)
	}
	if dump(repository) != dump(filepath.Join(dir, "out-svn/books")) {
		t.Error("the Subversion repository's dump differs")
	}
}

func shell(t *testing.T, dir, script string) {
	t.Helper()
	cmd := exec.Command("sh", "-ec", script)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
}

package gitrepo_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"farshore/agent/repo/gitserver"
	"farshore/agent/repo/gittest"
	"farshore/agent/repo/refs"
	"farshore/agent/restore/gitrepo"
)

type (
	ctx      = context.Context
	ioWriter = io.Writer
)

func itoa(n int) string { return strconv.Itoa(n) }

func trailerOf(pack []byte) string { return hex.EncodeToString(pack[len(pack)-20:]) }

// bareAt makes an empty repository with a pre-receive hook, and returns its file address.
func bareAt(t testing.TB, hook string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "remote.git")
	gittest.New(t, dir, "", true)
	if hook != "" {
		if err := os.MkdirAll(filepath.Join(dir, "hooks"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "hooks", "pre-receive"), []byte("#!/bin/sh\n"+hook+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return "file://" + dir
}

func at(t testing.TB, address string) *gittest.Repo {
	return gittest.At(t, strings.TrimPrefix(address, "file://"))
}

// rich returns a built repository with many kinds of refs.
func rich(t testing.TB) (*capture, string) {
	c := three(t)
	c.repo.Tag("v1", "refs/heads/main", "a tag")
	c.repo.Branch("protected", "refs/heads/main~1")
	c.repo.Set("refs/pull/1/head", "refs/heads/main~1")
	c.repo.Set("refs/notes/x", "refs/heads/main")
	c.repo.Set("refs/heads/caf\xe9", "refs/heads/main")
	c.take()
	dir := filepath.Join(t.TempDir(), "app.git")
	_, err := gitrepo.Build(t.Context(), c.mem, c.set(), dir, gitrepo.Options{})
	c.must(err)
	return c, dir
}

// TestPush pushes one repository to many servers.
func TestPush(t *testing.T) {
	c, dir := rich(t)
	for name, test := range map[string]func(t *testing.T, c *capture, dir string){
		"all": pushAll, "refused": pushRefused, "nothing": pushNothing, "differs": pushDiffers, "http": pushHTTP, "ssh": pushSSH,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, c.in(t), dir)
		})
	}
}

// pushAll pushes to servers that take everything, and pushes again.
func pushAll(t *testing.T, c *capture, dir string) {
	address := bareAt(t, "")
	rep, err := gitrepo.Push(t.Context(), dir, address, gitrepo.PushOptions{})
	c.must(err)
	if rep.Pushed != 6 || rep.Head != "refs/heads/main" || rep.Moved+rep.Differs+rep.Refused != 0 {
		t.Errorf("%+v", rep)
	}
	c.equal(at(t, address))
	if rep, err = gitrepo.Push(t.Context(), dir, address, gitrepo.PushOptions{}); err != nil || rep.Same != 6 || rep.Pushed != 0 {
		t.Errorf("again: %+v %v", rep, err)
	}
}

// pushRefused pushes to servers that refuse some refs: each of them is below refs/backup/ after that, and all others have their own names.
func pushRefused(t *testing.T, c *capture, dir string) {
	for name, tc := range map[string]struct {
		hook   string
		hidden bool
		moved  []string
	}{
		"hidden refs":                       {hidden: true, moved: []string{"refs/pull/1/head"}},
		"one branch declines a whole push":  {hook: "while read a b c; do test $c = refs/heads/protected && echo protected branch >&2 && exit 1; done; exit 0", moved: []string{"refs/heads/protected"}},
		"only branches and backups allowed": {hook: "while read a b c; do case $c in refs/heads/*|refs/backup/*) ;; *) exit 1;; esac; done", moved: []string{"refs/tags/v1", "refs/notes/x", "refs/pull/1/head"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := c.in(t)
			address := bareAt(t, tc.hook)
			if tc.hidden {
				at(t, address).Run("config", "receive.hideRefs", "refs/pull")
			}
			rep, err := gitrepo.Push(t.Context(), dir, address, gitrepo.PushOptions{})
			c.must(err)
			if rep.Moved != len(tc.moved) || rep.Pushed != 6-len(tc.moved) || rep.Refused+rep.Differs != 0 {
				t.Errorf("%+v", rep)
			}
			have := at(t, address).Refs()
			for _, name := range tc.moved {
				as := "refs/backup/" + strings.TrimPrefix(name, "refs/")
				if want := c.repo.Run("rev-parse", name); have[as] != want {
					t.Errorf("%s is %q", as, have[as])
				}
			}
			for _, m := range rep.MovedRefs {
				if m.Why == "" || m.As == "" {
					t.Errorf("%+v", m)
				}
			}
			if tc.hook != "" && name[0] == 'o' && strings.Contains(tc.hook, "protected") && !strings.Contains(rep.MovedRefs[0].Why, "protected branch") {
				t.Errorf("the server's words are missing: %q", rep.MovedRefs[0].Why)
			}
		})
	}
}

// pushNothing holds that a server that takes nothing has everything named.
func pushNothing(t *testing.T, c *capture, dir string) {
	rep, err := gitrepo.Push(t.Context(), dir, bareAt(t, "exit 1"), gitrepo.PushOptions{})
	c.must(err)
	if rep.Refused != 6 || len(rep.RefusedRefs) != 6 || rep.Pushed+rep.Moved != 0 {
		t.Errorf("%+v", rep)
	}
}

// pushDiffers holds that what is elsewhere at the server is left alone, unless it may be replaced, and that nothing is deleted.
func pushDiffers(t *testing.T, c *capture, dir string) {
	address := bareAt(t, "")
	remote := at(t, address)
	theirs := remote.Commit("main", map[string]string{"theirs": "x"})
	remote.Branch("only-theirs", "refs/heads/main")
	rep, err := gitrepo.Push(t.Context(), dir, address, gitrepo.PushOptions{})
	c.must(err)
	if rep.Differs != 1 || rep.Pushed != 5 || rep.DifferingRefs[0].Name != "refs/heads/main" || remote.Refs()["refs/heads/main"] != theirs {
		t.Errorf("%+v", rep)
	}
	rep, err = gitrepo.Push(t.Context(), dir, address, gitrepo.PushOptions{Overwrite: true})
	c.must(err)
	if rep.Pushed != 1 || rep.Same != 5 || remote.Refs()["refs/heads/only-theirs"] != theirs {
		t.Errorf("%+v", rep)
	}
}

// pushHTTP pushes over http with a password, and without the right one. The password is in no error.
func pushHTTP(t *testing.T, c *capture, dir string) {
	root := t.TempDir()
	gittest.New(t, filepath.Join(root, "team", "app.git"), "", true)
	url := gitserver.HTTP(t, root, gitserver.HTTPOptions{Username: "me", Password: "pass'word $x", Push: true}) + "/team/app.git"
	says := func(p string, err error) func(ctx) (string, error) {
		return func(ctx) (string, error) { return p, err }
	}
	for name, o := range map[string]gitrepo.PushOptions{
		"no password": {}, "wrong": {Username: "me", Password: says("secretly", nil)}, "two lines": {Username: "me", Password: says("secretly\nx", nil)},
		"no helper": {Password: says("", errors.New("no such file"))},
	} {
		rep, err := gitrepo.Push(t.Context(), dir, url, o)
		if err == nil || rep.Pushed != 0 || strings.Contains(err.Error(), "secretly") {
			t.Errorf("%s: %+v %v", name, rep, err)
		}
	}
	rep, err := gitrepo.Push(t.Context(), dir, url, gitrepo.PushOptions{Username: "me", Password: says("pass'word $x", nil)})
	c.must(err)
	if rep.Pushed != 6 {
		t.Errorf("%+v", rep)
	}
	c.equal(gittest.At(t, filepath.Join(root, "team", "app.git")))
}

// pushSSH pushes over ssh.
func pushSSH(t *testing.T, c *capture, dir string) {
	root := t.TempDir()
	gittest.New(t, filepath.Join(root, "app.git"), "", true)
	url, command := gitserver.SSH(t, root)
	rep, err := gitrepo.Push(t.Context(), dir, url+"/app.git", gitrepo.PushOptions{SSH: command})
	c.must(err)
	if rep.Pushed != 6 {
		t.Errorf("%+v", rep)
	}
}

// TestPushMany holds that more refs than fit one push arrive, and that HEAD's detached commit does too.
func TestPushMany(t *testing.T) {
	src := gittest.New(t, filepath.Join(t.TempDir(), "src.git"), "", true)
	oid := src.Commit("main", map[string]string{"a": "1"})
	c := newCapture(t, src, "app.git")
	m := c.manifest()
	m.Head, m.HeadOID = "", oid
	many := 600
	if os.Getenv("FARSHORE_TEST_LONG") == "1" {
		many = 1200
	}
	for i := range many {
		m.Refs = append(m.Refs, refs.Ref{Name: fmt.Sprintf("refs/tags/%06d", i), OID: oid})
	}
	c.with(m)
	dir := filepath.Join(t.TempDir(), "app.git")
	_, err := gitrepo.Build(t.Context(), c.mem, c.set(), dir, gitrepo.Options{})
	c.must(err)
	address := bareAt(t, "")
	rep, err := gitrepo.Push(t.Context(), dir, address, gitrepo.PushOptions{})
	c.must(err)
	if have := at(t, address).Refs(); rep.Pushed != many+1 || rep.Moved != 1 || have["refs/backup/HEAD"] != oid || len(have) < many+2 {
		t.Errorf("%+v, %d refs", rep, len(have))
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"farshore/agent/repo/gitcmd"
)

// The demo's repository of git, and what lies in it beside its history.
const (
	demoCode        = "code" // the source
	demoGitName     = "harbour.git"
	demoHook        = "#!/bin/sh\n# Tells the lighthouse about every push.\nexit 0\n"
	demoHookName    = "hooks/post-receive"
	demoDescription = "Ships, berths and tides\n"
)

// demoGit is the primary cloud's repository of git, and the clone from which its users push.
type demoGit struct {
	dir    string // that the source names
	server *gitcmd.Git
	clone  *gitcmd.Git
}

// demoGitState is what a repository has: what HEAD points to, a line for each ref, and the ids of all commits and objects that they reach.
type demoGitState struct {
	head    string
	refs    []string
	commits []string
	objects []string
}

// installed reports whether the programs can be run here.
func installed(programs ...string) bool {
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			return false
		}
	}
	return true
}

// newDemoGit makes a repository in a directory of the primary, and a clone beside the primary.
func newDemoGit(ctx context.Context, dir, clone string) (*demoGit, error) {
	server, err := gitcmd.Init(ctx, filepath.Join(dir, demoGitName), "sha1")
	if err != nil {
		return nil, err
	}
	user, err := gitcmd.Init(ctx, clone, "sha1")
	if err != nil {
		return nil, err
	}
	user.Env = []string{"GIT_ALLOW_PROTOCOL=file"}
	g := &demoGit{dir: dir, server: server, clone: user}
	if err := os.Mkdir(filepath.Join(server.Dir, "hooks"), 0o700); err != nil {
		return nil, err
	}
	hook := os.WriteFile(filepath.Join(server.Dir, demoHookName), []byte(demoHook), 0o700) //nolint:gosec // a hook has to be executable
	return g, errors.Join(hook, createFile(filepath.Join(server.Dir, "description"), demoDescription))
}

// begin pushes the first history: branches, a merge, and tags of both kinds.
func (g *demoGit) begin(ctx context.Context) error {
	h := newDemoHistory(1_700_000_000)
	main := h.commits("main", "", 120)
	h.reset("refs/tags/v1.0", main)
	lantern := h.commits("lantern", main, 30)
	h.commits("tide", main, 20)
	h.commits("main", "", 60)
	merge := h.commit("main", "", lantern)
	h.tag("v1.1", merge)
	h.commits("main", "", 60)
	return g.push(ctx, h)
}

// change rewrites history: a force-push, a branch deleted, a tag moved, and new commits.
func (g *demoGit) change(ctx context.Context) error {
	older, err := g.id(ctx, "main~40")
	if err != nil {
		return err
	}
	lantern, err := g.id(ctx, "lantern")
	if err != nil {
		return err
	}
	h := newDemoHistory(1_710_000_000)
	h.reset("refs/heads/main", older)
	h.commits("main", older, 25)
	tip := h.commits("lantern", lantern, 10)
	h.commits("foghorn", tip, 5)
	h.reset("refs/tags/v1.0", tip)
	if err := g.clone.Run(ctx, nil, io.Discard, "update-ref", "-d", "refs/heads/tide"); err != nil {
		return err
	}
	if err := g.push(ctx, h); err != nil {
		return err
	}
	return g.server.Run(ctx, nil, io.Discard, "gc", "--quiet", "--prune=now")
}

// push takes the history into the clone, and makes all branches and tags of the primary like the clone's.
func (g *demoGit) push(ctx context.Context, h *demoHistory) error {
	if err := g.clone.Run(ctx, &h.stream, io.Discard, "fast-import", "--quiet", "--force"); err != nil {
		return err
	}
	return g.clone.Run(ctx, nil, io.Discard, "push", "--quiet", "--force", "--prune",
		"--receive-pack=git -c core.hooksPath=/dev/null -c receive.autogc=false receive-pack", g.server.Dir, "refs/heads/*:refs/heads/*", "refs/tags/*:refs/tags/*")
}

func (g *demoGit) id(ctx context.Context, name string) (string, error) {
	out, err := g.clone.Output(ctx, nil, "rev-parse", "--verify", name)
	return strings.TrimSpace(string(out)), err
}

// state reads what the primary has now.
func (g *demoGit) state(ctx context.Context) (*demoGitState, error) {
	return readDemoGit(ctx, g.server.Dir)
}

// readDemoGit reads a repository as git sees it.
func readDemoGit(ctx context.Context, dir string) (*demoGitState, error) {
	g := &gitcmd.Git{Dir: dir}
	s := &demoGitState{}
	head, err := g.Output(ctx, nil, "symbolic-ref", "HEAD")
	if err != nil {
		return nil, err
	}
	for _, list := range []struct {
		to   *[]string
		args []string
	}{
		{&s.refs, []string{"for-each-ref", "--format=%(refname) %(objectname) %(symref)"}},
		{&s.commits, []string{"rev-list", "--all"}},
		{&s.objects, []string{"rev-list", "--all", "--objects", "--no-object-names"}},
	} {
		out, err := g.Output(ctx, nil, list.args...)
		if err != nil {
			return nil, err
		}
		*list.to = strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	}
	s.head = strings.TrimSpace(string(head))
	return s, nil
}

// compareDemoGit holds a restored repository to what the primary had: HEAD, each ref, each object that they reach, the description, and the hook, which must be
// there and have no effect. That the objects have the bytes that their ids promise is for git fsck to say.
func compareDemoGit(ctx context.Context, dir string, want *demoGitState) (demoComparison, error) {
	c := demoComparison{Items: 1, Refs: int64(len(want.refs)), GitObjects: int64(len(want.objects))}
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		c.differs(demoGitName, "it is missing")
		return c, nil
	}
	got, err := readDemoGit(ctx, dir)
	if err == nil {
		if got.head != want.head {
			c.differs("HEAD", fmt.Sprintf("it is %s, not %s", got.head, want.head))
		}
		c.compareLists("ref", got.refs, want.refs)
		c.compareLists("object", got.objects, want.objects)
		err = (&gitcmd.Git{Dir: dir}).Run(ctx, nil, io.Discard, "fsck", "--full", "--no-progress")
	}
	var said *gitcmd.Error
	switch {
	case ctx.Err() != nil:
		return c, ctx.Err()
	case errors.As(err, &said):
		c.differs(demoGitName, said.Error())
	case err != nil:
		return c, err
	}
	c.compareFile(dir, "description", demoDescription)
	c.compareFile(dir, filepath.Join(demoSidecar, demoHookName), demoHook)
	for _, name := range []string{demoHookName, filepath.Join(demoSidecar, demoHookName)} {
		if info, err := os.Stat(filepath.Join(dir, name)); err == nil && info.Mode()&0o111 != 0 {
			c.differs(name, "git could execute it")
		}
	}
	return c, nil
}

// without counts the commits of the state that another one no longer has.
func (s *demoGitState) without(other *demoGitState) int64 {
	return int64(len(missingFrom(other.commits, s.commits)))
}

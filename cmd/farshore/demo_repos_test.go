package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"farshore/agent/repo/gitcmd"
	"farshore/agent/repo/svncmd"
	"farshore/providers/servers"
)

func needGit(t *testing.T) {
	t.Helper()
	if !installed("git") {
		servers.Missing(t, "git", "apt install git")
	}
}

func needSVN(t *testing.T) {
	t.Helper()
	if !installed(svncmd.Admin, svncmd.Look) {
		servers.Missing(t, "svnadmin", "apt install subversion")
	}
}

// startGit makes the demo's git repository with its first history.
func startGit(t *testing.T) *demoGit {
	t.Helper()
	needGit(t)
	g, err := newDemoGit(t.Context(), t.TempDir(), filepath.Join(t.TempDir(), "clone"))
	if err == nil {
		err = g.begin(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func gitState(t *testing.T, dir string) *demoGitState {
	t.Helper()
	s, err := readDemoGit(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// startSVN makes the demo's Subversion repository with its first history.
func startSVN(t *testing.T) *demoSVN {
	t.Helper()
	needSVN(t)
	s, err := newDemoSVN(t.Context(), t.TempDir())
	if err == nil {
		err = s.begin(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestDemoGitHistory holds the changes to the repository to be what the demo tells of them.
func TestDemoGitHistory(t *testing.T) {
	t.Parallel()
	g := startGit(t)
	first := gitState(t, g.server.Dir)
	if err := g.change(t.Context()); err != nil {
		t.Fatal(err)
	}
	second := gitState(t, g.server.Dir)
	if lost, made := first.without(second), second.without(first); lost != 60 || made != 40 || first.without(first) != 0 {
		t.Errorf("%d commits lost, %d made", lost, made)
	}
	for _, tt := range []struct {
		name          string
		there, stayed bool
	}{
		{"refs/heads/main", true, false}, {"refs/heads/tide", false, false}, {"refs/heads/foghorn", true, false},
		{"refs/tags/v1.0", true, false}, {"refs/tags/v1.1", true, true},
	} {
		is := func(line string) bool { return strings.HasPrefix(line, tt.name+" ") }
		i := slices.IndexFunc(second.refs, is)
		if there, stayed := i >= 0, i >= 0 && slices.Contains(first.refs, second.refs[i]); there != tt.there || stayed != tt.stayed {
			t.Errorf("%s: there %t, as before %t, in %q", tt.name, there, stayed, second.refs)
		}
	}
	for _, what := range [][]string{{"rev-list", "--merges", "main"}, {"cat-file", "tag", "v1.1"}} {
		if out, err := g.server.Output(t.Context(), nil, what...); err != nil || len(out) == 0 {
			t.Errorf("%v: %q, %v", what, out, err)
		}
	}
	if _, err := g.server.Output(t.Context(), nil, "cat-file", "-e", first.commits[0]); err == nil {
		t.Error("the primary still has what was force-pushed away")
	}
}

// TestDemoComparesGit holds the comparison to find each kind of difference in a restored repository, and nothing else.
func TestDemoComparesGit(t *testing.T) {
	t.Parallel()
	g := startGit(t)
	want := gitState(t, g.server.Dir)
	restored := g.server.Dir // made to look like one
	aside := filepath.Join(restored, demoSidecar, "hooks")
	err := errors.Join(os.MkdirAll(aside, 0o700), os.Rename(filepath.Join(restored, demoHookName), filepath.Join(restored, demoSidecar, demoHookName)),
		os.Chmod(filepath.Join(restored, demoSidecar, demoHookName), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	holdToGit(t, restored, want, "")
	git := func(args ...string) func(string) error {
		return func(dir string) error {
			return (&gitcmd.Git{Dir: dir}).Run(t.Context(), nil, io.Discard, args...)
		}
	}
	for name, tt := range map[string]struct {
		change func(dir string) error
		why    string
	}{
		"head":            {git("symbolic-ref", "HEAD", "refs/heads/lantern"), "HEAD: it is refs/heads/lantern, not refs/heads/main"},
		"moved ref":       {git("update-ref", "refs/tags/v1.0", "refs/heads/main"), "ref refs/tags/v1.0"},
		"missing ref":     {git("update-ref", "-d", "refs/heads/tide"), "it is missing"},
		"one more ref":    {git("update-ref", "refs/heads/more", "refs/heads/main"), "it should not be there"},
		"missing objects": {func(dir string) error { return os.RemoveAll(filepath.Join(dir, "objects/pack")) }, "git rev-list:"},
		"damaged objects": {damagePack, "git "},
		"description":     {func(dir string) error { return os.WriteFile(filepath.Join(dir, "description"), nil, 0o600) }, "description: its content differs"},
		"no hook":         {func(dir string) error { return os.Remove(filepath.Join(dir, demoSidecar, demoHookName)) }, demoHookName + ": it is missing"},
		"hook in effect": {func(dir string) error {
			return errors.Join(os.MkdirAll(filepath.Join(dir, "hooks"), 0o700), os.WriteFile(filepath.Join(dir, demoHookName), []byte(demoHook), 0o700)) //nolint:gosec // that is the point
		}, "git could execute it"},
		"nothing": {os.RemoveAll, "it is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), demoGitName)
			if err := errors.Join(os.CopyFS(dir, os.DirFS(restored)), tt.change(dir)); err != nil {
				t.Fatal(err)
			}
			holdToGit(t, dir, want, tt.why)
		})
	}
}

// damagePack changes a byte in the middle of a pack.
func damagePack(dir string) error {
	packs, err := filepath.Glob(filepath.Join(dir, "objects/pack/*.pack"))
	if err != nil || len(packs) == 0 {
		return errors.Join(err, fs.ErrNotExist)
	}
	b, err := os.ReadFile(packs[0])
	if err != nil {
		return err
	}
	b[len(b)/2] ^= 1
	return errors.Join(os.Chmod(packs[0], 0o600), os.WriteFile(packs[0], b, 0o600))
}

// holdToGit compares a repository, which is to differ in the way that why says, "" for not at all.
func holdToGit(t *testing.T, dir string, want *demoGitState, why string) {
	t.Helper()
	c, err := compareDemoGit(t.Context(), dir, want)
	if err != nil {
		t.Fatal(err)
	}
	holdToDamage(t, c, why)
}

// holdToDamage holds a comparison to differences, which end the demo with exit code 4, or to none where why is empty.
func holdToDamage(t *testing.T, c demoComparison, why string) {
	t.Helper()
	err := c.err("it")
	var f *failure
	switch {
	case why == "" && err != nil:
		t.Error(err)
	case why != "" && (!errors.As(err, &f) || f.exit != exitDamage || !strings.Contains(err.Error(), why)):
		t.Errorf("%+v, %v; want a difference with %q", c, err, why)
	}
}

// TestDemoComparesSVN holds the comparison to find what differs in a restored repository, old log messages too.
func TestDemoComparesSVN(t *testing.T) {
	t.Parallel()
	s := startSVN(t)
	compare := func(dir string, want *demoSVNState, why string) {
		t.Helper()
		c, err := compareDemoSVN(t.Context(), dir, want)
		if err != nil {
			t.Fatal(err)
		}
		holdToDamage(t, c, why)
	}
	first, err := s.state(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	compare(s.path, first, "")
	if err := s.change(t.Context(), t.TempDir()); err != nil {
		t.Fatal(err)
	}
	compare(s.path, first, "bytes, not")
	second, err := s.state(t.Context())
	if err != nil || !bytes.Contains(second.dump, []byte("right number of barrels")) || second.revisions <= first.revisions {
		t.Fatalf("%d revisions after %d, %v", second.revisions, first.revisions, err)
	}
	compare(s.path, second, "")
	setLog(t, s.path, "page 5, with the wrong number of barrels")
	compare(s.path, second, "of its dump differs")
	compare(filepath.Join(s.dir, "missing"), second, "svnadmin dump:")
}

func setLog(t *testing.T, dir, text string) {
	t.Helper()
	log := filepath.Join(t.TempDir(), "log")
	err := os.WriteFile(log, []byte(text), 0o600)
	if err == nil {
		err = (&svncmd.Tool{}).Run(t.Context(), nil, io.Discard, svncmd.Admin, "setlog", dir, log, "-r7", "--bypass-hooks")
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestDemoWithoutPrograms holds the demo to say which programs are missing, and to do without the repositories.
func TestDemoWithoutPrograms(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	t.Setenv("PATH", t.TempDir())
	e, _, stderr := testEnv(t)
	d, err := newDemo(e, demoOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := d.close(); err != nil {
			t.Error(err)
		}
	}()
	if err := d.makeRepositories(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"without a git repository: the program git is not installed", "without a Subversion repository: svnadmin is not installed"} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("%q is not in %q", want, stderr.String())
		}
	}
	if !slices.Equal(d.sum.Missing, []string{"git", "svnadmin"}) || d.repositories.count() != 0 {
		t.Errorf("%+v", d.sum)
	}
	for _, act := range d.acts() {
		if act.where != nil && act.where() {
			t.Errorf("%q is played", act.title)
		}
	}
	if err := errors.Join(d.addRepositories(t.Context()), d.changeRepositories(t.Context()), d.attackRepositories()); err != nil {
		t.Error(err)
	}
}

// TestDemoAlone plays the whole demo where neither git nor Subversion is.
func TestDemoAlone(t *testing.T) {
	if os.Getenv("FARSHORE_TEST_LONG") != "1" {
		t.Skip("takes as long as the demo; FARSHORE_TEST_LONG=1 runs it")
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, "demo", "--json", "--quiet")
	cmd.Args[0] = "farshore"
	cmd.Env = append(os.Environ(), "PATH="+t.TempDir())
	stdout, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, stdout)
	}
	var got struct{ Result demoResult }
	if err := json.Unmarshal(stdout, &got); err != nil {
		t.Fatal(err)
	}
	if r := got.Result; len(r.Commands) != 9 || len(r.Missing) != 2 || r.Code.Items+r.Books.Items != 0 || r.VerifiedRepositories != 0 {
		t.Errorf("%s", stdout)
	}
}

// holdToRepositories holds a demo that was kept to what it tells of its repositories. Then it changes what was restored, and the comparisons must find that.
func holdToRepositories(t *testing.T, r *demoResult) {
	t.Helper()
	needGit(t)
	needSVN(t)
	all := []demoComparison{r.Code, r.CodeFirst, r.Books}
	for _, c := range all {
		if c.Items != 1 || c.Differences != 0 {
			t.Errorf("%+v", c)
		}
	}
	if len(r.Commands) != 14 || len(r.Missing) != 0 || r.VerifiedRepositories < 2 || r.Code.Refs != 5 || r.Books.Revisions < 60 || r.Code.GitObjects < 1000 {
		t.Errorf("%+v", r)
	}
	pushed := gitState(t, filepath.Join(r.Kept, "clone"))
	restored := filepath.Join(r.Kept, "bare", "restored-code", demoGitName)
	holdToGit(t, restored, pushed, "")
	holdToGit(t, filepath.Join(r.Kept, "bare", "restored-code-first", demoGitName), pushed, "refs/heads/tide")
	if err := (&gitcmd.Git{Dir: restored}).Run(t.Context(), nil, io.Discard, "update-ref", "refs/heads/main", "refs/heads/main~1"); err != nil {
		t.Fatal(err)
	}
	holdToGit(t, restored, pushed, "ref refs/heads/main")

	books := filepath.Join(r.Kept, "bare", "restored-books", demoSVNName)
	dump, err := readDemoSVN(t.Context(), books)
	if err != nil {
		t.Fatal(err)
	}
	setLog(t, books, "page 5")
	c, err := compareDemoSVN(t.Context(), books, &demoSVNState{r.Books.Revisions, dump})
	if err != nil {
		t.Fatal(err)
	}
	holdToDamage(t, c, "its dump")
}

// Package gittest builds git repositories for tests with the real git program: by hand, large ones, and ones that live on by random changes. Names, dates and
// contents are the same in every run. It is for tests only: what goes wrong ends the test.
package gittest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/big"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"farshore/agent/repo/gitcmd"
)

// Repo is a repository of a test. Its methods end the test on failure, so they are called from the test's own goroutine only. Not safe for concurrent use.
type Repo struct {
	// Git runs git in the repository, with an identity and the file transport allowed.
	Git *gitcmd.Git
	// Dir is the git directory.
	Dir string
	// Work is the working tree; empty for a bare repository.
	Work string
	// Format is sha1 or sha256.
	Format string

	tb    testing.TB
	clock int64
}

// epoch is the date of the first commit; each commit or tag is a minute later than the one before.
const epoch = 1_500_000_000

// environment is an identity, and the file transport between repositories of a test.
var environment = []string{"GIT_ALLOW_PROTOCOL=file", "GIT_AUTHOR_NAME=Test Writer", "GIT_AUTHOR_EMAIL=writer@example.org",
	"GIT_COMMITTER_NAME=Test Writer", "GIT_COMMITTER_EMAIL=writer@example.org"}

const identity = "Test Writer <writer@example.org>"

// New makes an empty repository in dir, which is made if need be. format is "sha1" or "sha256", and empty means sha1. HEAD points to refs/heads/main. A
// repository that is not bare has its git directory in dir/.git.
func New(tb testing.TB, dir, format string, bare bool) *Repo {
	tb.Helper()
	if format == "" {
		format = "sha1"
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		tb.Fatal(err)
	}
	r := &Repo{tb: tb, Dir: dir, Format: format, clock: epoch}
	if !bare {
		r.Dir, r.Work = filepath.Join(dir, ".git"), dir
	}
	r.Git, err = gitcmd.Init(tb.Context(), r.Dir, format)
	if err != nil {
		tb.Fatal(err)
	}
	r.Git.Env = slices.Clone(environment)
	if !bare {
		r.Run("config", "core.bare", "false")
		r.Git.Env = append(r.Git.Env, "GIT_WORK_TREE="+r.Work)
	}
	return r
}

// At opens a repository that is there: a bare one, or a git directory. Its commits are later than those of the first weeks of a repository that New made.
func At(tb testing.TB, dir string) *Repo {
	tb.Helper()
	dir, err := filepath.Abs(dir)
	if err != nil {
		tb.Fatal(err)
	}
	r := &Repo{tb: tb, Dir: dir, Git: &gitcmd.Git{Dir: dir, Env: slices.Clone(environment)}, clock: epoch + 1_000_000}
	r.Format = r.Run("rev-parse", "--show-object-format")
	return r
}

// Run runs git and returns what it printed, without the white space at both ends.
func (r *Repo) Run(args ...string) string {
	r.tb.Helper()
	return r.Input("", args...)
}

// Input is Run with stdin.
func (r *Repo) Input(stdin string, args ...string) string {
	r.tb.Helper()
	at := fmt.Sprintf("%d +0000", r.clock)
	g := &gitcmd.Git{Dir: r.Git.Dir, Env: append(slices.Clone(r.Git.Env), "GIT_AUTHOR_DATE="+at, "GIT_COMMITTER_DATE="+at)}
	out, err := g.Output(r.tb.Context(), strings.NewReader(stdin), args...)
	if err != nil {
		r.tb.Fatalf("git %s in %s: %v", strings.Join(args, " "), r.Dir, err)
	}
	return strings.TrimSpace(string(out))
}

// Commit adds a commit to the branch ("main", not "refs/heads/main"), whose tree is that of the branch's last commit with the files, by path, written into
// it, and returns its id. A branch that is not there begins with it. The working tree is not touched.
func (r *Repo) Commit(branch string, files map[string]string) string {
	r.tb.Helper()
	return r.commit(branch, "", files)
}

// Merge adds a commit to the branch that has the tip of other as its second parent, and a file of its own; it returns its id.
func (r *Repo) Merge(branch, other string) string {
	r.tb.Helper()
	return r.commit(branch, "refs/heads/"+other, map[string]string{"merged": fmt.Sprintf("%s at %d\n", other, r.clock)})
}

func (r *Repo) commit(branch, merge string, files map[string]string) string {
	r.tb.Helper()
	ref := "refs/heads/" + branch
	var b bytes.Buffer
	r.head(&b, ref, fmt.Sprintf("commit at %d\n", r.clock))
	if r.Has(ref) {
		fmt.Fprintf(&b, "from %s^0\n", ref)
	}
	if merge != "" {
		fmt.Fprintf(&b, "merge %s^0\n", merge)
	}
	for _, path := range sortedKeys(files) {
		write(&b, path, files[path])
	}
	r.Input(b.String(), "fast-import", "--quiet", "--force")
	return r.Run("rev-parse", ref)
}

// head begins a commit of a fast-import stream, and moves the clock on.
func (r *Repo) head(b *bytes.Buffer, ref, message string) {
	r.clock += 60
	fmt.Fprintf(b, "commit %s\ncommitter %s %d +0000\ndata %d\n%s\n", ref, identity, r.clock, len(message), message)
}

// write adds a file to a commit of a fast-import stream.
func write(b *bytes.Buffer, path, content string) {
	fmt.Fprintf(b, "M 100644 inline %s\ndata %d\n%s\n", quote(path), len(content), content)
}

// quote is a path as fast-import takes it.
func quote(path string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(path) + `"`
}

// Branch makes a branch at target, which is anything that names a commit.
func (r *Repo) Branch(name, target string) {
	r.tb.Helper()
	r.Set("refs/heads/"+name, target)
}

// Force moves a branch to target, whatever it was, as a forced push does.
func (r *Repo) Force(branch, target string) {
	r.tb.Helper()
	r.Set("refs/heads/"+branch, target)
}

// Tag makes the tag at target, which may be an object of any type, and returns what the tag points to: the id of target, or that of the tag object where
// there is a message.
func (r *Repo) Tag(name, target, message string) string {
	r.tb.Helper()
	oid := r.Run("rev-parse", target)
	if message != "" {
		r.clock += 60
		body := fmt.Sprintf("object %s\ntype %s\ntag %s\ntagger %s %d +0000\n\n%s\n", oid, r.Run("cat-file", "-t", oid), name, identity, r.clock, message)
		oid = r.Input(body, "mktag")
	}
	r.Set("refs/tags/"+name, oid)
	return oid
}

// Set makes the full ref name point to target.
func (r *Repo) Set(ref, target string) {
	r.tb.Helper()
	r.Run("update-ref", "--no-deref", ref, target)
}

// Delete deletes the ref of that full name.
func (r *Repo) Delete(ref string) {
	r.tb.Helper()
	r.Run("update-ref", "--no-deref", "-d", ref)
}

// Blob stores an object that nothing points to yet, and returns its id.
func (r *Repo) Blob(content string) string {
	r.tb.Helper()
	return r.Input(content, "hash-object", "-w", "--stdin")
}

// Has reports whether the ref of that full name is there.
func (r *Repo) Has(ref string) bool {
	r.tb.Helper()
	return slices.Contains(strings.Fields(r.Run("for-each-ref", "--format=%(refname)", ref)), ref)
}

// Refs returns every ref by its full name: its id, or "ref: " and its target for a symbolic one. HEAD is among them, also where its branch has no commit.
func (r *Repo) Refs() map[string]string {
	r.tb.Helper()
	all := map[string]string{"HEAD": r.headOf()}
	for line := range strings.Lines(r.Run("for-each-ref", "--format=%(objectname) %(symref) %(refname)")) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 3)
		all[f[2]] = f[0]
		if f[1] != "" {
			all[f[2]] = "ref: " + f[1]
		}
	}
	return all
}

// headOf is HEAD as Refs gives it.
func (r *Repo) headOf() string {
	r.tb.Helper()
	out, err := r.Git.Output(r.tb.Context(), nil, "symbolic-ref", "--quiet", "HEAD")
	if err != nil { // detached
		return r.Run("rev-parse", "HEAD")
	}
	return "ref: " + strings.TrimSpace(string(out))
}

// Objects returns the ids of all objects that refs and HEAD reach, sorted.
func (r *Repo) Objects() []string {
	r.tb.Helper()
	args := []string{"rev-list", "--objects", "--no-object-names", "--all"}
	if head := r.headOf(); !strings.HasPrefix(head, "ref: ") {
		args = append(args, head)
	}
	ids := strings.Fields(r.Run(args...))
	slices.Sort(ids)
	return slices.Compact(ids)
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// SumIDs is the number that docs/format.md calls ids, computed in the plainest way: the sum of the hashes of object ids.
func SumIDs(tb testing.TB, ids []string) string {
	tb.Helper()
	sum := new(big.Int)
	for _, oid := range ids {
		raw, err := hex.DecodeString(oid)
		if err != nil {
			tb.Fatal(err)
		}
		h := sha256.Sum256(raw)
		sum.Add(sum, new(big.Int).SetBytes(h[:]))
	}
	sum.Mod(sum, new(big.Int).Lsh(big.NewInt(1), 256))
	return fmt.Sprintf("%064x", sum)
}

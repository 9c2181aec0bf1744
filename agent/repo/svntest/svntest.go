// Package svntest makes Subversion repositories with the real programs, and serves them. It is used by tests only.
package svntest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"farshore/agent/repo/svncmd"
	"farshore/agent/repo/svndump"
)

// Need calls missing, which is to skip or fail the test, for each of the programs that is not installed.
func Need(tb testing.TB, missing func(tb testing.TB, what, how string), programs ...string) {
	tb.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			missing(tb, p, "apt install subversion")
		}
	}
}

// Repo is a repository. A failure of its methods ends the test. Not safe for concurrent use.
type Repo struct {
	Dir string
	// TB is the test that ends with a failure.
	TB testing.TB

	next int64
	tick int
}

// New makes an empty repository in dir, with more arguments for svnadmin create.
func New(tb testing.TB, dir string, create ...string) *Repo {
	tb.Helper()
	r := &Repo{Dir: dir, TB: tb, next: 1}
	Run(tb, nil, svncmd.Admin, append([]string{"create", dir}, create...)...)
	return r
}

// Run runs one of Subversion's programs, and ends the test when it fails.
func Run(tb testing.TB, stdin io.Reader, program string, args ...string) string {
	tb.Helper()
	var out bytes.Buffer
	if err := (&svncmd.Tool{}).Run(context.WithoutCancel(tb.Context()), stdin, &out, program, args...); err != nil {
		tb.Fatalf("%v", err)
	}
	return out.String()
}

// Node is a change to a path in a commit.
type Node struct {
	Path string
	// Action is add, change, delete or replace.
	Action string
	// Dir says that the node is a folder.
	Dir bool
	// Text is the new content; nil leaves a file's as it is.
	Text []byte
	// Props are all of the node's properties; nil leaves them as they are.
	Props map[string]string
	// CopyRev and CopyPath are what an added node is copied from.
	CopyRev  int64
	CopyPath string
}

// Next is the number that the next commit will have.
func (r *Repo) Next() int64 { return r.next }

// Commit makes a revision, and returns its number.
func (r *Repo) Commit(log string, nodes ...Node) int64 {
	r.TB.Helper()
	return r.CommitProps(map[string]string{"svn:author": "alice", "svn:log": log, "svn:date": r.date()}, nodes...)
}

func (r *Repo) date() string {
	r.tick++
	return fmt.Sprintf("2024-01-01T%02d:%02d:%02d.000000Z", r.tick/3600%24, r.tick/60%60, r.tick%60)
}

// CommitProps makes a revision with these properties.
func (r *Repo) CommitProps(props map[string]string, nodes ...Node) int64 {
	r.TB.Helper()
	var buf bytes.Buffer
	AppendRevision(&buf, r.next, props, nodes...)
	r.Load(buf.Bytes(), 1)
	return r.next - 1
}

// Load loads so many revisions, written by AppendRevision.
func (r *Repo) Load(revisions []byte, n int64) {
	r.TB.Helper()
	var buf bytes.Buffer
	if err := svndump.Begin(&buf, ""); err != nil {
		r.TB.Fatal(err)
	}
	buf.Write(revisions)
	Run(r.TB, &buf, svncmd.Admin, "load", "--quiet", "--bypass-prop-validation", "--no-flush-to-disk", "--ignore-uuid", r.Dir)
	r.next += n
}

// AppendRevision writes a revision as a dump has it.
func AppendRevision(w *bytes.Buffer, revision int64, props map[string]string, nodes ...Node) {
	_ = svndump.WriteRevision(w, revision, properties(props)) // a buffer does not fail
	for _, n := range nodes {
		appendNode(w, &n)
	}
}

func appendNode(w *bytes.Buffer, n *Node) {
	fmt.Fprintf(w, "Node-path: %s\n", n.Path)
	if n.Action != "delete" {
		kind := "file"
		if n.Dir {
			kind = "dir"
		}
		fmt.Fprintf(w, "Node-kind: %s\n", kind)
	}
	fmt.Fprintf(w, "Node-action: %s\n", n.Action)
	if n.CopyPath != "" {
		fmt.Fprintf(w, "Node-copyfrom-rev: %d\nNode-copyfrom-path: %s\n", n.CopyRev, n.CopyPath)
	}
	var block []byte
	if n.Props != nil {
		block = svndump.AppendProps(nil, properties(n.Props))
		fmt.Fprintf(w, "Prop-content-length: %d\n", len(block))
	}
	if n.Text != nil {
		fmt.Fprintf(w, "Text-content-length: %d\n", len(n.Text))
	}
	if n.Props != nil || n.Text != nil {
		fmt.Fprintf(w, "Content-length: %d\n", len(block)+len(n.Text))
	}
	fmt.Fprintf(w, "\n%s%s\n\n", block, n.Text)
}

func properties(of map[string]string) []svndump.Property {
	all := make([]svndump.Property, 0, len(of))
	for name, value := range of {
		all = append(all, svndump.Property{Name: name, Value: value})
	}
	return all
}

// SetRevprop sets a property of a revision, whatever its bytes.
func (r *Repo) SetRevprop(revision int64, name, value string) {
	r.TB.Helper()
	var buf bytes.Buffer
	if err := svndump.Begin(&buf, ""); err != nil {
		r.TB.Fatal(err)
	}
	if err := svndump.WriteRevision(&buf, revision, []svndump.Property{{Name: name, Value: value}}); err != nil {
		r.TB.Fatal(err)
	}
	Run(r.TB, &buf, svncmd.Admin, "load-revprops", "--quiet", "--no-flush-to-disk", "--bypass-prop-validation", r.Dir)
}

// DeleteRevprop removes a property of a revision.
func (r *Repo) DeleteRevprop(revision int64, name string) {
	r.TB.Helper()
	Run(r.TB, nil, svncmd.Admin, "delrevprop", r.Dir, fmt.Sprintf("-r%d", revision), name)
}

// Lock locks a path.
func (r *Repo) Lock(path, owner, comment string) {
	r.TB.Helper()
	file := filepath.Join(r.TB.TempDir(), "comment")
	if err := os.WriteFile(file, []byte(comment), 0o600); err != nil {
		r.TB.Fatal(err)
	}
	Run(r.TB, nil, svncmd.Admin, "lock", "--quiet", r.Dir, path, owner, file)
}

// Pack packs what is full of the repository.
func (r *Repo) Pack() {
	r.TB.Helper()
	Run(r.TB, nil, svncmd.Admin, "pack", "--quiet", r.Dir)
}

// Dump returns a whole dump of the repository in dir, without deltas.
func Dump(tb testing.TB, dir string) string {
	tb.Helper()
	return Run(tb, nil, svncmd.Admin, "dump", "--quiet", dir)
}

// Youngest returns the youngest revision of the repository in dir.
func Youngest(tb testing.TB, dir string) string {
	tb.Helper()
	return strings.TrimSpace(Run(tb, nil, svncmd.Look, "youngest", dir))
}

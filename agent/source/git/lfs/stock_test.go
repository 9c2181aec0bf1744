package lfs_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"farshore/agent/source/git/lfs"
	"farshore/agent/source/git/lfs/lfstest"
)

// TestStock holds the test server to the real git-lfs, which pushes to it and fetches from it, and the client to what git-lfs pushed.
func TestStock(t *testing.T) {
	requireLFS(t)
	s := lfstest.New(t)
	s.Account("user", "geheim")
	work := stockRepository(t, s)
	contents := [][]byte{content(200_000, 1), content(1, 2), []byte("text\n")}
	var want []lfs.Pointer
	for i, c := range contents {
		name := string(rune('a'+i)) + ".bin"
		work.write(name, c)
		work.run("add", name)
		p, ok := lfs.Parse(work.run("cat-file", "blob", ":"+name))
		if !ok || p.Size != int64(len(c)) {
			t.Fatalf("%s: %v, %v", name, p, ok)
		}
		want = append(want, p)
	}
	work.run("commit", "-qm", "large files")
	work.run("lfs", "push", "origin", "main")
	for i, p := range want {
		if got, ok := s.Get(p.OID); !ok || !bytes.Equal(got, contents[i]) {
			t.Fatalf("git-lfs did not push object %d", i)
		}
	}
	all, _, err := fetch(t, client(s, lfs.Options{Username: "user", Password: secret("geheim")}), want)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range want {
		if all[p].err != nil || !bytes.Equal(all[p].data, contents[i]) {
			t.Errorf("object %d: %v", i, all[p].err)
		}
	}
	s.Fault(want[0].OID, lfstest.Elsewhere)
	s.Fault(want[2].OID, lfstest.Expired)
	if err := os.RemoveAll(filepath.Join(work.dir, ".git", "lfs")); err != nil {
		t.Fatal(err)
	}
	work.run("lfs", "fetch", "origin", "main")
	for i, p := range want {
		got, err := os.ReadFile(filepath.Join(work.dir, ".git", "lfs", "objects", p.OID[:2], p.OID[2:4], p.OID))
		if err != nil || !bytes.Equal(got, contents[i]) {
			t.Errorf("git-lfs fetched object %d: %v", i, err)
		}
	}
	if !slices.Contains(s.Requests(), "elsewhere "+want[0].OID) {
		t.Error("nothing came from the other host")
	}
}

// stock is a working copy that the real git and git-lfs use.
type stock struct {
	t   *testing.T
	dir string
}

func stockRepository(t *testing.T, s *lfstest.Server) *stock {
	w := &stock{t, t.TempDir()}
	w.run("init", "-q", "-b", "main")
	w.run("lfs", "install", "--local", "--skip-repo")
	w.run("remote", "add", "origin", strings.Replace(s.URL, "http://", "http://user:geheim@", 1))
	w.run("config", "lfs.basictransfersonly", "true")
	w.write(".gitattributes", []byte("*.bin filter=lfs -text\n"))
	w.run("add", ".gitattributes")
	return w
}

func (w *stock) write(name string, data []byte) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), data, 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// run runs git and returns what it prints.
func (w *stock) run(args ...string) []byte {
	w.t.Helper()
	cmd := exec.CommandContext(w.t.Context(), "git", args...)
	cmd.Dir = w.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + w.dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=test", "GIT_AUTHOR_EMAIL=test@localhost", "GIT_COMMITTER_NAME=test", "GIT_COMMITTER_EMAIL=test@localhost"}
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		w.t.Fatalf("git %s: %v: %s%s", strings.Join(args, " "), err, said.String(), out)
	}
	return out
}

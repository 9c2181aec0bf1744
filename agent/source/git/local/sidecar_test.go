package local

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"farshore/agent/repo/gittest"
)

func sidecarNames(t *testing.T, r *Repository) []string {
	t.Helper()
	files, err := r.Sidecars(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range files {
		names = append(names, f.Name)
	}
	if !slices.IsSorted(names) {
		t.Errorf("the names are not sorted: %q", names)
	}
	return names
}

// TestSidecars reads the files beside objects and refs.
func TestSidecars(t *testing.T) {
	r := gittest.New(t, t.TempDir(), "sha1", true)
	for _, name := range []string{"description", "hooks/post-receive", "hooks/pre-push.sample", "hooks/post-receive.d/one", "custom_hooks/update.d/a\xff", "info/exclude", "info/refs",
		"info/attributes", "objects/info/packs", "cloneurl", "logs/HEAD"} {
		put(t, filepath.Join(r.Dir, name), "content of "+name)
	}
	if err := os.Chmod(filepath.Join(r.Dir, "hooks/post-receive"), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(r.Dir, "hooks/update")); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(r.Dir, "info/exclude"), maxSidecar+1); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(r.Dir, "hooks/pipe"), 0o644); err != nil {
		t.Fatal(err)
	}
	repo := open(t, r.Dir, Options{})
	want := []string{"cloneurl", "config", "custom_hooks/update.d/a\xff", "description", "hooks/post-receive", "hooks/post-receive.d/one", "hooks/update", "info/attributes"}
	if got := sidecarNames(t, repo); !slices.Equal(got, want) {
		t.Errorf("sidecars are %q", got)
	}
	files, err := repo.Sidecars(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		switch {
		case f.Name == "hooks/update":
			if f.Link != "/etc/passwd" || f.Size != 0 || f.Open != nil {
				t.Errorf("the symbolic link is %+v", f)
			}
		case f.Name == "hooks/post-receive" && f.Mode != 0o750:
			t.Errorf("mode %o", f.Mode)
		case f.Name != "config":
			body, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(body)
			if err = errors.Join(err, body.Close()); err != nil || string(text) != "content of "+f.Name || f.Size != int64(len(text)) {
				t.Errorf("%q has %q, %v", f.Name, text, err)
			}
		}
	}
	for _, name := range []string{"info/exclude: ", "hooks/pipe: "} {
		if !strings.Contains(repo.Omitted(), name) {
			t.Errorf("%q is not named: %q", name, repo.Omitted())
		}
	}
}

// TestLFS finds pointers in new blobs only, and objects where git-lfs keeps them.
func TestLFS(t *testing.T) {
	r := gittest.New(t, t.TempDir(), "sha1", true)
	content := "a large file"
	oid := fmt.Sprintf("%x", sha256.Sum256([]byte(content)))
	pointer := func(oid string, size int) string {
		return fmt.Sprintf("version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n", oid, size)
	}
	first := r.Commit("main", map[string]string{"plain": "text", "big": pointer(oid, len(content)), "again": pointer(oid, len(content)) + "\n", "long": strings.Repeat("x", 5000)})
	other := strings.Repeat("cd", 32)
	second := r.Commit("main", map[string]string{"other": pointer(other, 5)})
	put(t, filepath.Join(r.Dir, "lfs/objects", oid[:2], oid[2:4], oid), content)
	repo := open(t, r.Dir, Options{})
	for _, test := range []struct {
		wants, haves, want []string
	}{
		{[]string{second}, nil, []string{oid, other}},
		{[]string{second}, []string{first}, []string{other}},
		{[]string{first}, []string{strings.Repeat("ab", 20)}, []string{oid}},
		{nil, nil, nil},
	} {
		found, err := repo.Pointers(t.Context(), test.wants, test.haves)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range found {
			got = append(got, p.OID)
		}
		slices.Sort(got)
		slices.Sort(test.want)
		if !slices.Equal(got, test.want) {
			t.Errorf("pointers of %v without %v are %v, want %v", test.wants, test.haves, got, test.want)
		}
	}
	body, size, err := repo.LFSObject(oid)
	if err != nil || size != int64(len(content)) {
		t.Fatal(size, err)
	}
	defer body.Close()
	if got, err := io.ReadAll(body); err != nil || string(got) != content {
		t.Errorf("%q, %v", got, err)
	}
	for _, bad := range []string{other, "../../../../../../etc/passwd", ""} {
		if _, _, err := repo.LFSObject(bad); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

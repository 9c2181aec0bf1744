package git

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"farshore/agent/record"
	"farshore/agent/repo/gitserver"
	"farshore/agent/repo/gittest"
	"farshore/agent/source/git/lfs"
	"farshore/agent/source/git/lfs/lfstest"
)

// objects are the ids of the LFS objects of a record.
func objects(r *record.Record) map[string]bool {
	ids := map[string]bool{}
	for _, p := range r.Parts {
		if p.Kind == record.PartLFS {
			ids[hex.EncodeToString(p.SHA256[:])] = true
		}
	}
	return ids
}

// large commits pointers to the objects, among other files.
func large(r *gittest.Repo, name string, list ...lfs.Pointer) {
	files := map[string]string{".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n"}
	for i, p := range list {
		files[fmt.Sprintf("%s%d.bin", name, i)] = string(p.Encode())
	}
	r.Commit("main", files)
}

// TestLFSRemote holds that LFS objects are captured once, that missing ones are named and tried again, and that none is overlooked when only the records are
// left, or LFS was off for a while.
func TestLFSRemote(t *testing.T) {
	root := t.TempDir()
	r := gittest.New(t, filepath.Join(root, "r.git"), "", true)
	server := lfstest.Detached()
	web := httptest.NewServer(server.Wrap(gitserver.Handler(t, root, gitserver.HTTPOptions{})))
	defer web.Close()
	o := Options{Address: "git+" + web.URL + "/r.git"}
	p := replicate(t, o)
	var put []lfs.Pointer
	for i := range 6 {
		put = append(put, server.Put(bytes.Repeat([]byte{byte('a' + i)}, 5000+i)))
	}
	want := func(what string, n int) *record.Record {
		t.Helper()
		p.must()
		rec := p.get("r.git", record.KindLFS)
		got := objects(rec)
		for _, l := range put[:n] {
			if !got[l.OID] {
				t.Errorf("%s: object %s is not there", what, l.OID)
			}
		}
		if len(got) != n {
			t.Errorf("%s: %d objects in place of %d", what, len(got), n)
		}
		return rec
	}
	r.Commit("main", map[string]string{"a": "1\n"})
	want("none", 0)
	large(r, "x", put[0], put[1])
	want("first", 2)
	large(r, "x", put[2]) // one pointer after another of the same file comes as a delta
	want("second", 3)
	p.must()
	if len(p.captured) != 0 {
		t.Errorf("captured again: %v", p.captured)
	}

	server.Fault(put[3].OID, lfstest.Missing)
	large(r, "y", put[3])
	rec := want("missing", 3)
	if text := rec.Attrs[record.AttrOmitted]; !strings.Contains(text, put[3].OID) {
		t.Errorf("omitted says %q", text)
	}
	server.Fault(put[3].OID, lfstest.None)
	if rec := want("tried again", 4); rec.Attrs[record.AttrOmitted] != "" || rec.Part(record.PartState) != nil {
		t.Errorf("what is no longer missing is: %v", rec.Attrs)
	}

	off := o
	off.LFS = "off"
	blind := replicate(t, off)
	blind.memory, blind.records = p.memory, p.records
	large(r, "z", put[4])
	blind.must()
	next := replicate(t, o)
	next.memory, next.records = p.memory, p.records
	p = next
	large(r, "z", put[5])
	want("after LFS was off", 6)
	p.checked("lfs", p.set("r.git"))
}

// TestLFSServerDown holds that an LFS server which does not answer costs the LFS objects only.
func TestLFSServerDown(t *testing.T) {
	root := t.TempDir()
	r := gittest.New(t, filepath.Join(root, "r.git"), "", true)
	server := lfstest.Detached()
	one := server.Put([]byte("one"))
	large(r, "x", one)
	p := replicate(t, Options{Address: "git+" + gitserver.HTTP(t, root, gitserver.HTTPOptions{}) + "/r.git"})
	p.must()
	p.get("r.git", record.KindGit)
	if r := p.get("r.git", record.KindLFS); len(objects(r)) != 0 || !strings.Contains(r.Attrs[record.AttrOmitted], one.OID) {
		t.Errorf("%v", r.Attrs)
	}
}

// TestLFSLocal holds that objects are read from a repository's own store, that wrong ones are not taken, and that forks have theirs.
func TestLFSLocal(t *testing.T) {
	root := t.TempDir()
	r := gittest.New(t, filepath.Join(root, "a.git"), "", true)
	server := lfstest.Detached()
	var list []lfs.Pointer
	for i := range 4 {
		list = append(list, server.Put([]byte(strings.Repeat(fmt.Sprint(i), 3000))))
	}
	give := func(dir string, p lfs.Pointer, content []byte) {
		t.Helper()
		write(t, filepath.Join(dir, "lfs", "objects", p.OID[:2], p.OID[2:4], p.OID), string(content))
	}
	for _, l := range list[:2] {
		content, _ := server.Get(l.OID)
		give(r.Dir, l, content)
	}
	give(r.Dir, list[2], bytes.Repeat([]byte("x"), 3000))
	large(r, "x", list...)
	fork(t, r, filepath.Join(root, "b.git"), 1)
	p := replicate(t, Options{Address: "git+file://" + root})
	p.must()
	for _, name := range []string{"a.git", "b.git"} {
		rec := p.get(name, record.KindLFS)
		omitted := rec.Attrs[record.AttrOmitted]
		if got := objects(rec); len(got) != 2 || !got[list[0].OID] || !got[list[1].OID] || !strings.Contains(omitted, list[2].OID) || !strings.Contains(omitted, list[3].OID) {
			t.Errorf("%s: %d objects, omitted %q", name, len(got), omitted)
		}
	}
	content, _ := server.Get(list[2].OID)
	give(r.Dir, list[2], content)
	p.must()
	if got := objects(p.get("a.git", record.KindLFS)); len(got) != 3 {
		t.Errorf("%d objects after one was put right", len(got))
	}
	p.checked("lfs", p.set("a.git"))
}

// TestSidecar holds that the files beside a repository are captured with their modes, and only when one of them changed.
func TestSidecar(t *testing.T) {
	root := t.TempDir()
	r := gittest.New(t, filepath.Join(root, "r.git"), "", true)
	r.Commit("main", map[string]string{"a": "1\n"})
	hook := filepath.Join(r.Dir, "hooks", "post-receive")
	write(t, hook, "#!/bin/sh\n")
	write(t, filepath.Join(r.Dir, "hooks", "large"), strings.Repeat("x", hashed+1))
	if err := os.Symlink("../elsewhere", filepath.Join(r.Dir, "hooks", "update")); err != nil {
		t.Fatal(err)
	}
	p := replicate(t, Options{Address: "git+file://" + root, LFS: "off"})
	p.must()
	found := map[string]record.Part{}
	for _, part := range p.get("r.git", record.KindSidecar).Parts {
		found[part.Attrs[attrName]] = part
	}
	if h := found["hooks/post-receive"]; h.Size != 10 || h.Attrs[attrMode] != "755" {
		t.Errorf("hook: %+v", h)
	}
	if l := found["hooks/update"]; l.Attrs[attrLink] != "../elsewhere" || l.Size != 0 {
		t.Errorf("link: %+v", l)
	}
	if _, ok := found["config"]; !ok || len(found) < 4 {
		t.Errorf("%d files", len(found))
	}
	p.must()
	if len(p.captured) != 0 {
		t.Errorf("captured again: %v", p.captured)
	}
	for what, change := range map[string]func() error{
		"content": func() error { return os.WriteFile(hook, []byte("#!/bin/ah\n"), 0o777) },
		"mode":    func() error { return os.Chmod(hook, 0o700) },
		"large": func() error {
			return os.WriteFile(filepath.Join(r.Dir, "hooks", "large"), bytes.Repeat([]byte("y"), hashed+2), 0o777)
		},
		"removed": func() error { return os.Remove(filepath.Join(r.Dir, "hooks", "update")) },
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		p.must()
		if len(p.captured) != 1 || p.captured[0].kind != record.KindSidecar {
			t.Errorf("%s changed: captured %v", what, p.captured)
		}
	}
}

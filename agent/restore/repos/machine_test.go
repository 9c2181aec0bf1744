package repos

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"farshore/agent/record"
	"farshore/agent/repo/tempdir"
	"farshore/agent/restore/gitrepo"
	"farshore/agent/restore/internal/workplace"
)

// program puts a shell script into PATH before all others of its name.
func program(t *testing.T, name, script string) {
	t.Helper()
	bin := t.TempDir()
	check(t, os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+script), 0o755))
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
}

// dumped adds a Subversion repository without revisions to the fleet.
func (f *fleet) dumped(path string) {
	f.t.Helper()
	const dump = "SVN-fs-dump-format-version: 2\n\nUUID: 5c2b6b4e-6b1e-4b5e-9b0e-0d3a4c1f2e3d\n\nRevision-number: 0\nProp-content-length: 10\nContent-length: 10\n\nPROPS-END\n\n"
	p, err := f.mem.Part(f.t.Context(), record.Part{Kind: record.PartDump, Attrs: record.Attrs{"from": "0", "to": "0"}}, -1, strings.NewReader(dump))
	check(f.t, err)
	f.records = append(f.records, &record.Record{Path: path, Kind: record.KindSVN, State: record.Present, Parts: []record.Part{p}})
}

// loads is an svnadmin that makes a repository, and does this in place of loading one.
func loads(script string) string {
	return "case \"$1\" in\ncreate) mkdir -p \"$2/db\" && echo 8 >\"$2/db/format\";;\nload) cat >/dev/null\n" + script + ";;\nesac\n"
}

// TestFullDisk stops at the first repository for which there is no room, whatever program met that.
func TestFullDisk(t *testing.T) {
	for name, says := range map[string]string{"disk": "svnadmin: E000028: Can't write to file: No space left on device", "quota": "svnadmin: E000122: Disk quota exceeded"} {
		t.Run(name, func(t *testing.T) {
			program(t, "svnadmin", loads("echo \""+says+"\" >&2; exit 1"))
			f := newFleet(t)
			f.dumped("a")
			f.dumped("b")
			to := t.TempDir()
			s, err := f.try(Destination{Dir: to}, Options{})
			if err == nil || !strings.Contains(err.Error(), "make room and restore again") || counts(s) != [9]int64{} {
				t.Errorf("%v, %+v", err, s)
			}
			if left, err := os.ReadDir(to); err != nil || len(left) > 0 {
				t.Errorf("left: %v, %v", left, err)
			}
		})
	}
}

// TestMachine counts as failed, and not as damaged, what this machine could not do, and goes on.
func TestMachine(t *testing.T) {
	git, err := exec.LookPath("git")
	check(t, err)
	for name, tc := range map[string]struct{ program, script string }{
		"svnadmin killed":          {"svnadmin", loads("kill -9 $$")},
		"svnadmin without memory":  {"svnadmin", loads("echo 'svnadmin: Out of memory - terminating application.' >&2; exit 1")},
		"git killed":               {"git", "for a; do [ \"$a\" = index-pack ] && kill -9 $$; done; exec " + git + " \"$@\""},
		"git, of which one killed": {"git", "for a; do [ \"$a\" = index-pack ] && exit 137; done; exec " + git + " \"$@\""},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t)
			if tc.program == "git" {
				f = newFleet(t, "a.git", "b.git")
			} else {
				f.dumped("a")
				f.dumped("b")
			}
			program(t, tc.program, tc.script)
			s := f.run(Destination{Dir: t.TempDir()}, Options{})
			want(t, s, [9]int64{7: 2})
			for _, n := range s.Failed.Named {
				if !strings.Contains(n.Why, "says nothing of what the vault has") || strings.Contains(n.Why, "earlier snapshot") {
					t.Errorf("%+v", n)
				}
			}
		})
	}
}

// TestDamageFirst counts as damaged what the vault has not as it was, however the program ended that was given its bytes.
func TestDamageFirst(t *testing.T) {
	program(t, "svnadmin", loads("kill -9 $$"))
	f := newFleet(t)
	f.dumped("a")
	f.damaged = f.records[0].Parts[0].SHA256
	want(t, f.run(Destination{Dir: t.TempDir()}, Options{}), [9]int64{6: 1})
}

// meanwhile is a fakeSVN that has something happen when a repository is built.
type meanwhile struct {
	fakeSVN
	do func()
}

func (m meanwhile) Build(ctx context.Context, parts gitrepo.Parts, svn, sidecar *record.Record, dir string, hooks bool) ([]string, error) {
	notes, err := m.fakeSVN.Build(ctx, parts, svn, sidecar, dir, hooks)
	m.do()
	return notes, err
}

// TestTwoRuns has two runs replace the same repository at the same time, beside what a killed one left: each restores it, and nothing of any is lost.
func TestTwoRuns(t *testing.T) {
	f := newFleet(t)
	other := newFleet(t)
	for i, of := range []*fleet{f, other} {
		rec := &record.Record{Path: "svn", Kind: record.KindSVN, State: record.Present, Attrs: record.Attrs{"content": []string{"this", "that"}[i]}}
		of.records = append(of.records, rec)
	}
	to := t.TempDir()
	dest := Destination{Dir: to}
	old := &record.Record{Attrs: record.Attrs{"content": "old"}}
	_, err := fakeSVN{}.Build(t.Context(), nil, old, nil, filepath.Join(to, "svn"), false)
	check(t, err)
	left, err := tempdir.MakeFolder(to, ".svn"+workplace.Mark) // by a killed run
	check(t, err)
	check(t, left.Close())
	s := f.run(dest, Options{Overwrite: true, SVN: meanwhile{do: func() {
		want(t, other.run(dest, Options{Overwrite: true, SVN: fakeSVN{}}), [9]int64{1, 0, 0, 1})
	}}})
	want(t, s, [9]int64{1, 0, 0, 1})
	for name, content := range map[string]string{"svn": "this", "svn.before-restore-1": "old", "svn.before-restore-2": "that"} {
		if b, err := os.ReadFile(filepath.Join(to, name, "content")); err != nil || string(b) != content {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	if all, err := os.ReadDir(to); err != nil || len(all) != 3 {
		t.Errorf("there are %v, %v", all, err)
	}
}

// TestPushScratch pushes from a folder that is locked while it is used, which leaves nothing, and takes away none that another process uses.
func TestPushScratch(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	left, err := tempdir.New("", "farshore-push-")
	check(t, err)
	f := newFleet(t, "a.git")
	r := newRun(f, Destination{URL: "file://" + filepath.Join(t.TempDir(), "none.git")}, Options{})
	check(t, r.all(t.Context(), f.all()))
	all, err := os.ReadDir(os.TempDir())
	if err != nil || len(all) != 1 || all[0].Name() != filepath.Base(left.Path) {
		t.Errorf("in use is %s, and there are %v, %v", left.Path, all, err)
	}
	check(t, left.Close())
}

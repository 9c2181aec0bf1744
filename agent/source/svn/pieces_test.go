package svn_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"farshore/agent/record"
	"farshore/agent/repo/process"
	"farshore/agent/repo/svntest"
	"farshore/agent/restore/svnrepo"
	"farshore/agent/source"
	"farshore/agent/source/sourcetest"
	"farshore/agent/source/svn"
	"farshore/providers/servers"
)

// stand puts a script into the PATH that stands in for a program; in it, REAL is the program.
func stand(t *testing.T, program, script string) {
	t.Helper()
	real, err := exec.LookPath(program)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	text := "#!/bin/sh\n" + strings.ReplaceAll(script, "REAL", real) + "\n"
	if err := os.WriteFile(filepath.Join(dir, program), []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

// breaking is svnrdump over a line that breaks off: the file COUNTS says, a line for each dump, after how many revisions, and OTHERS how many it is for all further
// dumps.
const breaking = `n=$(head -n 1 COUNTS); sed -i 1d COUNTS
n=${n:-OTHERS}
for a; do case $a in -r*) r=${a#-r};; esac; done
from=${r%:*}; to=${r#*:}; last=$((from + n - 1))
[ $last -ge $to ] && exec REAL "$@"
i=$#
while [ $i -gt 0 ]; do
	a=$1; shift
	case $a in -r*) a=-r$from:$last;; esac
	set -- "$@" "$a"; i=$((i - 1))
done
[ $n -eq 0 ] || REAL "$@"
echo 'svnrdump: E210002: Network connection closed unexpectedly' >&2
exit 1`

// line makes svnrdump break off after so many revisions.
func line(t *testing.T, others int, counts ...int) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "counts")
	text := ""
	for _, n := range counts {
		text += fmt.Sprintln(n)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	stand(t, "svnrdump", strings.NewReplacer("COUNTS", file, "OTHERS", fmt.Sprint(others)).Replace(breaking))
}

// TestFlakyLine captures over lines that never last as long as the dump of all: each capture brings what can be had, which can be restored, and a later one goes on.
func TestFlakyLine(t *testing.T) {
	f := newFleet(t)
	svntest.Need(t, servers.Missing, "svnserve", "svnrdump")
	r := f.repository("app")
	for i := range 4 {
		r.Commit("more", svntest.Node{Path: fmt.Sprint("f", i), Action: "add", Text: []byte("text\n")})
	}
	s, err := svn.New(svn.Options{Name: "svn", Address: svntest.Serve(t, f.root, "", "", "") + "/app"})
	if err != nil {
		t.Fatal(err)
	}
	e := source.Entry{Path: "app", Kind: record.KindSVN, Size: -1}
	for name, c := range map[string]struct {
		others   int
		counts   []int
		youngest string // empty: nothing is captured
	}{
		"earlier the second time":           {others: 100, counts: []int{5, 3}, youngest: "6"},
		"never more than one":               {others: 1, youngest: "6"},
		"down after a while":                {others: 0, counts: []int{5, 3, 100}, youngest: "1"},
		"down after it was earlier at once": {others: 0, counts: []int{5, 3}},
		"down":                              {others: 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Run("now", func(t *testing.T) {
				line(t, c.others, c.counts...)
				rec, err := s.Capture(t.Context(), e, nil, f.mem)
				f.recs["app svn"] = rec
				var bad *source.Unreadable
				switch {
				case c.youngest == "":
					if err == nil || errors.As(err, &bad) || !strings.Contains(err.Error(), "E210002") {
						t.Errorf("%+v, %v", rec, err)
					}
				case err != nil:
					t.Fatal(err)
				case rec.Attrs["youngest"] != c.youngest || (c.youngest == "6") != (rec.Attrs[record.AttrOmitted] == ""):
					t.Errorf("youngest %s, omitted %q", rec.Attrs["youngest"], rec.Attrs[record.AttrOmitted])
				}
			})
			if c.youngest != "" {
				restorable(f, c.youngest)
			}
			if c.youngest == "6" || c.youngest == "" {
				return
			}
			rec, err := s.Capture(t.Context(), e, f.recs["app svn"], f.mem)
			if err != nil || rec.Attrs["youngest"] != "6" || rec.Attrs[record.AttrOmitted] != "" {
				t.Fatalf("later: %+v, %v", rec, err)
			}
			f.recs["app svn"] = rec
			restorable(f, "6")
		})
	}
}

// restorable builds and checks what was captured.
func restorable(f *fleet, youngest string) {
	f.t.Helper()
	dir, err := os.MkdirTemp(f.root, ".restored-")
	if err != nil {
		f.t.Fatal(err)
	}
	dir = filepath.Join(dir, "repository")
	set := svnrepo.Set{SVN: f.recs["app svn"]}
	if _, err := svnrepo.Build(f.t.Context(), f.mem, set, dir, svnrepo.Options{}); err != nil {
		f.t.Fatal(err)
	}
	if problems, err := svnrepo.Check(f.t.Context(), f.mem, set, dir); err != nil || len(problems) > 0 {
		f.t.Errorf("%q, %v", problems, err)
	}
	if got := svntest.Youngest(f.t, dir); got != youngest {
		f.t.Errorf("the youngest revision is %s, want %s", got, youngest)
	}
}

// TestMachine holds that a repository is not called broken because this machine killed a program of Subversion's, or ran out of something, and that what was dumped
// before is kept.
func TestMachine(t *testing.T) {
	f := newFleet(t)
	f.repository("app")
	s, err := svn.New(svn.Options{Name: "svn", Address: "svn+file://" + f.root})
	if err != nil {
		t.Fatal(err)
	}
	entries := sourcetest.List(t, s, source.Range{})
	e := entries[len(entries)-1]
	const late = `case "$*" in *-r0:2*) REAL dump --quiet --deltas --incremental -r0:1 "$2"; kill -9 $$;; *-r1:2*) kill -9 $$;; esac`
	for name, c := range map[string]struct {
		command, does string
		whole, room   bool
	}{
		"verify killed":  {command: "verify", does: "kill -9 $$"},
		"dump killed":    {command: "dump", does: "kill -9 $$"},
		"dump short":     {command: "dump", does: "echo 'svnadmin: E000012: Cannot allocate memory' >&2; exit 1"},
		"no room":        {command: "dump", does: "echo 'svnadmin: E000028: Can not write to file: No space left on device' >&2; exit 1", room: true},
		"killed at last": {command: "dump", does: late, whole: true},
	} {
		t.Run(name, func(t *testing.T) {
			stand(t, "svnadmin", fmt.Sprintf("if [ \"$1\" = %s ]; then %s; fi\nexec REAL \"$@\"", c.command, c.does))
			rec, err := s.Capture(t.Context(), e, nil, f.mem)
			var bad *source.Unreadable
			is := errors.As(err, &bad)
			switch {
			case c.whole:
				if err != nil || !strings.Contains(rec.Attrs[record.AttrOmitted], "revisions 1 to 2: svnadmin dump: signal: killed: this machine failed") {
					t.Errorf("%+v, %v", rec, err)
				}
			case c.room:
				if err == nil || is || !process.NoRoom(err) || !strings.Contains(err.Error(), "run the pass again") {
					t.Error(err)
				}
			case !is || bad.Reason != record.ReasonOther || !strings.Contains(bad.Detail, "this machine failed"):
				t.Error(err)
			}
		})
	}
}

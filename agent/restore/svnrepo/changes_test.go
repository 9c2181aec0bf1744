package svnrepo_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"farshore/agent/record"
	"farshore/agent/repo/svncmd"
	"farshore/agent/repo/svntest"
)

// aChange is made between two captures. Those of the same group are made together where tests are to be short: each alone would be seen in the same way.
type aChange struct {
	name   string
	change func(*svntest.Repo)
	group  string
}

// together joins changes of the same group into one.
func together(all []aChange) []aChange {
	var joined []aChange
	for _, c := range all {
		i := slices.IndexFunc(joined, func(j aChange) bool { return c.group != "" && j.group == c.group })
		if i < 0 {
			joined = append(joined, c)
			continue
		}
		before := joined[i]
		joined[i] = aChange{before.name + "; " + c.name, func(r *svntest.Repo) { before.change(r); c.change(r) }, c.group}
	}
	return joined
}

// TestChanges makes a change between two captures, of which the second must hold it.
func TestChanges(t *testing.T) {
	tests := []aChange{
		{"nothing", func(*svntest.Repo) {}, ""},
		{"an edited log message", func(r *svntest.Repo) { r.SetRevprop(1, "svn:log", "better") }, ""},
		{"a removed author", func(r *svntest.Repo) { r.DeleteRevprop(1, "svn:author") }, "removed"},
		{"a removed date", func(r *svntest.Repo) { r.DeleteRevprop(1, "svn:date") }, "removed"},
		{"no properties at all", func(r *svntest.Repo) {
			for _, p := range []string{"svn:author", "svn:date", "svn:log"} {
				r.DeleteRevprop(1, p)
			}
			r.DeleteRevprop(0, "svn:date")
		}, ""},
		{"a property of revision 0", func(r *svntest.Repo) { r.SetRevprop(0, "x", "y\r\n\x00") }, ""},
		{"carriage returns in a log message", func(r *svntest.Repo) {
			r.CommitProps(map[string]string{"svn:log": "one\r\ntwo\r", "svn:author": "alice"}, change("two"))
		}, "commits"},
		{"a property with bytes", func(r *svntest.Repo) {
			r.Commit("x", svntest.Node{Path: "trunk/a", Action: "change", Props: map[string]string{"bin": "\x00\xff\r\n", "svn:ignore": "a\r\nb\r\n"}})
		}, "commits"},
		{"mergeinfo of old revisions and of none", func(r *svntest.Repo) {
			r.Commit("x", svntest.Node{Path: "trunk", Action: "change", Dir: true, Props: map[string]string{"svn:mergeinfo": "/branches/x:1-400\n/trunk:1"}})
			r.Commit("y", svntest.Node{Path: "trunk", Action: "change", Dir: true, Props: map[string]string{"svn:mergeinfo": ""}})
		}, "commits"},
		{"an empty revision", func(r *svntest.Repo) { r.CommitProps(nil) }, "commits"},
		{"a copy of an old revision, changed", func(r *svntest.Repo) {
			r.Commit("x", change("two"))
			r.Commit("y", svntest.Node{Path: "branch", Action: "add", Dir: true, CopyPath: "trunk", CopyRev: 1},
				svntest.Node{Path: "branch/a", Action: "change", Text: []byte("three")})
		}, "commits"},
		{"a replaced file", func(r *svntest.Repo) {
			r.Commit("x", svntest.Node{Path: "trunk/a", Action: "delete"}, svntest.Node{Path: "trunk/a", Action: "add", Dir: true})
		}, ""},
		{"a file emptied", func(r *svntest.Repo) { r.Commit("x", change("")) }, "commits"},
		{"a rename", func(r *svntest.Repo) {
			r.Commit("x", svntest.Node{Path: "trunk/c", Action: "add", CopyPath: "trunk/a", CopyRev: 1}, svntest.Node{Path: "trunk/a", Action: "delete"})
		}, "commits"},
		{"another id", func(r *svntest.Repo) {
			svntest.Run(r.TB, nil, svncmd.Admin, "setuuid", r.Dir, "01234567-89ab-cdef-0123-456789abcdef")
		}, ""},
		{"locks", func(r *svntest.Repo) {
			r.Lock("/trunk/a", "bob", "line\n\nline, schön\n")
			r.Lock("/trunk/b", "alice", "")
		}, ""},
	}
	formats := [][]string{nil}
	if long() {
		formats = append(formats, []string{"--compatible-version=1.4"}, []string{"--compatible-version=1.8"})
	} else {
		tests = together(tests)
	}
	for _, create := range formats {
		for _, test := range tests {
			t.Run(fmt.Sprint(test.name, create), func(t *testing.T) {
				t.Parallel()
				root := t.TempDir()
				r := local(t, root)
				repo := trunk(t, filepath.Join(root, "app"), create...)
				r.pass()
				test.change(repo)
				r.pass()
				r.same(repo.Dir)
				if n := r.count(record.PartDump); n > 2 {
					t.Errorf("the chain has %d dumps", n)
				}
			})
		}
	}
}

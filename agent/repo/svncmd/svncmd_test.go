package svncmd_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"farshore/agent/repo/svncmd"
	"farshore/agent/repo/svntest"
	"farshore/providers/servers"
)

// script puts a program of that name before all others on the search path.
func script(t *testing.T, name, text string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

func TestEnds(t *testing.T) {
	broken := errors.New("broken")
	tests := []struct {
		name, script string
		stdin        io.Reader
		tool         svncmd.Tool
		out, err     string
	}{
		{"well", "cat", strings.NewReader("hello"), svncmd.Tool{}, "hello", ""},
		{"with a failure", "echo some; echo 'svnadmin: E160004: bad' >&2; exit 1", nil, svncmd.Tool{}, "some\n", "svnadmin x: svnadmin: E160004: bad"},
		{"without a word", "exit 3", nil, svncmd.Tool{}, "", "svnadmin x: exit status 3"},
		{"input that fails", "cat", io.MultiReader(strings.NewReader("hel"), iotest.ErrReader(broken)), svncmd.Tool{}, "hel", "input of svnadmin x: broken"},
		{"silence", "echo some; sleep 1000", nil, svncmd.Tool{Idle: 300 * time.Millisecond}, "some\n", "svnadmin x: it was ended, since nothing moved for 300ms"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			script(t, "svnadmin", test.script)
			var out bytes.Buffer
			err := test.tool.Run(t.Context(), test.stdin, &out, svncmd.Admin, "x")
			if got := errorText(err); got != test.err || out.String() != test.out && test.err == "" {
				t.Errorf("%q, %q", out.String(), got)
			}
		})
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	err := (&svncmd.Tool{}).Run(t.Context(), nil, io.Discard, svncmd.Look, "youngest")
	if !errors.Is(err, svncmd.ErrMissing) || !strings.Contains(err.Error(), "svnlook") || !strings.Contains(err.Error(), "apt install") {
		t.Errorf("error %v", err)
	}
}

// TestCancel ends a program together with what it started.
func TestCancel(t *testing.T) {
	script(t, "svnadmin", "sleep 1000 & echo $!; wait")
	ctx, cancel := context.WithCancel(t.Context())
	s, err := (&svncmd.Tool{}).Start(ctx, nil, svncmd.Admin, "dump")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Read(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := s.Read(make([]byte, 100)); !errors.Is(err, context.Canceled) {
		t.Errorf("read: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestRemote looks at what a program is given: the password by its input alone, and no word of the user's environment.
func TestRemote(t *testing.T) {
	t.Setenv("SVN_SSH", "evil")
	t.Setenv("HOME", "/somewhere")
	script(t, "svn", `for a in "$@"; do printf '%s\n' "$a"; done; env; echo "input:"; cat`)
	tool := svncmd.Tool{Username: "alice", Password: "se cret", SSH: []string{"ssh", "-F", `/a b"c\d`}}
	s, err := tool.Remote(t.Context(), svncmd.SVN, "info", "svn://host/x")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	b, err := io.ReadAll(s)
	if err != nil {
		t.Fatal(err)
	}
	given, input, _ := strings.Cut(string(b), "input:\n")
	if input != "se cret\n" || strings.Contains(given, "cret") {
		t.Errorf("input %q", input)
	}
	lines := strings.Split(given, "\n")
	for _, want := range []string{"info", "svn://host/x", "--non-interactive", "--no-auth-cache", "--username=alice", "--password-from-stdin", "LC_ALL=C.UTF-8", "HOME=/dev/null",
		`--config-option=config:tunnels:ssh=ssh -F "/a b\"c\\d" -q -o BatchMode=yes -o ConnectTimeout=60 --`} {
		if !slices.Contains(lines, want) {
			t.Errorf("%q was not given", want)
		}
	}
	if strings.Contains(given, "evil") || strings.Contains(given, "somewhere") {
		t.Error("the user's environment was given")
	}
}

// TestLocks makes locks, and reads them as svnadmin prints them.
func TestLocks(t *testing.T) {
	svntest.Need(t, servers.Missing, "svnadmin")
	r := svntest.New(t, filepath.Join(t.TempDir(), "r"))
	want := []svncmd.Lock{{Path: "/a", Owner: "bob"}, {Path: "/schön", Owner: "alice", Comment: "Path: /x\n\n\nOwner: y\n"}, {Path: "/z", Owner: "x y", Comment: "one"}}
	for _, l := range want {
		r.Commit("x", svntest.Node{Path: l.Path[1:], Action: "add", Text: []byte{}})
		r.Lock(l.Path, l.Owner, l.Comment)
	}
	got, err := svncmd.ParseLocks([]byte(svntest.Run(t, nil, svncmd.Admin, "lslocks", r.Dir)))
	if err != nil {
		t.Fatal(err)
	}
	lines, err := svncmd.EncodeLocks(got)
	if err != nil {
		t.Fatal(err)
	}
	again, err := svncmd.DecodeLocks(lines)
	if err != nil || !reflect.DeepEqual(again, got) {
		t.Errorf("%v, %v", again, err)
	}
	slices.SortFunc(got, func(a, b svncmd.Lock) int { return strings.Compare(a.Path, b.Path) })
	for i := range got {
		if !strings.HasPrefix(got[i].Token, "opaquelocktoken:") || got[i].Created == "" {
			t.Errorf("lock %+v", got[i])
		}
		got[i].Token, got[i].Created = "", ""
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func TestParseInfo(t *testing.T) {
	const entry = `<entry kind="dir" path="a" revision="5"><url>svn://h/a</url><repository><root>svn://h/a</root><uuid>u</uuid></repository></entry>`
	got, err := svncmd.ParseInfo([]byte("<info>" + entry + "</info>"))
	if want := (svncmd.Info{URL: "svn://h/a", Root: "svn://h/a", UUID: "u", Youngest: 5}); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []string{"", "<info></info>", "<info>" + entry + entry + "</info>", "<info><entry/></info>", "<info>" + entry} {
		if _, err := svncmd.ParseInfo([]byte(bad)); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

func TestParseLog(t *testing.T) {
	const text = `<?xml version="1.0"?><log><logentry revision="1"><author>a</author><msg>x&#13;
y</msg><revprops><property name="b" encoding="base64">AAH/
</property><property name="svn:x">&lt;</property></revprops></logentry><logentry revision="2"></logentry></log>`
	var got []svncmd.Logged
	keep := func(l svncmd.Logged) error {
		got = append(got, l)
		return nil
	}
	if err := svncmd.ParseLog(strings.NewReader(text), keep); err != nil {
		t.Fatal(err)
	}
	want := []svncmd.Logged{{1, map[string]string{"svn:author": "a", "svn:log": "x\r\ny", "b": "\x00\x01\xff", "svn:x": "<"}}, {2, map[string]string{}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v", got)
	}
	for _, bad := range []string{text[:100], strings.Replace(text, "AAH/", "A!!!", 1), strings.Replace(text, `"1"`, `"x"`, 2)} {
		if err := svncmd.ParseLog(strings.NewReader(bad), keep); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

// FuzzLocks holds that what is read as locks is written and read again as the same.
func FuzzLocks(f *testing.F) {
	f.Add([]byte("Path: /a\nUUID Token: t\nOwner: o\nCreated: c\nExpires: \nComment (2 lines):\n\nx\n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		locks, err := svncmd.ParseLocks(data)
		if err != nil {
			return
		}
		lines, err := svncmd.EncodeLocks(locks)
		if err != nil {
			t.Fatal(err)
		}
		again, err := svncmd.DecodeLocks(lines)
		if err != nil {
			t.Fatal(err)
		}
		for i := range locks {
			if locks[i].Path != again[i].Path || locks[i].Owner != again[i].Owner || locks[i].Comment != again[i].Comment {
				t.Errorf("%q became %q", locks[i], again[i])
			}
		}
	})
}

// FuzzDecodeLocks holds that any lines are either refused or written again to the same locks.
func FuzzDecodeLocks(f *testing.F) {
	f.Add([]byte(`{"path":"/a","token":"t","owner64":"/w=="}` + "\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		locks, err := svncmd.DecodeLocks(data)
		if err != nil {
			return
		}
		lines, err := svncmd.EncodeLocks(locks)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := svncmd.DecodeLocks(lines); err != nil || len(again) != len(locks) {
			t.Errorf("%q became %q: %v", locks, again, err)
		}
	})
}

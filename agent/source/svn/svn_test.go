package svn

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"farshore/agent/record"
	"farshore/agent/source"
)

func TestAddresses(t *testing.T) {
	secret := func(o Options) Options { o.Username = "alice"; return o }
	tests := []struct {
		o         Options
		root, url string
		paths     []string
		err       string // part of it
	}{
		{o: Options{Address: "svn+file:///srv/svn/"}, root: "/srv/svn"},
		{o: Options{Address: "svn+file:///srv/a%20b?match=team*"}, root: "/srv/a b"},
		{o: Options{Address: "svn://host:3691/a/b/"}, url: "svn://host:3691/a/b", paths: []string{"b"}},
		{o: Options{Address: "svn://host"}, url: "svn://host", paths: []string{"repository"}},
		{o: Options{Address: "svn+https://host/svn", Repositories: []string{"b", "a/c/", "b"}}, url: "https://host/svn", paths: []string{"a/c", "b"}},
		{o: secret(Options{Address: "svn+http://127.0.0.1:80/svn"}), url: "http://127.0.0.1:80/svn", paths: []string{"svn"}},
		{o: Options{Address: "svn+http://host/x@y"}, url: "http://host/x%40y", paths: []string{"x@y"}},
		{o: Options{Address: "svn+ssh://bob@host/x"}, url: "svn+ssh://bob@host/x", paths: []string{"x"}},
		{o: Options{Address: "svn://bob@host/x"}, url: "svn://host/x", paths: []string{"x"}},
		{o: secret(Options{Address: "svn+http://host/svn"}), err: "use svn+https"},
		{o: Options{Address: "svn://bob:secret@host/x"}, err: "has a password"},
		{o: Options{Address: "svn://bob:se%zzcret@host/x"}, err: "is no URL"},
		{o: Options{Address: "svn+file://srv/svn"}, err: "names no folder"},
		{o: Options{Address: "svn+file:///srv?mach=x"}, err: "only match"},
		{o: Options{Address: "svn+file:///srv?match=[x"}, err: "pattern"},
		{o: Options{Address: "svn+file:///srv", Repositories: []string{"x"}}, err: "takes no list"},
		{o: Options{Address: "https://host/x"}, err: "are known"},
		{o: Options{Address: "svn:///x"}, err: "names no host"},
		{o: Options{Address: "svn+ssh://-oProxyCommand=x/y"}, err: "names no host"},
		{o: Options{Address: "svn://host/x?y"}, err: "may follow"},
		{o: Options{Address: "svn://host/x", Match: "*"}, err: "match is for folders"},
		{o: Options{Address: "svn://host/x", Repositories: []string{"../y"}}, err: "below the address"},
		{o: Options{Address: "svn://host/x", Repositories: []string{""}}, err: "below the address"},
	}
	for _, test := range tests {
		s, err := New(test.o)
		if err != nil {
			if test.err == "" || !strings.Contains(err.Error(), test.err) || strings.Contains(err.Error(), "cret") {
				t.Errorf("%s: %v", test.o.Address, err)
			}
			continue
		}
		if test.err != "" || s.root != test.root || s.url != test.url || s.root == "" && !slices.Equal(s.paths(), test.paths) {
			t.Errorf("%s: folder %q, server %q, %q", test.o.Address, s.root, s.url, s.paths())
		}
	}
}

// fake makes what looks like a repository.
func fake(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(dir, "db"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"format": "5\n", "db/fs-type": "fsfs\n", "db/format": "8\n", "db/current": "7\n", "db/uuid": "u\ni\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestWalk lists a tree in the order of bytes, whole and in ranges.
func TestWalk(t *testing.T) {
	root := t.TempDir()
	want := []string{"a-b", "a/b", "a/b-c", "a/c/d", "a0", "é", "z\xff"}
	for _, p := range want {
		fake(t, filepath.Join(root, p))
	}
	fake(t, filepath.Join(root, "a/b/within"))
	fake(t, filepath.Join(root, ".hidden"))
	fake(t, filepath.Join(root, "lost+found/x"))
	if err := os.MkdirAll(filepath.Join(root, "empty/folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{"loop": ".", "dangling": "nowhere", "link": "a/b"} {
		if err := os.Symlink(to, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	want = append(want, "link")
	slices.Sort(want)
	points := append([]string{"", "a", "a/", "a/b/", "a/zz", "b"}, want...)
	for _, from := range points {
		for _, to := range points {
			r := source.Range{From: from, To: to}
			check(t, Options{Address: "svn+file://" + root}, r, slices.DeleteFunc(slices.Clone(want), func(p string) bool { return !r.Contains(p) }))
		}
	}
	check(t, Options{Address: "svn+file://" + root, Match: "b*"}, source.Range{}, []string{"a/b", "a/b-c"})
	check(t, Options{Address: "svn+file://" + root + "?match=a/c/*"}, source.Range{}, []string{"a/c/d"})
	check(t, Options{Address: "svn+file://" + root + "/a0"}, source.Range{}, []string{"a0"})
	if err := (&Source{root: filepath.Join(root, "none")}).walk(t.Context(), source.Range{}, nil); err == nil {
		t.Error("a folder that is not there was listed")
	}
}

func check(t *testing.T, o Options, r source.Range, want []string) {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	err = s.List(t.Context(), r, func(e source.Entry) error {
		got = append(got, e.Path+" "+e.Kind)
		return nil
	})
	var both []string
	for _, p := range want {
		both = append(both, p+" "+record.KindSidecar, p+" "+record.KindSVN)
	}
	if err != nil || !slices.Equal(got, both) {
		t.Errorf("%+v: listed %q, %v\nwant %q", r, got, err, both)
	}
}

// TestUnchanged holds that each trace that a change leaves in a listing is seen, and that a stamp of just now is not trusted.
func TestUnchanged(t *testing.T) {
	s, attrs := &Source{}, record.Attrs{attrUUID: "u", attrYoungest: "7", attrRevpropsStamp: "a", attrLocksStamp: "b"}
	with := func(k, v string) record.Attrs {
		a := record.Attrs{}
		for k, v := range attrs {
			a[k] = v
		}
		a[k] = v
		return a
	}
	tests := []struct {
		name string
		last record.Record
		want bool
	}{
		{"nothing", record.Record{State: record.Present, Attrs: with("captured", "now")}, true},
		{"id", record.Record{State: record.Present, Attrs: with(attrUUID, "v")}, false},
		{"youngest", record.Record{State: record.Present, Attrs: with(attrYoungest, "6")}, false},
		{"revision properties", record.Record{State: record.Present, Attrs: with(attrRevpropsStamp, "x")}, false},
		{"locks", record.Record{State: record.Present, Attrs: with(attrLocksStamp, "x")}, false},
		{"something omitted", record.Record{State: record.Present, Attrs: with(record.AttrOmitted, "x")}, false},
		{"unreadable", record.Record{State: record.Unreadable, Attrs: attrs}, false},
	}
	for _, test := range tests {
		if got := s.Unchanged(source.Entry{Attrs: attrs}, &test.last); got != test.want {
			t.Errorf("%s: unchanged is %v", test.name, got)
		}
	}
	if s.Unchanged(source.Entry{}, &record.Record{State: record.Present}) {
		t.Error("what could not be listed is unchanged")
	}
	dir := t.TempDir()
	first, err := folderStamp(dir)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := folderStamp(dir); err != nil || again == first || !strings.Contains(first, "@") {
		t.Errorf("stamps of a folder that was made just now are %q and %q, %v", first, again, err)
	}
}

// TestKeep captures many times and counts what is dumped again.
func TestKeep(t *testing.T) {
	tests := []struct {
		name string
		size func(i int) int64
		most float64 // bytes dumped for each byte that is new
	}{
		{"equal", func(int) int64 { return 100 }, 6},
		{"a large base", func(i int) int64 {
			if i == 0 {
				return 1 << 40
			}
			return 100
		}, 1.01},
		{"a large one now and then", func(i int) int64 {
			if i%100 == 0 {
				return 1 << 20
			}
			return 1 << 10
		}, 8},
		{"growing", func(i int) int64 { return int64(i) }, 6},
	}
	for _, test := range tests {
		var chain []link
		var fresh, dumped int64
		for i := range 5000 {
			n := keep(chain, maxChain)
			size := test.size(i)
			fresh += size
			for _, l := range chain[n:] {
				size += l.dump.Size
			}
			dumped += size
			chain = append(chain[:n], link{dump: record.Part{Size: size}})
			if len(chain) > maxChain {
				t.Fatalf("%s: the chain has %d dumps", test.name, len(chain))
			}
		}
		if got := float64(dumped) / float64(fresh); got > test.most {
			t.Errorf("%s: %.2f bytes were dumped for each new one", test.name, got)
		}
	}
}

// TestChainOf refuses chains with a gap.
func TestChainOf(t *testing.T) {
	rec := func(ranges ...int) *record.Record {
		r := &record.Record{}
		for i := 0; i < len(ranges); i += 2 {
			a := rangeAttrs(int64(ranges[i]), int64(ranges[i+1]))
			b := rangeAttrs(int64(ranges[i]), int64(ranges[i+1]))
			b[attrDigest] = "sha1 x"
			r.Parts = append(r.Parts, record.Part{Kind: record.PartDump, Attrs: b}, record.Part{Kind: record.PartDigests, Attrs: a})
		}
		return r
	}
	for _, test := range []struct {
		r    *record.Record
		want int
	}{{nil, 0}, {rec(), 0}, {rec(0, 5), 1}, {rec(0, 5, 6, 6), 2}, {rec(0, 5, 7, 8), 0}, {rec(1, 5), 0}, {rec(0, 5, 6, 5), 0}} {
		if got := chainOf(test.r); len(got) != test.want {
			t.Errorf("%s: %d links", fmt.Sprint(test.r), len(got))
		}
	}
}

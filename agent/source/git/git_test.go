package git

import (
	"strings"
	"testing"
)

// TestNew holds which options can work, and that what is wrong with the others is said without their secrets.
func TestNew(t *testing.T) {
	for _, c := range []struct {
		address string
		paths   []string
		says    string // in the error; empty: it works
	}{
		{"git+file:///srv/git", nil, ""},
		{"git+file:///srv/git?match=*.git", nil, ""},
		{"git+file:///", nil, ""},
		{"git+https://host/team/app.git", nil, ""},
		{"git+https://host", []string{"a.git", "team/b.git"}, ""},
		{"git+http://127.0.0.1:8080/a.git", nil, ""},
		{"git+ssh://git@host:22/srv/a.git", nil, ""},
		{"git://host/a.git", nil, ""},
		{"git+https://github.com/acme?forge=github", nil, ""},
		{"git+https://git.example.org/acme?forge=gitea&api=https%3A%2F%2Fapi.example.org", nil, ""},
		{"", nil, "address is empty"},
		{"https://host/a.git", nil, "git+https"},
		{"git+ftp://host/a.git", nil, "not known"},
		{"git+file://host/srv", nil, "no host"},
		{"git+file:srv", nil, "slashes"},
		{"git+file://", nil, "no path"},
		{"git+https:///a.git", nil, "no host"},
		{"git+https://host", nil, "no path"},
		{"git+https://host/a.git?match=*.git", nil, "match"},
		{"git+https://host/a.git?branch=x", nil, "branch"},
		{"git+https://host/a.git#x", nil, "#"},
		{"git+https://host/a?forge=sourceforge", nil, "not known"},
		{"git+https://host?forge=github", nil, "owner"},
		{"git+https://host/a?api=x", nil, "api"},
		{"git+https://me@host/a.git", nil, "username"},
		{"git+https://me:s3cret@host/a.git", nil, "password"},
		{"git+ssh://me:s3cret@host/a.git", nil, "password"},
		{"git+file:///srv?match=[", nil, "pattern"},
		{"git+file:///srv?match=a&match=b", nil, "more than once"},
		{"git+https://host", []string{"../a.git"}, "../a.git"},
		{"git+https://host", []string{"/a.git"}, "/a.git"},
		{"git+https://host", []string{"a//b.git"}, "a//b.git"},
		{"git+https://host", []string{"a.git", "a.git"}, "twice"},
		{"git+https://host", []string{""}, "below the address"},
	} {
		_, err := New(Options{Address: c.address, Repositories: c.paths})
		switch {
		case c.says == "" && err != nil:
			t.Errorf("%s: %v", c.address, err)
		case c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)):
			t.Errorf("%s: the error is %v", c.address, err)
		case err != nil && strings.Contains(err.Error(), "s3cret"):
			t.Errorf("%s: the error has the password: %v", c.address, err)
		}
	}
	if _, err := New(Options{Address: "git+file:///srv", LFS: "on"}); err == nil {
		t.Error("lfs: on is accepted")
	}
}

// TestPlaces holds where the repositories of an address are.
func TestPlaces(t *testing.T) {
	for _, c := range []struct {
		address string
		paths   []string
		path    string
		want    string
	}{
		{"git+https://host:1/base/", []string{"a b/c.git"}, "a b/c.git", "https://host:1/base/a%20b/c.git"},
		{"git+https://host/team/app.git", nil, "app.git", "https://host/team/app.git"},
		{"git+ssh://git@host/srv/app.git", nil, "app.git", "ssh://git@host/srv/app.git"},
		{"git://host", []string{"x.git"}, "x.git", "git://host/x.git"},
		{"git+https://host/acme?forge=gitea", nil, "app.git", "https://host/acme/app.git"},
	} {
		s, err := New(Options{Address: c.address, Repositories: c.paths})
		if err != nil {
			t.Fatal(err)
		}
		if got := s.guess(c.path); got.url != c.want || got.path != c.path {
			t.Errorf("%s: %q at %s", c.address, got.path, got.url)
		}
	}
}

// TestNetworks holds which repositories are taken for forks of one another, and that the first leads.
func TestNetworks(t *testing.T) {
	many := func(first string) string { return first + ",c1,d1,e1,f1" }
	a := &repository{path: "a", name: "x/a", seen: survey{ok: true, count: 1, format: "sha1", sketch: "10,11,12,13,14"}}
	for _, c := range []struct {
		name string
		r    repository
		want bool
	}{
		{"two tips in common", repository{seen: survey{ok: true, count: 1, format: "sha1", sketch: "10,11,22,23,24"}}, true},
		{"one of many", repository{seen: survey{ok: true, count: 1, format: "sha1", sketch: many("10")}}, false},
		{"one of few", repository{seen: survey{ok: true, count: 1, format: "sha1", sketch: "10,30"}}, true},
		{"none", repository{seen: survey{ok: true, count: 1, format: "sha1", sketch: "40,41"}}, false},
		{"the forge says so", repository{parent: "x/a", seen: survey{ok: true, count: 1, format: "sha1", sketch: "40,41"}}, true},
		{"another format", repository{parent: "x/a", seen: survey{ok: true, count: 1, format: "sha256", sketch: "10,11"}}, false},
		{"empty", repository{parent: "x/a", seen: survey{ok: true, format: "sha1"}}, false},
		{"unread", repository{parent: "x/a"}, false},
	} {
		n := networks{}
		if n.join(a) != nil {
			t.Fatal("the first has a leader")
		}
		c.r.path = "b"
		if got := n.join(&c.r); (got == a) != c.want || got != nil && got != a {
			t.Errorf("%s: leader %v", c.name, got)
		}
	}
	n := networks{}
	empty1, empty2 := &repository{seen: survey{ok: true, format: "sha1"}}, &repository{seen: survey{ok: true, format: "sha1"}}
	if n.join(empty1) != nil || n.join(empty2) != nil {
		t.Error("empty repositories have a network")
	}
}

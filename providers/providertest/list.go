package providertest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"farshore/providers"
)

// oddNames are names whose byte order a tree of folders gets wrong easily: "-" and "." sort before "/", digits
// behind it. None is both an object and a folder: not every store can have that, and no vault needs it.
var oddNames = []string{
	"a-", "a-b", "a.b", "a/0", "a/b-c/1", "a/b.c", "a/b/1", "a/b0", "a0", "aa/0000000001", "aa/0000000002", "b/canary/a-1", "b/z",
	"ba/ba00000000000000000000000000000000000000000000000000000000000000", "ba/baffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", "z",
}

// createOdd stores an object under each name, in an order that is not the listing's, and returns the full names ascending.
func (s *store) createOdd() []string {
	var names []string
	for i := range oddNames {
		name := oddNames[(i*7+3)%len(oddNames)]
		s.mustCreate(s.dir+name, []byte(name))
		names = append(names, s.dir+name)
	}
	slices.Sort(names)
	return names
}

func testList(t *testing.T, s *store) {
	names := s.createOdd()
	prefixes := []string{"", "a", "a-", "a.", "a/", "a/b", "a/b-", "a/b/", "aa/", "b", "ba/ba0", "c", "a/b/1", "a/b/1/", "none/"}
	afters := []string{"", "a", "a-", "a-b", "a.", "a/", "a/b", "a/b.c", "a/b/", "a/b/1", "a/b/1/x", "a/zzz", "a0", "aa/0000000001", "b", "z", "zz"}
	for _, prefix := range prefixes {
		for _, after := range afters {
			s.checkList(names, s.dir+prefix, s.dir+after, 1000)
		}
		s.checkList(names, s.dir+prefix, "", 1000)
		s.checkList(names, s.dir+prefix, "zzz", 1000)
	}
	page, _, err := s.Driver.List(s.ctx, s.dir+"a-b", "", 10)
	if err != nil || len(page) != 1 || page[0].Size != int64(len("a-b")) {
		t.Errorf("List of one object: %+v, %v; want its size %d", page, err, len("a-b"))
	}
}

func testListPages(t *testing.T, s *store) {
	names := s.createOdd()
	for _, limit := range []int{1, 2, 3, len(names) - 1, len(names), len(names) + 1} {
		for _, prefix := range []string{"", "a", "a/b", "ba/"} {
			s.checkList(names, s.dir+prefix, "", limit)
		}
	}
}

// checkList lists to the end in pages and compares with what of names fits.
func (s *store) checkList(names []string, prefix, after string, limit int) {
	s.t.Helper()
	var want []string
	for _, n := range names {
		if strings.HasPrefix(n, prefix) && n > after {
			want = append(want, n)
		}
	}
	got, err := listAll(s, prefix, after, limit, len(want)+2)
	if err != nil {
		s.t.Errorf("List(%q, %q) in pages of %d: %v", prefix, after, limit, err)
	} else if !slices.Equal(got, want) {
		s.t.Errorf("List(%q, %q) in pages of %d:\n got %q\nwant %q", prefix, after, limit, got, want)
	}
}

// listAll follows pages, at most so many.
func listAll(s *store, prefix, after string, limit, pages int) (got []string, err error) {
	for range pages {
		var page []providers.Info
		var more bool
		if page, more, err = s.Driver.List(s.ctx, prefix, after, limit); err != nil {
			return nil, err
		}
		if len(page) > limit {
			return nil, fmt.Errorf("a page has %d entries", len(page))
		}
		for _, info := range page {
			got = append(got, info.Name)
		}
		if !more {
			return got, nil
		}
		if len(page) == 0 {
			return nil, fmt.Errorf("a page is empty and more is said to follow %q", after)
		}
		after = got[len(got)-1]
	}
	return nil, fmt.Errorf("%d pages and still more", pages)
}

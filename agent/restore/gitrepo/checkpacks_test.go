package gitrepo_test

import (
	"encoding/binary"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"farshore/agent/repo/gittest"
	"farshore/agent/restore/gitrepo"
)

// TestSameCounts restores packs to which git adds as many objects as make them as long as another pack of the record: Check must not take the one for the other.
func TestSameCounts(t *testing.T) {
	t.Parallel()
	met := 0
	for files := range 3 {
		src := gittest.New(t, filepath.Join(t.TempDir(), "src.git"), "", true)
		c := newCapture(t, src, "app.git")
		text := map[string]string{"a.txt": strings.Repeat("a line that is there again and again\n", 100) + fmt.Sprint(lines(500))}
		for i := range files {
			text[fmt.Sprint("other", i)] = fmt.Sprint(i)
		}
		src.Commit("main", text)
		c.take()
		src.Commit("main", map[string]string{"a.txt": text["a.txt"] + "more\n"})
		c.take()
		got, _ := c.build(c.set(), gitrepo.Options{})
		if !slices.Equal(counts(t, got.Dir), c.counts()) && counts(t, got.Dir)[0] == counts(t, got.Dir)[1] {
			met++
		}
	}
	if met == 0 {
		t.Error("git never added as many objects as that takes")
	}
}

// lines are numbers, which do not compress well.
func lines(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i * i * 7919 % 10007
	}
	return list
}

// counts are the numbers of objects of a repository's packs, ascending.
func counts(t *testing.T, dir string) []int {
	t.Helper()
	var list []int
	for _, p := range packFiles(t, dir, "pack") {
		list = append(list, int(binary.BigEndian.Uint32([]byte(read(t, p))[8:])))
	}
	slices.Sort(list)
	return list
}

// counts are those on record.
func (c *capture) counts() []int {
	c.t.Helper()
	var list []int
	for _, i := range c.packs() {
		n, err := strconv.Atoi(c.rec.Parts[i].Attrs["objects"])
		c.must(err)
		list = append(list, n)
	}
	slices.Sort(list)
	return list
}

package gitrepo

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"farshore/agent/record"
)

// idRun is a number of objects from a pack's beginning on, and the sum of their ids.
type idRun struct {
	objects int64
	ids     string
}

// packs looks for each pack of the record among those of the repository. Git may have added objects behind those that a pack was stored with, and then
// the pack has another trailer: what identifies it are its first objects.
func (c *checker) packs(ctx context.Context) error {
	chain := packParts(c.set.Git)
	wanted := map[int64]bool{}
	for _, p := range chain {
		if n, err := strconv.ParseInt(p.Attrs[attrObjects], 10, 64); err == nil && n > 0 {
			wanted[n] = true
		}
	}
	indexes, err := filepath.Glob(filepath.Join(escapeGlob(c.dir), "objects", "pack", "pack-*.idx"))
	if err != nil {
		return err
	}
	found := map[idRun]bool{}
	for _, index := range indexes {
		if err := c.runs(ctx, index, wanted, found); err != nil {
			return err
		}
	}
	for i, p := range chain {
		if why := missingPack(p, found); why != "" {
			c.problems.add("%s: %s", packName(p, i, len(chain)), why)
		}
	}
	return nil
}

// missingPack says why a pack of the record was not found; empty when it was, or when it has no objects.
func missingPack(p *record.Part, found map[idRun]bool) string {
	n, err := strconv.ParseInt(p.Attrs[attrObjects], 10, 64)
	switch {
	case err != nil || n < 0:
		return fmt.Sprintf("the record says %q of the number of its objects", p.Attrs[attrObjects])
	case n == 0:
		return ""
	case !found[idRun{n, p.Attrs[attrIDs]}]: // with any ids where none are on record
		return fmt.Sprintf("its %d objects, as they were captured, are in no pack of the repository", n)
	}
	return ""
}

// escapeGlob makes a path mean itself.
func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(path)
}

// runs adds to found the wanted runs of objects that the pack begins with, each with its ids and once without.
func (c *checker) runs(ctx context.Context, index string, wanted map[int64]bool, found map[idRun]bool) error {
	total, err := packCount(strings.TrimSuffix(index, ".idx") + ".pack")
	if err != nil {
		c.problems.add("%v", err)
		return nil
	}
	shorter := false
	for n := range wanted {
		shorter = shorter || n < total
	}
	note := func(n int64, sum *idSum) {
		if wanted[n] {
			found[idRun{n, sum.String()}], found[idRun{n, ""}] = true, true
		}
	}
	if wanted[total] || !shorter { // most often all of its objects are its own: then their order is of no importance
		sum := &idSum{}
		if err := showIndex(ctx, c.ours, index, func(_ int64, id string) error { return sum.add(id) }); err != nil {
			return err
		}
		note(total, sum)
		if wanted[total] {
			return nil
		}
	}
	return c.prefixes(ctx, index, note)
}

// prefixes calls note for each number of objects that the pack may begin with.
func (c *checker) prefixes(ctx context.Context, index string, note func(int64, *idSum)) error {
	type object struct {
		offset int64
		id     string
	}
	var all []object
	err := showIndex(ctx, c.ours, index, func(offset int64, id string) error {
		all = append(all, object{offset, id})
		return nil
	})
	slices.SortFunc(all, func(a, b object) int { return cmp.Compare(a.offset, b.offset) })
	sum := &idSum{}
	for i, o := range all {
		if err := sum.add(o.id); err != nil {
			return err
		}
		note(int64(i+1), sum)
	}
	return err
}

// packCount reads the number of a pack's objects from its header.
func packCount(path string) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var head [packHeader]byte
	if _, err := io.ReadFull(f, head[:]); err != nil || string(head[:4]) != "PACK" {
		return 0, fmt.Errorf("%s: it is no pack", path)
	}
	return int64(binary.BigEndian.Uint32(head[8:])), nil
}

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
	runs := &idRuns{wanted: map[idRun]bool{}, lengths: map[int64]bool{}, found: map[idRun]bool{}}
	for _, p := range chain {
		if n, err := strconv.ParseInt(p.Attrs[attrObjects], 10, 64); err == nil && n > 0 {
			runs.wanted[idRun{n, p.Attrs[attrIDs]}], runs.lengths[n] = true, true
		}
	}
	indexes, err := filepath.Glob(filepath.Join(escapeGlob(c.dir), "objects", "pack", "pack-*.idx"))
	if err != nil {
		return err
	}
	if c.repacked(indexes) {
		return nil
	}
	if err := c.allRuns(ctx, indexes, runs); err != nil {
		return err
	}
	for i, p := range chain {
		if why := missingPack(p, runs.found); why != "" {
			c.problems.add("%s: %s", packName(p, i, len(chain)), why)
		}
	}
	return nil
}

// allRuns notes the runs that the packs begin with. Only where one is missing then does it look at what packs that are wanted as a whole begin with.
func (c *checker) allRuns(ctx context.Context, indexes []string, runs *idRuns) error {
	var whole []string
	for _, index := range indexes {
		wanted, err := c.runs(ctx, index, runs)
		if err != nil {
			return err
		}
		if wanted {
			whole = append(whole, index)
		}
	}
	if !runs.missing() {
		return nil
	}
	for _, index := range whole {
		if err := c.prefixes(ctx, index, runs); err != nil {
			return err
		}
	}
	return nil
}

// idRuns are runs of objects that packs of a repository may begin with.
type idRuns struct {
	wanted  map[idRun]bool // those of the record; without ids where it has none
	lengths map[int64]bool // of the wanted ones
	found   map[idRun]bool // of a wanted length, each with its ids and once without
}

// note takes a run that was found, and reports whether the record has it, with its ids.
func (r *idRuns) note(n int64, sum *idSum) bool {
	if !r.lengths[n] {
		return false
	}
	run := idRun{n, sum.String()}
	r.found[run], r.found[idRun{n, ""}] = true, true
	return r.wanted[run]
}

// missing reports whether a wanted run was not found yet.
func (r *idRuns) missing() bool {
	for w := range r.wanted {
		if !r.found[w] {
			return true
		}
	}
	return false
}

// shorter reports whether a wanted run has less than n objects.
func (r *idRuns) shorter(n int64) bool {
	for l := range r.lengths {
		if l < n {
			return true
		}
	}
	return false
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

// runs notes the runs that a pack begins with, unless the whole of it is a wanted one, which it reports: most often all objects of a pack are its own, and then
// their order is of no importance.
func (c *checker) runs(ctx context.Context, index string, runs *idRuns) (whole bool, err error) {
	total, err := packCount(strings.TrimSuffix(index, ".idx") + ".pack")
	if err != nil {
		return false, c.found(err, "%v", err)
	}
	if runs.lengths[total] {
		sum := &idSum{}
		err := showIndex(ctx, c.ours, index, func(_ int64, id string) error { return sum.add(id) })
		if err != nil || runs.note(total, sum) {
			return err == nil, err
		}
	}
	if !runs.shorter(total) {
		return false, nil
	}
	return false, c.prefixes(ctx, index, runs)
}

// prefixes notes the runs that a pack begins with which git added objects to.
func (c *checker) prefixes(ctx context.Context, index string, runs *idRuns) error {
	type object struct {
		offset int64
		id     string
	}
	var all []object
	err := showIndex(ctx, c.ours, index, func(offset int64, id string) error {
		all = append(all, object{offset, id})
		return nil
	})
	if err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b object) int { return cmp.Compare(a.offset, b.offset) })
	sum := &idSum{}
	for i, o := range all {
		if err := sum.add(o.id); err != nil {
			return err
		}
		runs.note(int64(i+1), sum)
	}
	return nil
}

// packCount reads the number of a pack's objects from its header.
func packCount(path string) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var head [packHeader]byte
	if _, err := io.ReadFull(f, head[:]); unreadable(err) {
		return 0, err
	} else if err != nil || string(head[:4]) != "PACK" {
		return 0, fmt.Errorf("%s: it is no pack", path)
	}
	return int64(binary.BigEndian.Uint32(head[8:])), nil
}

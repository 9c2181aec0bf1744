package svn

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"strconv"

	"farshore/agent/record"
	"farshore/agent/repo/svndump"
)

// maxRevprops is how many parts of revision properties a record has at most.
const maxRevprops = 64

// resumeState takes up what the last record says of revision properties. Where that can't be, all of them are stored anew.
func (c *capture) resumeState(ctx context.Context) error {
	c.resumeParts()
	p := c.last.Part(record.PartState)
	if p != nil {
		data, err := c.sink.Read(ctx, p)
		if err != nil {
			return err
		}
		if s, err := svndump.ParseBlocks(data); err == nil && s.Next() == end(c.chain)+1 {
			c.stored = s
			return nil
		}
	}
	c.doubt(0, end(c.chain)+1)
	for range end(c.chain) + 1 {
		c.stored.Add(svndump.Sum{})
	}
	return nil
}

// resumeParts takes up the parts, which have whole blocks and do not overlap. The blocks of any other are stored anew.
func (c *capture) resumeParts() {
	next := int64(0)
	for i := range c.last.Parts {
		p := &c.last.Parts[i]
		if p.Kind != record.PartRevprops {
			continue
		}
		from, to, ok := rangeOf(p)
		switch {
		case !ok:
			c.doubt(0, end(c.chain)+1)
		case from < next || from%svndump.BlockSize != 0 || to > end(c.chain):
			c.doubt(from, min(to, end(c.chain))+1)
		default:
			c.revprops, next = append(c.revprops, *p), to+1
		}
	}
}

// dumped takes note of the properties that a dump of revisions from from on has. A block of which only the end was dumped again is not known, nor are those of a part
// that has such revisions too.
func (c *capture) dumped(from int64, props []svndump.Sum) {
	if from < c.stored.Next() {
		first := from / svndump.BlockSize
		c.stored = c.stored[:first]
		for range from % svndump.BlockSize {
			c.stored.Add(svndump.Sum{})
		}
		maps.DeleteFunc(c.unsure, func(b int, _ bool) bool { return int64(b) >= first })
		c.doubt(first*svndump.BlockSize, from)
		c.revprops = slices.DeleteFunc(c.revprops, func(p record.Part) bool {
			f, to, _ := rangeOf(&p)
			if to >= from {
				c.doubt(f, from)
			}
			return to >= from
		})
	}
	for _, p := range props {
		c.stored.Add(p)
	}
}

// doubt takes note that what is stored is not known of the blocks that have revisions of from to to, without to.
func (c *capture) doubt(from, to int64) {
	if c.unsure == nil {
		c.unsure = map[int]bool{}
	}
	for n := from - from%svndump.BlockSize; n < to; n += svndump.BlockSize {
		c.unsure[int(n/svndump.BlockSize)] = true
	}
}

// properties compares the properties of all captured revisions with what is stored of them, and stores those that were edited.
func (c *capture) properties(ctx context.Context) error {
	if c.unedited() {
		return nil
	}
	var now svndump.Blocks
	err := c.repo.revprops(ctx, 0, end(c.chain), func(_ int64, props []svndump.Property) error {
		now.Add(svndump.PropsSum(props))
		return nil
	})
	if errors.Is(err, errHidden) {
		if len(c.unsure) > 0 {
			c.stored = nil // nothing is said of them
		}
		return nil
	}
	if err != nil {
		return err
	}
	var changed []int
	for i := range now {
		if i >= len(c.stored) || c.unsure[i] || now[i] != c.stored[i] {
			changed = append(changed, i)
		}
	}
	return c.store(ctx, changed)
}

// unedited reports that nothing was written to revision properties since the last record was made, as the listing told it.
func (c *capture) unedited() bool {
	stamp := c.entry.Attrs[attrRevpropsStamp]
	return c.last != nil && c.rewritten == c.last.Attrs[attrRewritten] && stamp != "" && stamp == c.last.Attrs[attrRevpropsStamp] &&
		len(c.unsure) == 0 && c.last.Attrs[attrYoungest] == strconv.FormatInt(end(c.chain), 10)
}

// store stores the properties of the blocks. Blocks share a part where there would be more than the limit of them otherwise: each unit of so many blocks, of which
// any was edited or of which there is more than one part, is stored anew as a whole.
func (c *capture) store(ctx context.Context, changed []int) error {
	if len(changed) == 0 {
		return nil
	}
	unit := c.unit(changed)
	units := c.units(unit, changed)
	var parts []record.Part
	for _, u := range slices.Sorted(maps.Keys(units)) {
		if kept := units[u]; len(kept) == 1 && kept[0] != nil {
			parts = append(parts, *kept[0])
			continue
		}
		p, err := c.storeUnit(ctx, u*unit, unit)
		if err != nil {
			return err
		}
		parts = append(parts, p)
	}
	c.revprops = parts
	return nil
}

// blocksOf returns the first and the last block of a part.
func blocksOf(p *record.Part) (first, last int) {
	from, to, _ := rangeOf(p)
	return int(from / svndump.BlockSize), int(to / svndump.BlockSize)
}

// unit is how many blocks share a part: so many that each part there is lies within one unit, and that there are not too many of them.
func (c *capture) unit(changed []int) int {
	unit := 1
	for i := range c.revprops {
		first, last := blocksOf(&c.revprops[i])
		for first/unit != last/unit {
			unit *= 4
		}
	}
	for len(c.units(unit, changed)) > c.limits.revprops {
		unit *= 4
	}
	return unit
}

// units groups the parts that there are by units of so many blocks; nil stands for a changed block.
func (c *capture) units(unit int, changed []int) map[int][]*record.Part {
	units := map[int][]*record.Part{}
	for _, b := range changed {
		units[b/unit] = append(units[b/unit], nil)
	}
	for i := range c.revprops {
		first, _ := blocksOf(&c.revprops[i])
		units[first/unit] = append(units[first/unit], &c.revprops[i])
	}
	return units
}

// storeUnit stores the properties of so many blocks from the first on, as a dump that has nothing else, and takes note of what was stored.
func (c *capture) storeUnit(ctx context.Context, first, blocks int) (record.Part, error) {
	from := int64(first) * svndump.BlockSize
	to := min(from+int64(blocks)*svndump.BlockSize-1, end(c.chain))
	var sums []svndump.Sum
	pr, pw := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		err := svndump.Begin(pw, c.facts.uuid)
		if err == nil {
			err = c.repo.revprops(ctx, from, to, func(n int64, props []svndump.Property) error {
				sums = append(sums, svndump.PropsSum(props))
				return svndump.WriteRevision(pw, n, props)
			})
		}
		_ = pw.CloseWithError(err) // never fails
	}()
	p, err := c.sink.Part(ctx, record.Part{Kind: record.PartRevprops, Attrs: rangeAttrs(from, to)}, -1, pr)
	_ = pr.Close() // never fails
	<-done
	if err != nil {
		return p, err
	}
	c.noted(first, sums)
	return p, nil
}

// noted puts what was stored of whole blocks into the state.
func (c *capture) noted(first int, sums []svndump.Sum) {
	for i, sum := range sums {
		b := first + i/svndump.BlockSize
		if i%svndump.BlockSize == 0 {
			c.stored[b] = svndump.Block{}
			delete(c.unsure, b)
		}
		c.stored[b].Add(sum)
	}
}

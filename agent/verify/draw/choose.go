package draw

import (
	"cmp"
	"slices"

	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/agent/verify/census"
)

// mode is how a sweep goes over a run of names.
type mode byte

const (
	skip  mode = iota
	fresh      // what was never verified
	whole      // everything
)

// word is the mode in a report.
func (m mode) word() string {
	if m == fresh {
		return report.SweepNew
	}
	return report.SweepAll
}

// choice is what the coverage part goes over.
type choice struct {
	modes []mode // by arc
	cut   cutter
	// objects and spent are what that comes to; first is, by mode, the arc whose turn it was first.
	objects, spent int64
	first          map[mode]int
	spans          []span // in the order of names, once settled
}

// span is a run of names up to the next span's, and how it is gone over.
type span struct {
	from uint64
	arc  int
	mode mode
}

// choose decides which arcs are gone over whole, and which one in part. What was never verified comes first, beginning with the arc where an object has waited longest; then the arcs that
// were verified longest ago. The first that does not fit is gone over from its beginning as far as the room goes.
func (s *survey) choose(room int64, everything bool) *choice {
	c := &choice{modes: make([]mode, len(s.arcs)), first: map[mode]int{}}
	c.cut.arc = -1
	order := make([]int, len(s.arcs))
	for i := range order {
		order[i] = i
	}
	if everything {
		for i := range order {
			c.take(s, i, whole)
		}
		return c
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(s.arcs[a].waiting, s.arcs[b].waiting) })
	if !c.fill(s, order, fresh, room) {
		return c
	}
	order = slices.DeleteFunc(order, func(i int) bool { return s.arcs[i].time.IsZero() })
	slices.SortFunc(order, func(a, b int) int { return cmp.Or(s.arcs[a].time.Compare(s.arcs[b].time), cmp.Compare(a, b)) })
	c.fill(s, order, whole, room)
	return c
}

// fill takes arcs in the order given while they fit, and reports whether all did. Arcs in which there is nothing to go over cost nothing and are taken.
func (c *choice) fill(s *survey, order []int, m mode, room int64) bool {
	full := false
	for _, i := range order {
		switch bytes := s.arcs[i].cost(m); {
		case bytes == 0 || !full && bytes <= room-c.spent:
			c.take(s, i, m)
		case !full:
			full = true
			c.cut = cutter{arc: i, mode: m, room: room - c.spent, must: c.objects == 0}
			if _, ok := c.first[m]; !ok {
				c.first[m] = i
			}
		}
	}
	return !full
}

// cost is what it takes to go over an arc in a mode: of whole, what fresh has not paid.
func (l *load) cost(m mode) int64 {
	if m == whole {
		return l.oldBytes
	}
	return l.neverBytes
}

func (c *choice) take(s *survey, i int, m mode) {
	l := &s.arcs[i]
	if _, ok := c.first[m]; !ok {
		c.first[m] = i
	}
	if m == fresh || c.modes[i] == skip {
		c.objects += l.never
		c.spent += l.neverBytes
	}
	if m == whole {
		c.objects += l.old
		c.spent += l.oldBytes
	}
	c.modes[i] = m
}

// cutter finds, while objects go by, where the run ends that is gone over in part: before the first object that does not fit. Runs can be cut only where the beginnings of names
// differ.
type cutter struct {
	arc  int // -1: none is
	mode mode
	room int64
	must bool // one object at least, for there is nothing else
	// end is where it ends; ended is false while everything fitted.
	end   uint64
	ended bool

	objects, bytes int64  // before the beginning of name that is being read
	group          uint64 // that beginning
	some           bool
	groupObjects   int64
	groupBytes     int64
}

func (c *cutter) see(o census.Object, arc int, verified bool) {
	if arc != c.arc || c.ended || verified != (c.mode == whole) {
		return
	}
	if p := prefix(o.Name); !c.some || p != c.group {
		c.close()
		c.group, c.some = p, true
	}
	if c.bytes+c.groupBytes+o.Size > c.room && !(c.must && c.objects == 0) {
		c.end, c.ended = c.group, true
		c.groupObjects, c.groupBytes = 0, 0
		return
	}
	c.groupObjects++
	c.groupBytes += o.Size
}

// close adds what the beginning of name that was being read came to.
func (c *cutter) close() {
	c.objects += c.groupObjects
	c.bytes += c.groupBytes
	c.groupObjects, c.groupBytes = 0, 0
}

// settle puts together what was chosen and where the cut is, once all objects went by.
func (c *choice) settle(s *survey) {
	if c.cut.arc >= 0 {
		c.cut.close()
		c.objects += c.cut.objects
		c.spent += c.cut.bytes
	}
}

// sweeps writes what was chosen: first what goes over the new alone, then the whole runs; each of them ascending from where its turn came first, and round the circle.
func (c *choice) sweeps(r *ring) []report.Sweep {
	c.spans = c.cutSpans(r)
	var out []report.Sweep
	for _, m := range []mode{fresh, whole} {
		begin, ok := c.first[m]
		if !ok {
			continue
		}
		n := len(c.spans)
		at, _ := slices.BinarySearchFunc(c.spans, begin, func(s span, arc int) int { return cmp.Compare(s.arc, arc) })
		open := false // the sweep written last ends where the next span begins
		for k := range n {
			i := (at + k) % n
			if i == 0 {
				open = false
			}
			if c.spans[i].mode != m {
				open = false
				continue
			}
			if !open {
				out = append(out, report.Sweep{From: formatPrefix(c.spans[i].from), Only: m.word()})
			}
			open = true
			out[len(out)-1].To = ""
			if i+1 < n {
				out[len(out)-1].To = formatPrefix(c.spans[i+1].from)
			}
		}
	}
	return out
}

// cutSpans lists the arcs with their modes, the one that is cut as two.
func (c *choice) cutSpans(r *ring) []span {
	spans := make([]span, 0, len(r.arcs)+1)
	for i, a := range r.arcs {
		if i != c.cut.arc {
			spans = append(spans, span{a.from, i, c.modes[i]})
			continue
		}
		if !c.cut.ended {
			spans = append(spans, span{a.from, i, c.cut.mode})
			continue
		}
		if c.cut.objects > 0 {
			spans = append(spans, span{a.from, i, c.cut.mode})
			a.from = c.cut.end
		}
		spans = append(spans, span{a.from, i, c.modes[i]})
	}
	return spans
}

// covers reports whether a sweep goes over the object.
func (c *choice) covers(r *ring, o census.Object, bad map[record.Hash]bool) bool {
	p := prefix(o.Name)
	i, ok := slices.BinarySearchFunc(c.spans, p, func(s span, p uint64) int { return cmp.Compare(s.from, p) })
	if !ok {
		i--
	}
	switch c.spans[i].mode {
	case whole:
		return true
	case fresh:
		return !r.arcs[c.spans[i].arc].verified(o) || bad[o.Name]
	}
	return false
}

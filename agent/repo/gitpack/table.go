package gitpack

import "sort"

// place says where an object begins in what is read and in what is written, and of which kind it is, as far as that is known.
type place struct {
	src, out int64
	kind     byte
}

// table holds the places of all objects, ascending, in 9 bytes each.
type table struct {
	off   bool // nothing is kept
	pages []page
}

// pageSize is how many places a page holds.
const pageSize = 4096

// page is a run of places, relative to the first.
type page struct {
	first    place
	src, out []uint32
	kind     []byte
}

// add appends a place, which lies behind all others.
func (t *table) add(p place) {
	if t.off {
		return
	}
	if len(t.pages) == 0 || !t.pages[len(t.pages)-1].add(p) {
		t.pages = append(t.pages, page{first: p, src: make([]uint32, 0, pageSize), out: make([]uint32, 0, pageSize), kind: make([]byte, 0, pageSize)})
		t.pages[len(t.pages)-1].add(p)
	}
}

// add appends a place unless the page is full or the place too far away.
func (p *page) add(at place) bool {
	src, out := at.src-p.first.src, at.out-p.first.out
	if len(p.src) == pageSize || src > 1<<32-1 || out > 1<<32-1 {
		return false
	}
	p.src, p.out, p.kind = append(p.src, uint32(src)), append(p.out, uint32(out)), append(p.kind, at.kind)
	return true
}

func (p *page) at(i int) place {
	return place{src: p.first.src + int64(p.src[i]), out: p.first.out + int64(p.out[i]), kind: p.kind[i]}
}

// bySource finds the object that begins at an offset of what is read.
func (t *table) bySource(src int64) (place, bool) {
	n := sort.Search(len(t.pages), func(i int) bool { return t.pages[i].first.src > src }) - 1
	if n < 0 {
		return place{}, false
	}
	p := &t.pages[n]
	i := sort.Search(len(p.src), func(i int) bool { return p.first.src+int64(p.src[i]) >= src })
	if i == len(p.src) || p.at(i).src != src {
		return place{}, false
	}
	return p.at(i), true
}

// byOutput finds the object that begins at an offset of what is written.
func (t *table) byOutput(out int64) (place, bool) {
	n := sort.Search(len(t.pages), func(i int) bool { return t.pages[i].first.out > out }) - 1
	if n < 0 {
		return place{}, false
	}
	p := &t.pages[n]
	i := sort.Search(len(p.out), func(i int) bool { return p.first.out+int64(p.out[i]) >= out })
	if i == len(p.out) || p.at(i).out != out {
		return place{}, false
	}
	return p.at(i), true
}

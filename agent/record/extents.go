package record

import (
	"fmt"
	"io"
)

// AppendExtentsHeader appends the first line of a page of extents, which refer to packs by their position here.
func AppendExtentsHeader(dst []byte, packs []Ref) []byte {
	dst = appendHeader(dst, kindExtents)
	dst = appendPairs(dst, "packs", packs)
	return endLine(dst)
}

// AppendExtent appends the line of one extent: bytes off to off+length of the raw bytes of the header's pack number packIndex.
func AppendExtent(dst []byte, packIndex int, off, length int64) []byte {
	return append(appendExtent(dst, packIndex, off, length), '\n')
}

// ReadExtents reads the raw bytes of a page of extents, of which there are at most MaxPageExtents.
func ReadExtents(r io.Reader) ([]Extent, error) {
	lines := newLineReader(r, kindExtents)
	var f fastReader
	err := lines.header(func(j *jsonReader, name string) error {
		if name == "packs" {
			return j.pairs(&f.packs)
		}
		return j.skip()
	})
	if err != nil {
		return nil, err
	}
	var list []Extent
	for {
		line, err := lines.next()
		if err == io.EOF {
			return list, nil
		}
		if err != nil {
			return nil, err
		}
		if list, err = f.extentLine(list, line); err != nil {
			return nil, lines.fail(err)
		}
	}
}

// extentLine reads one line of a page of extents and appends it to list.
func (f *fastReader) extentLine(list []Extent, line []byte) ([]Extent, error) {
	if len(list) == MaxPageExtents {
		return nil, fmt.Errorf("the page goes on after %d extents", MaxPageExtents)
	}
	c := cursor{b: line, ok: true}
	e := f.extent(&c)
	if c.ok && c.i == len(line) {
		list = append(list, e)
	} else if err := readJSON(line, func(j *jsonReader) error { return j.extent(&list, f.packs) }); err != nil {
		return nil, err
	}
	last := &list[len(list)-1]
	return list, checkExtent(last.Offset, last.Length)
}

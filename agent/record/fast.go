package record

import "bytes"

// fastReader reads records in the form that AppendRecord gives them, without base64 and without escapes but those of quotes, which
// stand in every ETag, and of backslashes. It gives up at whatever is different, so that only slowRecord decides what is right and what an error says. What it accepts, slowRecord reads the same.
type fastReader struct {
	packs []Ref
	words map[string]string // attribute keys, kinds and states that were met, to share their memory
	attrs []attr            // room for the attributes of one record
	room  []byte            // room for its strings that had escapes

	before []shared // attributes of the record before, by their place
}

type attr struct{ key, value []byte }

type shared struct{ key, value string }

const (
	maxWords    = 512
	maxWordSize = 64
)

func newFastReader(packs []Ref) fastReader {
	return fastReader{packs: packs, words: make(map[string]string)}
}

// record reads one line, and reports whether it could.
func (f *fastReader) record(line []byte) (*Record, bool) {
	c := cursor{b: line, ok: true, room: f.room[:0]}
	r := new(Record)
	f.readRecord(&c, r)
	f.room = c.room
	return r, c.ok && c.i == len(line)
}

func (f *fastReader) readRecord(c *cursor, r *Record) {
	c.open()
	if c.member("path") {
		r.Path = string(c.string())
	}
	c.ok = c.ok && r.Path != ""
	r.Version = string(c.textMember("version"))
	r.Kind = f.word(c.textMember("kind"))
	f.recordRest(c, r)
	if c.member("last") {
		r.Last = new(Record)
		c.open()
		f.recordRest(c, r.Last)
		c.close()
	}
	c.close()
}

func (f *fastReader) recordRest(c *cursor, r *Record) {
	r.State = f.word(c.textMember("state"))
	r.Reason = f.word(c.textMember("reason"))
	r.Detail = string(c.textMember("detail"))
	r.Attrs = f.attrsMember(c)
	if !c.member("parts") {
		return
	}
	c.expect('[')
	for c.ok {
		r.Parts = append(r.Parts, Part{})
		f.part(c, &r.Parts[len(r.Parts)-1])
		if !c.more() {
			return
		}
	}
}

func (f *fastReader) part(c *cursor, p *Part) {
	c.open()
	p.Kind = f.word(c.textMember("kind"))
	p.Encoding = f.word(c.textMember("encoding"))
	p.Base = string(c.textMember("base"))
	p.Attrs = f.attrsMember(c)
	p.Size = c.intMember("size")
	c.hashMember("sha256", &p.SHA256)
	if c.member("extents") {
		c.expect('[')
		for c.ok {
			p.Extents = append(p.Extents, f.extent(c))
			if !c.more() {
				break
			}
		}
	}
	p.Pages = c.partPages("pages")
	p.Inline = string(c.textMember("inline"))
	p.Lines = c.partPages("lines")
	c.close()
}

func (f *fastReader) extent(c *cursor) Extent {
	c.expect('[')
	pack := c.int()
	c.expect(',')
	off := c.int()
	c.expect(',')
	length := c.int()
	c.expect(']')
	if !c.ok || pack >= int64(len(f.packs)) {
		c.ok = false
		return Extent{}
	}
	return Extent{Pack: f.packs[pack], Offset: off, Length: length}
}

// attrsMember reads attributes whose keys ascend.
func (f *fastReader) attrsMember(c *cursor) Attrs {
	if !c.member("attrs") {
		return nil
	}
	f.attrs = f.attrs[:0]
	c.expect('{')
	for c.ok {
		key := c.text()
		c.expect(':')
		value := c.text()
		if n := len(f.attrs); n > 0 && bytes.Compare(f.attrs[n-1].key, key) >= 0 {
			c.ok = false
		}
		f.attrs = append(f.attrs, attr{key, value})
		if c.peek() != ',' {
			break
		}
		c.i++
	}
	c.expect('}')
	if !c.ok {
		return nil
	}
	attrs := make(Attrs, len(f.attrs))
	for i, a := range f.attrs {
		m := f.remember(i, a)
		attrs[m.key] = m.value
	}
	return attrs
}

// remember makes strings of an attribute. Neighbouring records have much in common: what stood in the same place before is shared.
func (f *fastReader) remember(i int, a attr) *shared {
	if i == len(f.before) {
		f.before = append(f.before, shared{})
	}
	m := &f.before[i]
	if m.key != string(a.key) {
		m.key = f.word(a.key)
	}
	if m.value != string(a.value) {
		m.value = string(a.value)
	}
	return m
}

// word returns b as a string that is shared with earlier ones.
func (f *fastReader) word(b []byte) string {
	if s, ok := f.words[string(b)]; ok || len(b) == 0 {
		return s
	}
	s := string(b)
	if len(f.words) < maxWords && len(s) <= maxWordSize {
		f.words[s] = s
	}
	return s
}

package record

import "unicode/utf8"

// cursor goes over one line. After the first thing that does not fit, ok is false and what it returns means nothing.
type cursor struct {
	b    []byte
	i    int
	ok   bool
	room []byte // strings that had escapes
}

// peek returns the next byte, or 0 at the end.
func (c *cursor) peek() byte {
	if c.i < len(c.b) {
		return c.b[c.i]
	}
	return 0
}

func (c *cursor) expect(b byte) {
	if c.peek() != b {
		c.ok = false
		return
	}
	c.i++
}

func (c *cursor) open()  { c.expect('{') }
func (c *cursor) close() { c.expect('}') }

// more goes over what stands behind an element, and reports whether another one follows.
func (c *cursor) more() bool {
	if c.peek() == ',' {
		c.i++
		return c.ok
	}
	c.expect(']')
	return false
}

// member goes over the beginning of a member with the name, if that is what comes next. An object's first member follows its brace.
func (c *cursor) member(name string) bool {
	i := c.i
	if !c.ok || i == 0 {
		return false
	}
	if c.b[i-1] != '{' {
		if c.peek() != ',' {
			return false
		}
		i++
	}
	rest := c.b[i:]
	n := len(name)
	if len(rest) < n+3 || rest[0] != '"' || string(rest[1:1+n]) != name || rest[n+1] != '"' || rest[n+2] != ':' {
		return false
	}
	c.i = i + n + 3
	return true
}

// string reads a string. It shares the memory of the line or of room.
func (c *cursor) string() []byte {
	c.expect('"')
	from, high := c.i, byte(0)
	for i := from; i < len(c.b) && c.ok; i++ {
		b := c.b[i]
		switch {
		case b == '"':
			c.i = i + 1
			s := c.b[from:i]
			c.ok = high < utf8.RuneSelf || utf8.Valid(s)
			return s
		case b == '\\':
			return c.escaped(from, i)
		case b < ' ':
			c.ok = false
		}
		high |= b
	}
	c.ok = false
	return nil
}

// escaped reads on from i in a string that began at from, with escapes of quotes and backslashes.
func (c *cursor) escaped(from, i int) []byte {
	start := len(c.room)
	c.room = append(c.room, c.b[from:i]...)
	for ; i < len(c.b) && c.b[i] >= ' '; i++ {
		b := c.b[i]
		if b == '"' {
			c.i = i + 1
			s := c.room[start:len(c.room):len(c.room)]
			c.ok = utf8.Valid(s)
			return s
		}
		if b == '\\' {
			if i++; i == len(c.b) || c.b[i] != '"' && c.b[i] != '\\' {
				break
			}
			b = c.b[i]
		}
		c.room = append(c.room, b)
	}
	c.ok = false
	return nil
}

// text reads a string that is not marked as base64.
func (c *cursor) text() []byte {
	s := c.string()
	if len(s) >= len(base64Mark) && string(s[:len(base64Mark)]) == base64Mark {
		c.ok = false
	}
	return s
}

func (c *cursor) textMember(name string) []byte {
	if !c.member(name) {
		return nil
	}
	return c.text()
}

// int reads an integer from 0 to maxInt.
func (c *cursor) int() int64 {
	const mostDigits = 16
	from, n := c.i, int64(0)
	for c.i < len(c.b) && c.b[c.i]-'0' <= 9 && c.i-from < mostDigits {
		n = n*10 + int64(c.b[c.i]-'0')
		c.i++
	}
	digits := c.i - from
	if digits == 0 || digits > 1 && c.b[from] == '0' || n > maxInt {
		c.ok = false
	}
	return n
}

func (c *cursor) intMember(name string) int64 {
	if !c.member(name) {
		c.ok = false
		return 0
	}
	return c.int()
}

func (c *cursor) hashMember(name string, dst *Hash) {
	if !c.member(name) {
		c.ok = false
		return
	}
	c.expect('"')
	if !c.ok || len(c.b)-c.i < 2*len(dst) || !decodeHex(dst[:], c.b[c.i:c.i+2*len(dst)]) || dst.IsZero() {
		c.ok = false
		return
	}
	c.i += 2 * len(dst)
	c.expect('"')
}

func (c *cursor) partPages(name string) (list []PartPage) {
	if !c.member(name) {
		return nil
	}
	c.expect('[')
	for c.ok {
		list = append(list, c.partPage())
		if !c.more() {
			break
		}
	}
	return list
}

func (c *cursor) partPage() (p PartPage) {
	c.open()
	c.hashMember("name", &p.Name)
	p.Size = c.intMember("size")
	if p.Size > maxStored {
		c.ok = false
	}
	p.Offset = c.intMember("offset")
	p.Length = c.intMember("length")
	c.close()
	return p
}

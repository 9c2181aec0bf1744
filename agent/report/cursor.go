package report

import (
	"encoding/json"
	"errors"
	"fmt"
)

// cursor goes through JSON that is known to be valid.
type cursor struct {
	data []byte
	at   int
	// loose takes members of any name; else their names are of a-z, 0-9 and _: a program that does not tell "Type" from "type" reads the same.
	loose bool
}

// peek returns the next byte that is no white space.
func (c *cursor) peek() byte {
	for ; c.at < len(c.data); c.at++ {
		switch b := c.data[c.at]; b {
		case ' ', '\t', '\r', '\n':
		default:
			return b
		}
	}
	return 0
}

// took passes the byte by where it is the next one.
func (c *cursor) took(b byte) bool {
	if c.peek() != b {
		return false
	}
	c.at++
	return true
}

// word returns a number, true, false or null.
func (c *cursor) word() []byte {
	c.peek()
	from := c.at
	for ; c.at < len(c.data); c.at++ {
		switch c.data[c.at] {
		case ',', ']', '}', ' ', '\t', '\r', '\n':
			return c.data[from:c.at]
		}
	}
	return c.data[from:]
}

// text returns a string, which must be the next value.
func (c *cursor) text() (string, error) {
	from, plain := c.at, true
	for c.at++; c.data[c.at] != '"'; c.at++ {
		if c.data[c.at] == '\\' {
			plain = false
			c.at++
		}
	}
	c.at++
	raw := c.data[from:c.at]
	if plain {
		return string(raw[1 : len(raw)-1]), nil
	}
	var s string
	err := json.Unmarshal(raw, &s)
	return s, err
}

// skip passes a value by. It holds the names of members in it to what names are.
func (c *cursor) skip() error {
	switch c.peek() {
	case '{':
		return c.object(func(string) error { return c.skip() })
	case '[':
		return c.list(func(int) error { return c.skip() })
	case '"':
		_, err := c.text()
		return err
	}
	c.word()
	return nil
}

// object calls one for each member, which must read its value. Errors of one are returned behind the member's name.
func (c *cursor) object(one func(name string) error) error {
	if !c.took('{') {
		return errors.New("is not an object")
	}
	seen := map[string]bool{}
	for !c.took('}') {
		c.took(',')
		c.peek()
		name, err := c.text()
		switch {
		case err != nil:
			return err
		case seen[name]:
			return fmt.Errorf("member %.40q is given twice", name)
		case !c.loose && !isName(name):
			return fmt.Errorf("%.40q is no name of a member: they are of a-z, 0-9 and _", name)
		}
		seen[name] = true
		c.took(':')
		if err := one(name); err != nil {
			return fmt.Errorf("%.40s: %w", name, err)
		}
	}
	return nil
}

// list calls one for each element, which must read it. Errors of one are returned behind the element's number.
func (c *cursor) list(one func(i int) error) error {
	if !c.took('[') {
		return errors.New("is not an array")
	}
	for i := 0; !c.took(']'); i++ {
		c.took(',')
		if err := one(i); err != nil {
			return fmt.Errorf("[%d]: %w", i, err)
		}
	}
	return nil
}

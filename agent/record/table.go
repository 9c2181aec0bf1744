package record

import (
	"errors"
	"fmt"
	"io"
	"strconv"
)

const kindTable = "table"

// TableHeader is the first line of a chunk table.
type TableHeader struct {
	// Signer is the id of the key of the agent that wrote the packs.
	Signer string
	// Domain is the id of the chain whose chunks they are.
	Domain string
	// Key is the id of the keys that named the chunks.
	Key string
}

// TableChunk is one chunk of a pack. Its offset is the sum of the lengths before it.
type TableChunk struct {
	// Name is the keyed hash of its bytes.
	Name [32]byte
	// Length is the number of its raw bytes.
	Length int64
}

// AppendTableHeader appends the header's line to dst.
func AppendTableHeader(dst []byte, h *TableHeader) []byte {
	dst = appendHeader(dst, kindTable)
	dst = appendStringMember(dst, "signer", h.Signer)
	dst = appendStringMember(dst, "domain", h.Domain)
	dst = appendStringMember(dst, "key", h.Key)
	return endLine(dst)
}

// AppendTablePack appends the line of one pack: its stored size and its chunks in their order.
func AppendTablePack(dst []byte, pack Hash, size int64, chunks []TableChunk) []byte {
	dst = appendHash(appendKey(append(dst, '{'), "pack"), &pack)
	dst = appendIntMember(dst, "size", size)
	dst = append(appendKey(dst, "chunks"), '[')
	for i := range chunks {
		dst = append(appendSep(dst), '[', '"')
		dst = plainBase64.AppendEncode(dst, chunks[i].Name[:])
		dst = append(dst, '"', ',')
		dst = strconv.AppendInt(dst, chunks[i].Length, 10)
		dst = append(dst, ']')
	}
	return endLine(append(dst, ']'))
}

// TableReader reads the raw bytes of a chunk table, pack by pack. It is not safe for concurrent use.
type TableReader struct {
	lines  *lineReader
	header TableHeader
	err    error
}

// NewTableReader reads the header from r, which it buffers. It holds no more than one line.
func NewTableReader(r io.Reader) (*TableReader, error) {
	t := &TableReader{lines: newLineReader(r, kindTable)}
	h := &t.header
	err := t.lines.header(func(j *jsonReader, name string) error {
		switch name {
		case "signer":
			return j.hex(&h.Signer, keyIDDigits)
		case "domain":
			return j.hex(&h.Domain, chainDigits)
		case "key":
			return j.hex(&h.Key, domainIDDigits)
		}
		return j.skip()
	}, "signer", "domain", "key")
	if err != nil {
		return nil, err
	}
	return t, nil
}

// Header returns the table's header.
func (t *TableReader) Header() *TableHeader { return &t.header }

// Next returns the next pack, its stored size and its chunks, which are the caller's, and io.EOF behind the last one. An error stays.
func (t *TableReader) Next() (pack Hash, size int64, chunks []TableChunk, err error) {
	if t.err != nil {
		return Hash{}, 0, nil, t.err
	}
	line, err := t.lines.next()
	if err != nil {
		t.err = err
		return Hash{}, 0, nil, err
	}
	p, ok := fastTableLine(line)
	if !ok {
		p = tableLine{}
		err = readJSON(line, func(j *jsonReader) error { return j.tableLine(&p) })
	}
	if err == nil {
		err = p.check()
	}
	if err != nil {
		t.err = t.lines.fail(err)
		return Hash{}, 0, nil, t.err
	}
	return p.pack.Name, p.pack.Size, p.chunks, nil
}

// tableLine is one line of a table behind its header.
type tableLine struct {
	pack   Ref
	chunks []TableChunk
}

func (l *tableLine) check() error {
	if len(l.chunks) > MaxPackChunks {
		return fmt.Errorf("has %d chunks: a pack has at most %d", len(l.chunks), MaxPackChunks)
	}
	var raw int64
	for i := range l.chunks {
		raw += l.chunks[i].Length
	}
	if raw > maxRaw {
		return fmt.Errorf("has chunks of %d bytes: a pack has at most %d", raw, maxRaw)
	}
	return nil
}

// chunkText is the least that one chunk takes in a line.
const chunkText = len(`["",1],`) + 43

// fastTableLine reads a line in the form that AppendTablePack gives it, and reports whether it could.
func fastTableLine(line []byte) (l tableLine, ok bool) {
	c := cursor{b: line, ok: true}
	c.open()
	c.hashMember("pack", &l.pack.Name)
	l.pack.Size = c.intMember("size")
	if !c.member("chunks") || l.pack.Size > maxStored {
		return l, false
	}
	c.expect('[')
	l.chunks = make([]TableChunk, 0, (len(line)-c.i)/chunkText+1)
	for c.ok && c.peek() == '[' {
		l.chunks = append(l.chunks, c.tableChunk())
		if c.peek() != ',' {
			break
		}
		c.i++
	}
	c.expect(']')
	c.close()
	return l, c.ok && c.i == len(line) && len(l.chunks) > 0
}

func (c *cursor) tableChunk() (t TableChunk) {
	c.expect('[')
	c.expect('"')
	const digits = 43
	if len(c.b)-c.i < digits {
		c.ok = false
		return t
	}
	n, err := plainBase64.Decode(t.Name[:], c.b[c.i:c.i+digits])
	c.i += digits
	c.expect('"')
	c.expect(',')
	t.Length = c.int()
	if err != nil || n != len(t.Name) || t.Length < 1 || t.Length > maxRaw {
		c.ok = false
	}
	c.expect(']')
	return t
}

func (j *jsonReader) tableLine(l *tableLine) error {
	seen, err := j.object(func(name string) error {
		switch name {
		case "pack":
			return j.hash(&l.pack.Name)
		case "size":
			return j.int64(&l.pack.Size, 0, maxStored)
		case "chunks":
			return j.array(func() error {
				l.chunks = append(l.chunks, TableChunk{})
				return j.tableChunk(&l.chunks[len(l.chunks)-1])
			})
		}
		return j.skip()
	})
	if err != nil {
		return err
	}
	return seen.need("pack", "size", "chunks")
}

func (j *jsonReader) tableChunk(t *TableChunk) error {
	i := 0
	err := j.array(func() error {
		i++
		switch i {
		case 1:
			return j.key(&t.Name)
		case 2:
			return j.int64(&t.Length, 1, maxRaw)
		}
		return errors.New("is one more than a name and a length")
	})
	if err == nil && i < 2 {
		return errors.New("is not a name and a length")
	}
	return err
}

// hex reads n lower-case hexadecimal digits.
func (j *jsonReader) hex(dst *string, n int) error {
	if err := j.string(dst); err != nil {
		return err
	}
	if !isHex(*dst, n) {
		return fmt.Errorf("%s is not %d digits of 0-9a-f", quote(*dst), n)
	}
	return nil
}

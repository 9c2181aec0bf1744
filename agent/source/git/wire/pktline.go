package wire

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// The lengths of git's pkt-line format (gitprotocol-common): four hexadecimal digits that count themselves.
const (
	lengthDigits = 4
	maxPacket    = 65520 // the longest that git reads or writes, digits included
)

// packetKind tells a packet with data from those that only separate.
type packetKind int

const (
	data        packetKind = iota
	flush                  // 0000: the end of a message
	delimiter              // 0001: the end of a section
	responseEnd            // 0002: the end of a stateless answer
)

// errPacket is what bytes that are no pkt-line are refused with.
var errPacket = errors.New("the answer is not in git's pkt-line format")

// packets reads pkt-lines. Not safe for concurrent use.
type packets struct {
	r   *bufio.Reader
	buf []byte
}

// newPackets reads from r; from a bufio.Reader that holds a packet it takes no more than it returns.
func newPackets(r io.Reader) *packets {
	return &packets{r: bufio.NewReaderSize(r, maxPacket), buf: make([]byte, maxPacket)}
}

// next returns the next packet; its data is valid until the following call. io.EOF comes only between packets; within one it is io.ErrUnexpectedEOF.
func (p *packets) next() (packetKind, []byte, error) {
	n, err := p.length()
	if err != nil {
		return 0, nil, err
	}
	switch n {
	case 0:
		return flush, nil, nil
	case 1:
		return delimiter, nil, nil
	case 2:
		return responseEnd, nil, nil
	case 3:
		return 0, nil, fmt.Errorf("%w: length 3", errPacket)
	}
	body := p.buf[:n-lengthDigits]
	if _, err := io.ReadFull(p.r, body); err != nil {
		return 0, nil, cutOff(err)
	}
	return data, body, nil
}

func (p *packets) length() (int, error) {
	head := p.buf[:lengthDigits]
	if _, err := io.ReadFull(p.r, head); err != nil {
		return 0, err // io.EOF where nothing was read
	}
	n := 0
	for _, c := range head {
		d := hexDigit(c)
		if d < 0 {
			return 0, fmt.Errorf("%w: it has %q where a length belongs", errPacket, clean(string(head)))
		}
		n = n<<4 | d
	}
	if n > maxPacket {
		return 0, fmt.Errorf("%w: a packet of %d bytes (at most %d are allowed)", errPacket, n, maxPacket)
	}
	return n, nil
}

// line is next for packets of text: it takes a line feed off the end, and turns what the server reports as an error into one.
func (p *packets) line() (packetKind, []byte, error) {
	kind, body, err := p.next()
	if err != nil || kind != data {
		return kind, nil, err
	}
	if said, ok := bytes.CutPrefix(body, []byte("ERR ")); ok {
		return 0, nil, serverError(string(said))
	}
	return kind, bytes.TrimSuffix(body, []byte("\n")), nil
}

func hexDigit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// cutOff is the error of a stream that ended where it must not.
func cutOff(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// message builds a request of packets.
type message struct{ bytes.Buffer }

func (m *message) line(format string, args ...any) {
	m.raw(fmt.Appendf(nil, format+"\n", args...))
}

// raw adds a packet of at most maxPacket-lengthDigits bytes, as it is.
func (m *message) raw(body []byte) {
	fmt.Fprintf(m, "%04x", len(body)+lengthDigits)
	m.Write(body)
}

func (m *message) flush()     { m.WriteString("0000") }
func (m *message) delimiter() { m.WriteString("0001") }

package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
)

// The bands of the side-band-64k capability (gitprotocol-pack).
const (
	bandPack  = 1
	bandSaid  = 2
	bandError = 3
)

// packStream is the pack in an answer to a fetch. Read returns io.EOF only after the server said that this was all. Not safe for concurrent use.
type packStream struct {
	talk *conversation
	p    *packets
	rest []byte // of the current packet
	said string // the last that the server said beside the pack
	size int64  // bytes that were read
	took int64  // bytes that came
	byID bool
	err  error
}

// BasesByID reports whether the server knows no other way to name the base of a delta than by its id, also in a pack that stands on its own.
func (s *packStream) BasesByID() bool { return s.byID }

// newPackStream reads the answer up to where the pack begins.
func newPackStream(talk *conversation, h *hello, answer io.Reader) (*packStream, error) {
	s := &packStream{talk: talk, p: newPackets(answer), byID: h.version < 2 && !h.can["ofs-delta"]}
	if h.version == 2 {
		return s, s.sections()
	}
	return s, s.acknowledgements()
}

// sections skips what comes before the section with the pack, in version 2.
func (s *packStream) sections() error {
	for {
		kind, line, err := s.p.line()
		switch {
		case err != nil:
			return cutOff(err)
		case kind == delimiter:
		case kind != data:
			return fmt.Errorf("%w: the answer has no pack", errPacket)
		case string(line) == "packfile":
			return nil
		case string(line) == "shallow-info":
			return errShallow()
		}
	}
}

// acknowledgements reads up to the first packet that is none: versions 0 and 1 say, for haves that they know or for all, ACK or NAK.
func (s *packStream) acknowledgements() error {
	for {
		kind, body, err := s.p.next()
		if err != nil {
			return cutOff(err)
		}
		line := string(bytes.TrimSuffix(body, []byte("\n")))
		said, failed := strings.CutPrefix(line, "ERR ")
		switch {
		case kind != data:
			return fmt.Errorf("%w: the answer has no pack", errPacket)
		case line == "NAK" || strings.HasPrefix(line, "ACK "):
		case failed:
			return serverError(said)
		case strings.HasPrefix(line, "shallow "):
			return errShallow()
		default:
			return s.take(body)
		}
	}
}

func errShallow() error {
	return unsupported("its history is cut off there (a shallow repository): run git fetch --unshallow in it, or protect the one that it was cloned from")
}

// Read returns bytes of the pack.
func (s *packStream) Read(p []byte) (int, error) {
	for len(s.rest) == 0 {
		if s.err != nil {
			return 0, s.err
		}
		if err := s.fill(); err != nil {
			s.err = err
			return 0, err
		}
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	s.size += int64(n)
	return n, nil
}

func (s *packStream) fill() error {
	kind, body, err := s.p.next()
	switch {
	case err != nil:
		return s.broken(err)
	case kind != data:
		if s.size == 0 {
			return s.talk.failed("pack", serverError("no pack; "+s.said))
		}
		s.talk.finished = true
		return io.EOF
	}
	if err := s.take(body); err != nil {
		return s.talk.failed("pack", err)
	}
	return nil
}

// take sorts a packet into its band.
func (s *packStream) take(body []byte) error {
	if len(body) == 0 {
		s.talk.g.discount(lengthDigits)
		return nil
	}
	switch body[0] {
	case bandPack:
		return s.takePack(body[1:])
	case bandSaid:
		s.talk.g.discount(len(body) + lengthDigits)
		s.said = lastWords(s.said, body[1:])
	case bandError:
		return serverError(string(body[1:]) + " " + s.said)
	default:
		return fmt.Errorf("%w: %q instead of a pack", errPacket, clean(string(body)))
	}
	return nil
}

// takePack takes bytes of the pack.
func (s *packStream) takePack(body []byte) error {
	if len(body) == 0 {
		s.talk.g.discount(lengthDigits + 1)
		return nil
	}
	s.talk.g.streams()
	if s.took += int64(len(body)); s.took > s.talk.r.o.Limits.Pack {
		return tooLarge(fmt.Sprintf("its pack has more than %d bytes: divide the repository", s.talk.r.o.Limits.Pack))
	}
	s.rest = body
	return nil
}

// broken says where the stream broke off, and what the server said last.
func (s *packStream) broken(err error) error {
	if errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	err = s.talk.explain(err)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("the connection ended after %d bytes of the pack: %w", s.size, err)
		if said := clean(s.said); said != "" {
			err = fmt.Errorf("%w (the server said %q)", err, said)
		}
	}
	return s.talk.failed("pack", err)
}

// lastWords keeps the end of what a server says.
func lastWords(before string, more []byte) string {
	s := before + string(more)
	if len(s) > maxSaid {
		s = s[len(s)-maxSaid:]
	}
	return strings.ToValidUTF8(s, "?")
}

// Close ends the conversation. It may be called more than once.
func (s *packStream) Close() error {
	s.err, s.rest = errClosed, nil
	return s.talk.close()
}

var errClosed = errors.New("the pack was closed")

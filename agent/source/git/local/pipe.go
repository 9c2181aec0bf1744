package local

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"sync"

	"farshore/agent/repo/gitcmd"
)

// pipe is what a running git prints, line by line through a function, to be read by the next git. Whoever feeds the next git reads from a goroutine of its
// own, so Read and close exclude each other.
type pipe struct {
	cancel context.CancelFunc // ends the git that prints
	line   func([]byte) ([]byte, error)

	mu  sync.Mutex
	git *gitcmd.Stream
	in  *bufio.Reader
	out []byte // what was not yet read, of store
	err error

	store []byte
}

// maxListed bounds a line that is handed on: git pack-objects takes 4 KiB and an id. The rest, the end of a path, only helps it to find deltas.
const maxListed = 4096

// pipe starts git. line gets each line without its line feed, valid during the call, and returns what is handed on in its place; nil for nothing.
func (r *Repository) pipe(ctx context.Context, stdin io.Reader, line func([]byte) ([]byte, error), args ...string) (*pipe, error) {
	ctx, cancel := context.WithCancel(ctx)
	s, err := r.git.Start(ctx, stdin, args...)
	if err != nil {
		cancel()
		return nil, err
	}
	return &pipe{cancel: cancel, line: line, git: s, in: bufio.NewReaderSize(s, 64<<10)}, nil
}

// Read reads on; the error is that of git, of line, or io.EOF after a git that ended well.
func (p *pipe) Read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for n == 0 || len(p.out) == 0 && p.in.Buffered() > 0 && n < len(b) {
		if len(p.out) == 0 && p.err == nil {
			p.err = p.next()
		}
		if len(p.out) == 0 && p.err != nil {
			break
		}
		m := copy(b[n:], p.out)
		p.out = p.out[m:]
		n += m
	}
	if n > 0 {
		return n, nil
	}
	return 0, p.err
}

// next fills out from the next line.
func (p *pipe) next() error {
	text, err := p.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		text = bytes.Clone(text[:maxListed+1]) // what is read next overwrites it
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = p.in.ReadSlice('\n')
		}
	}
	if err == io.EOF && len(text) > 0 {
		return io.ErrUnexpectedEOF
	}
	if err != nil {
		return err
	}
	got, err := p.line(text[:min(len(text)-1, maxListed)])
	if err != nil || got == nil {
		p.out = nil
		return err
	}
	p.store = append(append(p.store[:0], got...), '\n')
	p.out = p.store
	return nil
}

// close ends git and waits for it.
func (p *pipe) close() {
	p.cancel()
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.git.Close()
	if p.err == nil {
		p.err = io.ErrClosedPipe
	}
}

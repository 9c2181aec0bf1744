package sourcetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"sync"

	"farshore/agent/record"
)

// Memory keeps the bytes of parts, and gives them back: a sink to capture into and a reader to restore from, without a vault. It may be used
// concurrently.
type Memory struct {
	mu    sync.Mutex
	parts map[record.Hash][]byte
	// Stored counts the bytes of parts that were given to Part, each time anew; guarded by the Memory's own lock while captures run.
	Stored int64
}

// Part implements source.Sink.
func (m *Memory) Part(ctx context.Context, p record.Part, _ int64, body io.Reader) (record.Part, error) {
	b, err := io.ReadAll(body)
	if err != nil {
		return p, err
	}
	m.mu.Lock()
	m.Stored += int64(len(b))
	m.mu.Unlock()
	return m.keep(p, b), ctx.Err()
}

// Lines implements source.Sink.
func (m *Memory) Lines(ctx context.Context, p record.Part, data []byte) (record.Part, error) {
	if n := len(data); n > record.MaxInline && data[n-1] != '\n' {
		return p, fmt.Errorf("the part %s does not end with a line feed", p.Kind)
	}
	p = m.keep(p, bytes.Clone(data))
	if len(data) <= record.MaxInline {
		p.Inline = string(data)
	}
	return p, ctx.Err()
}

func (m *Memory) keep(p record.Part, b []byte) record.Part {
	p.Extents, p.Pages, p.Inline, p.Lines = nil, nil, "", nil
	p.Size, p.SHA256 = int64(len(b)), sha256.Sum256(b)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.parts == nil {
		m.parts = map[record.Hash][]byte{}
	}
	m.parts[p.SHA256] = b
	return p
}

// Read implements source.Sink.
func (m *Memory) Read(_ context.Context, p *record.Part) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.parts[p.SHA256]
	if !ok {
		return nil, fmt.Errorf("no part of kind %s with hash %s was stored", p.Kind, p.SHA256)
	}
	return bytes.Clone(b), nil
}

// Copy writes the part's bytes to w, as a vault's reader does.
func (m *Memory) Copy(ctx context.Context, w io.Writer, p *record.Part) error {
	b, err := m.Read(ctx, p)
	if err != nil {
		return err
	}
	_, err = w.Write(b)
	return err
}

// Forget loses the part's bytes, so that Copy fails for it.
func (m *Memory) Forget(p *record.Part) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.parts, p.SHA256)
}

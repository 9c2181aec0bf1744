package booted

import (
	"bytes"
	"sync"
)

// lockedBuffer keeps the last of what is written to it. It may be used concurrently.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

const bufferSize = 16 << 10

// Write keeps p.
func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.buf.Write(p)
	if n := b.buf.Len() - bufferSize; n > 0 {
		b.buf.Next(n)
	}
	return len(p), nil
}

// String returns what is kept.
func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

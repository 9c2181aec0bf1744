package drill

import (
	"bytes"
	"context"
	"io"
	"sync"
	"testing"

	"filippo.io/age"

	"farshore/providers/mem"
)

type ctx = context.Context

// withStanza puts a stanza in front of the others, without making the header's MAC right again.
func withStanza(stored []byte, stanza string) []byte {
	end := bytes.IndexByte(stored, '\n') + 1
	return append(append(bytes.Clone(stored[:end]), stanza...), stored[end:]...)
}

// headerEnd returns where the payload begins.
func headerEnd(stored []byte) int {
	mac := bytes.Index(stored, []byte("\n--- ")) + 1
	return mac + bytes.IndexByte(stored[mac:], '\n') + 1
}

// junk is a recipient of a kind that nobody named.
type junk struct{}

func (junk) Wrap([]byte) ([]*age.Stanza, error) {
	return []*age.Stanza{{Type: "farshore-test", Args: []string{"x"}, Body: []byte("somebody else's")}}, nil
}

// grease returns a file that is sealed to the key, and to somebody of another kind as well.
func grease(t testing.TB, k key) []byte {
	t.Helper()
	r, err := age.ParseX25519Recipient(k.recipient)
	must(t, r, err)
	var buf bytes.Buffer
	w, err := age.Encrypt(&buf, r, junk{})
	must(t, w, err)
	_, err = io.WriteString(w, "plain")
	must(t, "", err)
	must(t, "", w.Close())
	return buf.Bytes()
}

// watching remembers which ranges of packs were read.
type watching struct {
	*mem.Versioned
	mu    sync.Mutex
	asked [][2]int64
}

func (w *watching) OpenVersion(ctx context.Context, name, id string, off, n int64) (io.ReadCloser, error) {
	if len(name) > 6 && name[:6] == "packs/" {
		w.mu.Lock()
		w.asked = append(w.asked, [2]int64{off, n})
		w.mu.Unlock()
	}
	return w.Versioned.OpenVersion(ctx, name, id, off, n)
}

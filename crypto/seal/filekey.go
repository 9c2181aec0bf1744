package seal

import (
	"fmt"
	"io"
	"sync"

	"filippo.io/age"
)

// FileKey is the key of one sealed file, remembered by who sealed it: with it the file can be opened again for as long as it is remembered, though none of its recipients'
// identities is at hand. It exists in memory alone, is never printed, and may be used concurrently.
type FileKey struct {
	mu  sync.Mutex
	key []byte // nil once forgotten
}

// KeyedWriter is Writer, and returns the file's key as well. The caller forgets it.
func (s *Sealer) KeyedWriter(dst io.Writer) (io.WriteCloser, *FileKey, error) {
	k := new(FileKey)
	to := append([]age.Recipient{keeper{s.recipients[0], k}}, s.recipients[1:]...)
	w, err := age.Encrypt(dst, to...)
	if err != nil {
		k.Forget()
		return nil, nil, fmt.Errorf("sealing: %w", err)
	}
	return w, k, nil
}

// Opener returns an Opener for the file. Once the key is forgotten it opens nothing more: ErrWrongKey.
func (k *FileKey) Opener() *Opener { return &Opener{ids: []age.Identity{injected{k}}} }

// Forget overwrites the key with zeros. What age derived from it while the file was sealed or read is age's, and goes with that.
func (k *FileKey) Forget() {
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	clear(k.key)
	k.key = nil
}

// String does not tell the key.
func (k *FileKey) String() string { return "a file key" }

// GoString does not tell the key.
func (k *FileKey) GoString() string { return "seal.FileKey" }

// Format writes no verb's view of the key but String's.
func (k *FileKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }

// keeper is a recipient that keeps the file key which it is given to wrap.
type keeper struct {
	age.Recipient
	to *FileKey
}

// WrapWithLabels passes the labels on: age refuses to mix recipients by them.
func (r keeper) WrapWithLabels(fileKey []byte) ([]*age.Stanza, []string, error) {
	r.to.mu.Lock()
	r.to.key = append([]byte(nil), fileKey...)
	r.to.mu.Unlock()
	if l, ok := r.Recipient.(age.RecipientWithLabels); ok {
		return l.WrapWithLabels(fileKey)
	}
	stanzas, err := r.Wrap(fileKey)
	return stanzas, nil, err
}

// injected is an identity that has the file key already.
type injected struct{ key *FileKey }

// Unwrap returns the file key. age checks the header's MAC with it, so that another file's header is refused.
func (i injected) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	i.key.mu.Lock()
	defer i.key.mu.Unlock()
	if i.key.key == nil {
		return nil, age.ErrIncorrectIdentity
	}
	return age.NewInjectedFileKeyIdentity(append([]byte(nil), i.key.key...)).Unwrap(stanzas)
}

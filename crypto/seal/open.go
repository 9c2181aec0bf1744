package seal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
)

var (
	// ErrWrongKey says that no identity at hand opens the object. The error's text says what kinds of recipients the object has.
	ErrWrongKey = errors.New("no identity at hand opens this object")
	// ErrDamaged says that the bytes are not a whole, unchanged sealed file.
	ErrDamaged = errors.New("sealed file is damaged")
)

// Opener opens sealed files with a set of identities. It may be used concurrently if the identities may; those of age itself do.
type Opener struct {
	ids []age.Identity
}

// NewOpener returns an Opener that tries the identities. Without any it is empty, and opens nothing.
func NewOpener(ids ...age.Identity) *Opener {
	o := &Opener{}
	for _, id := range ids {
		switch id.(type) {
		case *age.HybridIdentity, *age.X25519Identity:
			o.ids = append(o.ids, id)
		default:
			o.ids = append(o.ids, foreign{id})
		}
	}
	return o
}

// Empty reports whether the Opener has no identity at all.
func (o *Opener) Empty() bool { return len(o.ids) == 0 }

// identities returns what age shall try: never nothing, so that an empty Opener learns the object's recipients too.
func (o *Opener) identities() []age.Identity {
	if o.Empty() {
		return []age.Identity{nobody{}}
	}
	return o.ids
}

// Reader reads the header of the sealed file src and returns its plaintext. The plaintext is complete and authentic only when the reader
// returned io.EOF. Errors: ErrWrongKey, ErrDamaged, or an error of src as it is.
func (o *Opener) Reader(src io.Reader) (io.Reader, error) {
	r, err := age.Decrypt(markReader{src}, o.identities()...)
	if err != nil {
		return nil, o.explain(err)
	}
	return &plainReader{r: r, o: o}, nil
}

// ReaderAt opens a sealed file of size bytes for random access, and returns the plaintext and its size. It reads the header and the last
// 64 KiB, which authenticates the size; later reads fetch whole runs of 64 KiB one by one, so that a distant src wants a reader above it that joins
// them. Every call of ReadAt costs an allocation of 64 KiB: read long runs. The result may be used concurrently if src may. Errors: as for Reader.
func (o *Opener) ReaderAt(src io.ReaderAt, size int64) (io.ReaderAt, int64, error) {
	r, n, err := age.DecryptReaderAt(markReaderAt{src}, size, o.identities()...)
	if err != nil {
		return nil, 0, o.explain(err)
	}
	return plainReaderAt{r: r, o: o, size: n}, n, nil
}

// OpenBytes returns the plaintext of a sealed file, which may have at most max bytes. The whole file is authenticated.
func OpenBytes(o *Opener, sealed []byte, max int64) ([]byte, error) {
	r, err := o.Reader(bytes.NewReader(sealed))
	if err != nil {
		return nil, err
	}
	// The plaintext is never longer than the file, so that this is exact enough and a small file can't claim much memory.
	buf := bytes.NewBuffer(make([]byte, 0, min(int64(len(sealed)), max)+bytes.MinRead))
	n, err := io.Copy(buf, io.LimitReader(r, max))
	if err != nil {
		return nil, err
	}
	if n == max {
		if err := atEnd(r); err != nil {
			return nil, fmt.Errorf("opening: %w (at most %d bytes are expected)", err, max)
		}
	}
	return buf.Bytes(), nil
}

// atEnd returns nil when r has no more bytes.
func atEnd(r io.Reader) error {
	var one [1]byte
	switch _, err := io.ReadFull(r, one[:]); {
	case err == nil:
		return errors.New("the object is larger than it may be")
	case err != io.EOF:
		return err
	}
	return nil
}

// explain turns an error of age into one of this package's.
func (o *Opener) explain(err error) error {
	var store *storeError
	if errors.As(err, &store) {
		return store.err
	}
	var own *identityError
	if errors.As(err, &own) {
		return own
	}
	var wrong *age.NoIdentityMatchError
	if errors.As(err, &wrong) {
		return &keyError{tried: len(o.ids), stanzas: wrong.StanzaTypes, cause: wrong}
	}
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}

// keyError is ErrWrongKey with what is known.
type keyError struct {
	tried   int
	stanzas []string
	cause   error
}

func (e *keyError) Error() string {
	tried := fmt.Sprintf("none of the %d identities at hand opens this object", e.tried)
	switch e.tried {
	case 0:
		tried = "this object is sealed and no identity is at hand"
	case 1:
		tried = "the identity at hand does not open this object"
	}
	return tried + ": it is sealed to " + describeStanzas(e.stanzas)
}

func (e *keyError) Unwrap() []error { return []error{ErrWrongKey, e.cause} }

// describeStanzas counts the recipients of a header by kind, in order of first appearance: "2 recipients of kind hybrid".
func describeStanzas(types []string) string {
	var kinds []string
	count := map[string]int{}
	for _, t := range types {
		kind := stanzaKind(t)
		if count[kind] == 0 {
			kinds = append(kinds, kind)
		}
		count[kind]++
	}
	for i, kind := range kinds {
		noun := "recipients"
		if count[kind] == 1 {
			noun = "recipient"
		}
		kinds[i] = fmt.Sprintf("%d %s of kind %s", count[kind], noun, kind)
	}
	return strings.Join(kinds, ", ")
}

// stanzaKind names the kind of recipient behind a header's stanza. A stranger may have written it: it is quoted and cut.
func stanzaKind(t string) string {
	switch t {
	case "mlkem768x25519":
		return Hybrid
	case "X25519":
		return X25519
	case "scrypt":
		return "passphrase"
	}
	return fmt.Sprintf("%q", brief(t))
}

// nobody is an identity that matches nothing.
type nobody struct{}

func (nobody) Unwrap([]*age.Stanza) ([]byte, error) { return nil, age.ErrIncorrectIdentity }

// foreign is an identity that is not age's own, a hardware token's for instance. Its failures say nothing about the file.
type foreign struct{ id age.Identity }

func (f foreign) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	key, err := f.id.Unwrap(stanzas)
	if err != nil && !errors.Is(err, age.ErrIncorrectIdentity) {
		return nil, &identityError{err}
	}
	return key, err
}

type identityError struct{ err error }

func (e *identityError) Error() string { return "the identity failed: " + e.err.Error() }
func (e *identityError) Unwrap() error { return e.err }

// storeError marks an error of the source on its way through age, so that it is not taken for damage. It hides the chain below it, where
// age would take an io.EOF for the end of the file.
type storeError struct{ err error }

func (e *storeError) Error() string { return e.err.Error() }

func mark(err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return &storeError{err}
}

type markReader struct{ src io.Reader }

func (m markReader) Read(p []byte) (int, error) {
	n, err := m.src.Read(p)
	return n, mark(err)
}

type markReaderAt struct{ src io.ReaderAt }

func (m markReaderAt) ReadAt(p []byte, off int64) (int, error) {
	n, err := m.src.ReadAt(p, off)
	return n, mark(err)
}

// plainReader explains the errors of a plaintext.
type plainReader struct {
	r io.Reader
	o *Opener
}

func (p *plainReader) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	if err != nil && err != io.EOF {
		err = p.o.explain(err)
	}
	return n, err
}

// plainReaderAt explains the errors of a plaintext, and holds to io.ReaderAt at its end.
type plainReaderAt struct {
	r    io.ReaderAt
	o    *Opener
	size int64
}

func (p plainReaderAt) ReadAt(b []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("reading at offset %d: negative", off)
	}
	if off >= p.size {
		if len(b) == 0 {
			return 0, nil
		}
		return 0, io.EOF
	}
	n, err := p.r.ReadAt(b, off)
	if err != nil && err != io.EOF {
		err = p.o.explain(err)
	}
	return n, err
}

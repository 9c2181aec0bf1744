package seal

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"filippo.io/age"
)

// TestFileKey opens what was sealed with the key that was kept, for recipients of both classes, and no longer once it is forgotten.
func TestFileKey(t *testing.T) {
	for name, generate := range map[string]func() (string, string, error){"hybrid": GenerateHybrid, "x25519": GenerateX25519} {
		t.Run(name, func(t *testing.T) {
			var to []string
			var ids []age.Identity
			for range 2 {
				id, r, err := generate()
				if err != nil {
					t.Fatal(err)
				}
				parsed, err := ParseIdentity(id)
				if err != nil {
					t.Fatal(err)
				}
				to, ids = append(to, r), append(ids, parsed)
			}
			s, err := NewSealer(to)
			if err != nil {
				t.Fatal(err)
			}
			plain := bytes.Repeat([]byte("contents "), 20_000)
			sealKeyed := func() ([]byte, *FileKey) {
				var buf bytes.Buffer
				w, k, err := s.KeyedWriter(&buf)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := w.Write(plain); err != nil {
					t.Fatal(err)
				}
				if err := w.Close(); err != nil {
					t.Fatal(err)
				}
				return buf.Bytes(), k
			}
			sealed, k := sealKeyed()
			other, k2 := sealKeyed()
			for _, o := range []*Opener{k.Opener(), NewOpener(ids[0]), NewOpener(ids[1])} {
				got, err := OpenBytes(o, sealed, 1<<20)
				if err != nil || !bytes.Equal(got, plain) {
					t.Fatalf("%d bytes, %v", len(got), err)
				}
			}
			if _, err := OpenBytes(k.Opener(), other, 1<<20); !errors.Is(err, ErrDamaged) {
				t.Errorf("another file: %v", err)
			}
			if _, err := OpenBytes(k2.Opener(), other, 1<<20); err != nil {
				t.Error(err)
			}
			flipped := bytes.Clone(sealed)
			flipped[len(flipped)-9] ^= 1
			if _, err := OpenBytes(k.Opener(), flipped, 1<<20); !errors.Is(err, ErrDamaged) {
				t.Errorf("a bit flipped: %v", err)
			}
			o, secret := k.Opener(), hex.EncodeToString(k.key)
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%q"} {
				if text := fmt.Sprintf(verb, k); strings.Contains(text, secret) || strings.Contains(text, fmt.Sprint(k.key)) {
					t.Errorf("%s shows the key: %s", verb, text)
				}
			}
			held := k.key
			k.Forget()
			k.Forget()
			if !bytes.Equal(held, make([]byte, len(held))) {
				t.Error("the key was not overwritten")
			}
			for _, o := range []*Opener{o, k.Opener()} {
				if _, err := OpenBytes(o, sealed, 1<<20); !errors.Is(err, ErrWrongKey) {
					t.Errorf("once forgotten: %v", err)
				}
			}
			(*FileKey)(nil).Forget()
		})
	}
}

// TestKeyedWriterFails returns the failure of the place that the file goes to.
func TestKeyedWriterFails(t *testing.T) {
	_, r, err := GenerateX25519()
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewSealer([]string{r})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.KeyedWriter(broken{}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got %v", err)
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// Package providertest holds every driver to the promises of providers.Driver. Drivers call Run from their tests; it can also be pointed at a
// live store, to learn whether farshore can work with it.
//
// It only creates, below a folder with a random name, packs/conformance-…/, and deletes nothing, because a Driver can't. On a live store use
// a prefix of its own beside the vault's, or accept a few dozen small objects that stay as long as the store's locks want.
package providertest

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"farshore/providers"
)

// LongEnv names the environment variable that, when not empty, adds the test of an object of the largest size.
const LongEnv = "FARSHORE_TEST_LONG"

// opTimeout is how long one operation may take before the test says that it hangs.
const opTimeout = 2 * time.Minute

// Run tests the driver that open returns. open is called once for each test, and may return the same store each time: names
// do not meet.
func Run(t *testing.T, open func(t *testing.T) providers.Driver) {
	tests := []struct {
		name string
		test func(*testing.T, *store)
	}{
		{"CreateAndRead", testCreateAndRead},
		{"Exists", testExists},
		{"Ranges", testRanges},
		{"Empty", testEmpty},
		{"NotFound", testNotFound},
		{"List", testList},
		{"ListPages", testListPages},
		{"Cancelled", testCancelled},
		{"CancelledWhileReading", testCancelledWhileReading},
		{"FailedCreate", testFailedCreate},
		{"WrongChecksum", testWrongChecksum},
		{"Race", testRace},
		{"Concurrency", testConcurrency},
		{"Largest", testLargest},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), opTimeout)
			defer cancel()
			tt.test(t, &store{Driver: open(t), t: t, ctx: ctx, dir: "packs/conformance-" + random(8) + "/"})
		})
	}
}

// store is a driver under test and a folder of it that only this test uses.
type store struct {
	providers.Driver
	t   *testing.T
	ctx context.Context
	dir string
}

// random returns 2n hexadecimal digits.
func random(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // crypto/rand never fails: it ends the program instead
	return hex.EncodeToString(b)
}

// content returns n bytes that do not repeat.
func content(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

func body(b []byte) *io.SectionReader {
	return io.NewSectionReader(bytes.NewReader(b), 0, int64(len(b)))
}

// mustCreate stores the bytes and checks what the driver says of them.
func (s *store) mustCreate(name string, b []byte) {
	s.t.Helper()
	info, err := s.Create(s.ctx, name, body(b), sha256.Sum256(b))
	if err != nil {
		s.t.Fatalf("Create %s with %d bytes: %v", name, len(b), err)
	}
	if info.Name != name || info.Size != int64(len(b)) {
		s.t.Errorf("Create %s with %d bytes said %+v", name, len(b), info)
	}
}

// read returns what a range yields.
func (s *store) read(name string, off, n int64) ([]byte, error) {
	r, err := s.Open(s.ctx, name, off, n)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(r)
	return b, errors.Join(err, r.Close())
}

// mustHold checks that exactly these bytes are stored.
func (s *store) mustHold(name string, want []byte) {
	s.t.Helper()
	got, err := s.read(name, 0, -1)
	if err != nil {
		s.t.Fatalf("read %s: %v", name, err)
	}
	if !bytes.Equal(got, want) {
		s.t.Fatalf("%s holds %d bytes with SHA-256 %x, want %d with %x", name, len(got), sha256.Sum256(got), len(want), sha256.Sum256(want))
	}
}

// mustBeAbsent checks that neither Stat nor List knows the name.
func (s *store) mustBeAbsent(name string) {
	s.t.Helper()
	_, err := s.Stat(s.ctx, name)
	s.wantKind("Stat of "+name, err, providers.NotFound)
	page, _, err := s.Driver.List(s.ctx, name, "", 10)
	if err != nil || len(page) > 0 {
		s.t.Errorf("List of %s: %v, %v; want nothing", name, page, err)
	}
}

// wantKind checks that the error is an *Error of the kind.
func (s *store) wantKind(what string, err error, want providers.Kind) {
	s.t.Helper()
	var e *providers.Error
	if !errors.As(err, &e) {
		s.t.Errorf("%s: error %v is no *providers.Error; want kind %q", what, err, want)
		return
	}
	if e.Kind != want {
		s.t.Errorf("%s: kind %q (%v), want %q", what, e.Kind, err, want)
	}
}

func testLargest(t *testing.T, s *store) {
	if os.Getenv(LongEnv) == "" {
		t.Skipf("stores %d MiB: set %s=1", providers.MaxObject>>20, LongEnv)
	}
	b := content(providers.MaxObject)
	s.mustCreate(s.dir+"largest", b)
	s.mustHold(s.dir+"largest", b)
}

package providertest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"testing"

	"golang.org/x/sync/errgroup"

	"farshore/providers"
)

func testCreateAndRead(t *testing.T, s *store) {
	for _, n := range []int{1, 4096, 5<<20 + 1} {
		name, b := fmt.Sprintf("%sof-%d", s.dir, n), content(n)
		s.mustCreate(name, b)
		s.mustHold(name, b)
		info, err := s.Stat(s.ctx, name)
		if err != nil || info.Name != name || info.Size != int64(n) {
			t.Errorf("Stat of %s: %+v, %v; want size %d", name, info, err, n)
		}
	}
	// A body that was read before is stored from its start.
	b := content(100)
	used := body(b)
	if _, err := used.Seek(50, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Create(s.ctx, s.dir+"used", used, sha256.Sum256(b)); err != nil {
		t.Fatalf("Create from a body that was read before: %v", err)
	}
	s.mustHold(s.dir+"used", b)
}

func testExists(t *testing.T, s *store) {
	name, first := s.dir+"taken", content(2000)
	s.mustCreate(name, first)
	for what, b := range map[string][]byte{"the same": first, "other": content(2000), "shorter": content(5), "no": nil} {
		_, err := s.Create(s.ctx, name, body(b), sha256.Sum256(b))
		s.wantKind("a second Create with "+what+" bytes", err, providers.Exists)
		s.mustHold(name, first)
	}
	// Above 2 MiB some clients ask before they send. A store may also refuse early and hang up, which hides its answer now and then.
	s.wantKind("a second Create with 3 MiB", createPatiently(s.ctx, s.Driver, name, content(3<<20)), providers.Exists)
	s.mustHold(name, first)
}

func testRanges(t *testing.T, s *store) {
	name, b := s.dir+"ranges", content(1000)
	s.mustCreate(name, b)
	tests := []struct {
		off, n   int64
		from, to int
	}{
		{0, -1, 0, 1000}, {0, 1000, 0, 1000}, {0, 1, 0, 1}, {999, 1, 999, 1000}, {10, 20, 10, 30}, {500, -1, 500, 1000},
		{990, 100, 990, 1000}, {0, 5000, 0, 1000}, {1000, -1, 0, 0}, {1000, 1, 0, 0}, {1001, 10, 0, 0}, {9999, -1, 0, 0}, {0, 0, 0, 0}, {17, 0, 0, 0},
	}
	for _, tt := range tests {
		got, err := s.read(name, tt.off, tt.n)
		if err != nil || !bytes.Equal(got, b[tt.from:tt.to]) {
			t.Errorf("range (%d, %d): %d bytes, %v; want bytes %d to %d", tt.off, tt.n, len(got), err, tt.from, tt.to)
		}
		s.checkSized(name, tt.off, tt.n, int64(tt.to-tt.from))
	}
	r, err := s.Open(s.ctx, name, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(r, make([]byte, 10)); err != nil {
		t.Errorf("read the first bytes: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Errorf("Close before the end: %v", err)
	}
}

// checkSized checks what a body announces, where it does.
func (s *store) checkSized(name string, off, n, want int64) {
	s.t.Helper()
	r, err := s.Open(s.ctx, name, off, n)
	if err != nil {
		s.t.Errorf("Open (%d, %d): %v", off, n, err)
		return
	}
	defer r.Close()
	if sized, ok := r.(providers.Sized); ok && sized.Size() != want {
		s.t.Errorf("range (%d, %d) announces %d bytes, want %d", off, n, sized.Size(), want)
	}
}

func testEmpty(t *testing.T, s *store) {
	name := s.dir + "empty"
	s.mustCreate(name, nil)
	for _, r := range [][2]int64{{0, -1}, {0, 0}, {0, 10}, {5, -1}, {5, 5}} {
		if got, err := s.read(name, r[0], r[1]); err != nil || len(got) != 0 {
			t.Errorf("range %v of an empty object: %q, %v", r, got, err)
		}
	}
	if info, err := s.Stat(s.ctx, name); err != nil || info.Size != 0 {
		t.Errorf("Stat of an empty object: %+v, %v", info, err)
	}
	_, err := s.Create(s.ctx, name, body(nil), sha256.Sum256(nil))
	s.wantKind("a second Create of an empty object", err, providers.Exists)
}

func testNotFound(t *testing.T, s *store) {
	s.mustCreate(s.dir+"there/one", content(1))
	for _, name := range []string{s.dir + "none", s.dir + "there/none", s.dir + "there/on", s.dir + "there", s.dir + "no/such/folder"} {
		s.mustBeMissing(name)
	}
}

func (s *store) mustBeMissing(name string) {
	s.t.Helper()
	_, err := s.Stat(s.ctx, name)
	s.wantKind("Stat of "+name, err, providers.NotFound)
	for _, r := range [][2]int64{{0, -1}, {0, 0}, {0, 10}, {7, 10}} {
		_, err := s.read(name, r[0], r[1])
		s.wantKind(fmt.Sprintf("Open of %s, range %v", name, r), err, providers.NotFound)
	}
}

func testCancelled(t *testing.T, s *store) {
	s.mustCreate(s.dir+"there", content(10))
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	name, b := s.dir+"cancelled", content(1<<20)
	for what, op := range map[string]func() error{
		"Create": func() error { _, err := s.Create(ctx, name, body(b), sha256.Sum256(b)); return err },
		"Open":   func() error { _, err := s.Open(ctx, s.dir+"there", 0, -1); return err },
		"Stat":   func() error { _, err := s.Stat(ctx, s.dir+"there"); return err },
		"List":   func() error { _, _, err := s.Driver.List(ctx, s.dir, "", 10); return err },
	} {
		err := op()
		var e *providers.Error
		if !errors.As(err, &e) || !errors.Is(err, context.Canceled) {
			t.Errorf("%s under a cancelled context: %v; want an *providers.Error around context.Canceled", what, err)
		}
		if providers.Retryable(err) {
			t.Errorf("%s under a cancelled context: %v would be retried", what, err)
		}
	}
	s.mustBeAbsent(name)
}

func testCancelledWhileReading(t *testing.T, s *store) {
	name := s.dir + "long"
	s.mustCreate(name, content(8<<20))
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	r, err := s.Open(ctx, name, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := io.ReadFull(r, make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	cancel()
	// What is under way may still arrive; the whole must not.
	if n, err := io.Copy(io.Discard, r); err == nil {
		t.Errorf("%d bytes and no error after the context was cancelled", n)
	}
}

// broken is a body that can't be read beyond its half.
type broken struct{ b []byte }

var errBroken = errors.New("the body broke")

func (b broken) ReadAt(p []byte, off int64) (int, error) {
	half := int64(len(b.b) / 2)
	if off >= half {
		return 0, errBroken
	}
	n := copy(p, b.b[off:half])
	if n < len(p) {
		return n, errBroken
	}
	return n, nil
}

func testFailedCreate(t *testing.T, s *store) {
	for _, size := range []int{100, 6 << 20} {
		name, b := fmt.Sprintf("%sbroken-%d", s.dir, size), content(size)
		_, err := s.Create(s.ctx, name, io.NewSectionReader(broken{b}, 0, int64(size)), sha256.Sum256(b))
		var e *providers.Error
		if !errors.As(err, &e) {
			t.Errorf("Create from a body of %d bytes that can't be read: %v; want an *providers.Error", size, err)
		}
		s.mustBeAbsent(name)
		s.mustCreate(name, b)
		s.mustHold(name, b)
	}
}

func testWrongChecksum(t *testing.T, s *store) {
	if s.Traits().Checksum != "SHA-256" {
		t.Skipf("the store checks %q, not SHA-256", s.Traits().Checksum)
	}
	for _, size := range []int{100, 3 << 20} {
		name, b := fmt.Sprintf("%sdamaged-%d", s.dir, size), content(size)
		sum := sha256.Sum256(b)
		b[size/2] ^= 1
		_, err := s.Create(s.ctx, name, body(b), sum)
		s.wantKind("Create with a flipped bit", err, providers.Corrupt)
		s.mustBeAbsent(name)
	}
}

func testRace(t *testing.T, s *store) {
	if s.Traits().CreateOnly != providers.CreateOnlyStore {
		t.Skip("the store does not promise that one of two racing writers loses")
	}
	const writers = 16
	for round := range 3 {
		name := fmt.Sprintf("%srace-%d", s.dir, round)
		bodies, errs := make([][]byte, writers), make([]error, writers)
		start := make(chan struct{})
		var g errgroup.Group
		for i := range writers {
			bodies[i] = content(64 << 10)
			g.Go(func() error {
				<-start
				errs[i] = createPatiently(s.ctx, s.Driver, name, bodies[i])
				return nil
			})
		}
		close(start)
		_ = g.Wait() // never fails: the errors are in errs
		winner := -1
		for i, err := range errs {
			switch {
			case err != nil:
				s.wantKind("a loser of the race", err, providers.Exists)
			case winner >= 0:
				t.Fatalf("writers %d and %d both created %s", winner, i, name)
			default:
				winner = i
			}
		}
		if winner < 0 {
			t.Fatalf("no writer created %s", name)
		}
		s.mustHold(name, bodies[winner])
	}
}

// createPatiently tries again where a failure was Temporary, such as a store's answer that somebody else is at it (409 on S3, 423 on WebDAV).
func createPatiently(ctx context.Context, d providers.Driver, name string, b []byte) error {
	var err error
	for range 20 {
		if _, err = d.Create(ctx, name, body(b), sha256.Sum256(b)); !providers.Retryable(err) {
			break
		}
	}
	return err
}

func testConcurrency(t *testing.T, s *store) {
	const workers, objects = 8, 6
	g, ctx := errgroup.WithContext(s.ctx)
	for w := range workers {
		g.Go(func() error {
			for i := range objects {
				if err := roundTrip(ctx, s.Driver, fmt.Sprintf("%sw%d/%d", s.dir, w, i), content(10_000)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	page, _, err := s.Driver.List(s.ctx, s.dir, "", 1000)
	if err != nil || len(page) != workers*objects {
		t.Errorf("%d objects listed, %v; want %d", len(page), err, workers*objects)
	}
}

// roundTrip stores and reads one object.
func roundTrip(ctx context.Context, d providers.Driver, name string, b []byte) error {
	if err := createPatiently(ctx, d, name, b); err != nil {
		return err
	}
	r, err := d.Open(ctx, name, 0, -1)
	if err != nil {
		return err
	}
	got, err := io.ReadAll(r)
	if err = errors.Join(err, r.Close()); err != nil {
		return err
	}
	if !bytes.Equal(got, b) {
		return fmt.Errorf("%s holds other bytes than were created", name)
	}
	return nil
}

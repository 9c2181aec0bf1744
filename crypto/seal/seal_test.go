package seal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"filippo.io/age"
)

type pair struct{ identity, recipient string }

func hybrid(t testing.TB) pair {
	t.Helper()
	id, r, err := GenerateHybrid()
	if err != nil {
		t.Fatal(err)
	}
	return pair{id, r}
}

func x25519(t testing.TB) pair {
	t.Helper()
	id, r, err := GenerateX25519()
	if err != nil {
		t.Fatal(err)
	}
	return pair{id, r}
}

func sealer(t testing.TB, pairs ...pair) *Sealer {
	t.Helper()
	var all []string
	for _, p := range pairs {
		all = append(all, p.recipient)
	}
	s, err := NewSealer(all)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func opener(t testing.TB, pairs ...pair) *Opener {
	t.Helper()
	var ids []age.Identity
	for _, p := range pairs {
		id, err := ParseIdentity(p.identity)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	return NewOpener(ids...)
}

func sealed(t testing.TB, s *Sealer, plain []byte) []byte {
	t.Helper()
	b, err := SealBytes(s, plain)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// plaintext is n bytes that are everywhere different.
func plaintext(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i ^ i>>8 ^ i>>16)
	}
	return b
}

func TestRoundTrip(t *testing.T) {
	a, b := hybrid(t), hybrid(t)
	s := sealer(t, a, b)
	for _, n := range []int{0, 1, 65535, 65536, 65537, 300_000} {
		plain := plaintext(n)
		file := sealed(t, s, plain)
		for _, p := range []pair{a, b} {
			o := opener(t, hybrid(t), p)
			got, err := OpenBytes(o, file, int64(n))
			if err != nil || !bytes.Equal(got, plain) {
				t.Fatalf("%d bytes: %d, %v", n, len(got), err)
			}
			at, size, err := o.ReaderAt(bytes.NewReader(file), int64(len(file)))
			if err != nil || size != int64(n) {
				t.Fatalf("%d bytes: size %d, %v", n, size, err)
			}
			again := make([]byte, n)
			if got, err := at.ReadAt(again, 0); got != n || (err != nil && err != io.EOF) || !bytes.Equal(again, plain) {
				t.Errorf("%d bytes at random: %d, %v", n, got, err)
			}
		}
	}
}

func TestReaderAtEnds(t *testing.T) {
	p := x25519(t)
	file := sealed(t, sealer(t, p), plaintext(1000))
	at, size, err := opener(t, p).ReaderAt(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		off  int64
		n    int
		want int
		err  error
	}{{0, 0, 0, nil}, {size, 0, 0, nil}, {size, 1, 0, io.EOF}, {size + 5, 1, 0, io.EOF}, {990, 20, 10, io.EOF}, {980, 20, 20, nil}} {
		n, err := at.ReadAt(make([]byte, tc.n), tc.off)
		if n != tc.want || (err != tc.err && !(n == tc.n && err == io.EOF)) {
			t.Errorf("ReadAt(%d bytes, %d) = %d, %v", tc.n, tc.off, n, err)
		}
	}
	if _, err := at.ReadAt(make([]byte, 1), -1); err == nil || err == io.EOF {
		t.Errorf("negative offset: %v", err)
	}
}

func TestSealerRefuses(t *testing.T) {
	h, x := hybrid(t), x25519(t)
	for _, tc := range []struct {
		name       string
		recipients []string
		want       string
	}{
		{"none", nil, "no recipient"},
		{"empty", []string{""}, "empty"},
		{"mixed", []string{h.recipient, x.recipient}, "one class"},
		{"mixed the other way", []string{x.recipient, h.recipient}, "one class"},
		{"twice", []string{x.recipient, x.recipient}, "recipients 1 and 2 are the same"},
		{"plugin", []string{"age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t"}, "not supported"},
		{"tag", []string{"age1tag1qt8lw0ual6avlwmwatk888yqnmdamm7xfd0wak53ut6elz5c4swx2yqdj4e"}, "not supported"},
		{"ssh", []string{"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHsKLqeplhpW+uObz5dvMgjz1OxfM/XXUB+VHtZ6isGN"}, "not supported"},
		{"capitals", []string{strings.ToUpper(x.recipient)}, "not supported"},
		{"space", []string{" " + x.recipient}, "not supported"},
		{"cut short", []string{x.recipient[:len(x.recipient)-1]}, "damaged"},
		{"mistyped", []string{h.recipient, swap(h.recipient, 100)}, "recipient 2 of 2"},
		{"identity", []string{x.identity}, "secret"},
		{"hybrid identity", []string{h.identity}, "secret"},
	} {
		_, err := NewSealer(tc.recipients)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", tc.name, err)
		} else if len(err.Error()) > 300 || strings.Contains(err.Error(), "AGE-SECRET-KEY-1") || strings.Contains(err.Error(), "AGE-SECRET-KEY-P") {
			t.Errorf("%s: the error says too much: %v", tc.name, err)
		}
	}
}

// swap changes the character at i for another of Bech32's.
func swap(s string, i int) string {
	c := byte('q')
	if s[i] == c {
		c = 'p'
	}
	return s[:i] + string(c) + s[i+1:]
}

func TestRecipients(t *testing.T) {
	a, b := hybrid(t), hybrid(t)
	s := sealer(t, a, b)
	got := s.Recipients()
	if len(got) != 2 || got[0] != a.recipient || got[1] != b.recipient {
		t.Errorf("recipients %v", got)
	}
	got[0] = "changed"
	if s.Recipients()[0] != a.recipient {
		t.Error("the sealer's recipients can be changed")
	}
	for want, p := range map[string]pair{Hybrid: a, X25519: x25519(t)} {
		if class, err := Class(p.recipient); err != nil || class != want {
			t.Errorf("Class = %s, %v; want %s", class, err, want)
		}
		id, err := ParseIdentity(p.identity)
		if err != nil {
			t.Fatal(err)
		}
		if r, err := RecipientOf(id); err != nil || r != p.recipient {
			t.Errorf("RecipientOf = %s, %v", r, err)
		}
	}
	if _, err := RecipientOf(age.NewInjectedFileKeyIdentity(make([]byte, 16))); err == nil {
		t.Error("a file key has a recipient")
	}
}

func TestWrongKey(t *testing.T) {
	h, x := hybrid(t), x25519(t)
	byHybrid := sealed(t, sealer(t, h, hybrid(t)), plaintext(100))
	byX := sealed(t, sealer(t, x), plaintext(100))
	pass, err := age.NewScryptRecipient("word")
	if err != nil {
		t.Fatal(err)
	}
	pass.SetWorkFactor(2)
	var byPass bytes.Buffer
	w, err := age.Encrypt(&byPass, pass)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		o    *Opener
		file []byte
		want []string
	}{
		{"one", opener(t, hybrid(t)), byHybrid, []string{"the identity at hand does not open", "2 recipients of kind hybrid"}},
		{"two", opener(t, h, hybrid(t)), byX, []string{"none of the 2 identities", "1 recipient of kind x25519"}},
		{"none", NewOpener(), byX, []string{"no identity is at hand", "1 recipient of kind x25519"}},
		{"other class", opener(t, x), byHybrid, []string{"2 recipients of kind hybrid"}},
		{"passphrase", opener(t, x), byPass.Bytes(), []string{"1 recipient of kind passphrase"}},
	} {
		_, err := tc.o.Reader(bytes.NewReader(tc.file))
		_, _, errAt := tc.o.ReaderAt(bytes.NewReader(tc.file), int64(len(tc.file)))
		for _, err := range []error{err, errAt} {
			var match *age.NoIdentityMatchError
			if !errors.Is(err, ErrWrongKey) || errors.Is(err, ErrDamaged) || !errors.As(err, &match) {
				t.Errorf("%s: %v", tc.name, err)
				continue
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%s: %q does not say %q", tc.name, err, want)
				}
			}
		}
	}
	if !NewOpener().Empty() || opener(t, x).Empty() {
		t.Error("Empty is wrong")
	}
}

func TestEveryDamageIsFound(t *testing.T) {
	p := x25519(t)
	o, file := opener(t, p), sealed(t, sealer(t, p), plaintext(50))
	check := func(what string, b []byte) {
		got, err := OpenBytes(o, b, 1<<20)
		if err == nil || (!errors.Is(err, ErrDamaged) && !errors.Is(err, ErrWrongKey)) {
			t.Errorf("%s: %d bytes, %v", what, len(got), err)
		}
		at, size, err := o.ReaderAt(bytes.NewReader(b), int64(len(b)))
		if err == nil {
			_, err = io.ReadAll(io.NewSectionReader(at, 0, size))
		}
		if err == nil || (!errors.Is(err, ErrDamaged) && !errors.Is(err, ErrWrongKey)) {
			t.Errorf("%s, at random: %v", what, err)
		}
	}
	for i := range file {
		b := bytes.Clone(file)
		b[i] ^= 0x20
		check(fmt.Sprintf("byte %d changed", i), b)
		if i%5 == 0 {
			check(fmt.Sprintf("cut after %d", i), file[:i])
		}
	}
	check("a byte more", append(bytes.Clone(file), 0))
	if _, _, err := o.ReaderAt(bytes.NewReader(file), int64(len(file))+7); !errors.Is(err, ErrDamaged) {
		t.Errorf("a size that lies: %v", err)
	}
	large := sealed(t, sealer(t, p), plaintext(200_000))
	check("cut at a run's end", large[:len(large)-200_000%(64<<10)-16])
}

func TestStoreErrorsStayWhatTheyAre(t *testing.T) {
	p := x25519(t)
	o, file := opener(t, p), sealed(t, sealer(t, p), plaintext(70_000))
	for _, want := range []error{errors.New("connection reset"), io.ErrUnexpectedEOF, fmt.Errorf("wrapped: %w", io.EOF)} {
		for _, n := range []int{0, 5, 100, 150, 200, 220, 40_000, len(file)} {
			src := io.MultiReader(bytes.NewReader(file[:n]), iotest.ErrReader(want))
			r, err := o.Reader(src)
			if err == nil {
				_, err = io.ReadAll(r)
			}
			if err != want {
				t.Errorf("reader fails after %d bytes with %q: %v", n, want, err)
			}
		}
		for _, n := range []int64{0, 200, 40_000} {
			src := &failingAt{r: bytes.NewReader(file), at: n, err: want}
			at, size, err := o.ReaderAt(src, int64(len(file)))
			if err == nil {
				_, err = io.ReadAll(io.NewSectionReader(at, 0, size))
			}
			if err != want {
				t.Errorf("store fails at %d with %q: %v", n, want, err)
			}
		}
	}
}

// failingAt fails every read that touches the byte at.
type failingAt struct {
	r   io.ReaderAt
	at  int64
	err error
}

func (f *failingAt) ReadAt(p []byte, off int64) (int, error) {
	if off <= f.at && f.at < off+int64(len(p)) {
		return 0, f.err
	}
	return f.r.ReadAt(p, off)
}

func TestFailingIdentityIsNoDamage(t *testing.T) {
	p := x25519(t)
	file := sealed(t, sealer(t, p), plaintext(10))
	broken := errors.New("no token in the slot")
	_, err := OpenBytes(NewOpener(token{broken}), file, 100)
	if !errors.Is(err, broken) || errors.Is(err, ErrDamaged) || errors.Is(err, ErrWrongKey) {
		t.Errorf("a failing token: %v", err)
	}
	_, err = OpenBytes(NewOpener(token{fmt.Errorf("not mine: %w", age.ErrIncorrectIdentity)}), file, 100)
	if !errors.Is(err, ErrWrongKey) {
		t.Errorf("a token that doesn't match: %v", err)
	}
	// A token is only asked when age's own identities don't match.
	id, err := ParseIdentity(p.identity)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenBytes(NewOpener(token{broken}, id), file, 100); err != nil {
		t.Errorf("the token was asked first: %v", err)
	}
}

type token struct{ err error }

func (k token) Unwrap([]*age.Stanza) ([]byte, error) { return nil, k.err }

func TestOpenBytesIsBounded(t *testing.T) {
	p := x25519(t)
	o, file := opener(t, p), sealed(t, sealer(t, p), plaintext(100_000))
	for _, max := range []int64{0, 1, 65_536, 99_999} {
		if got, err := OpenBytes(o, file, max); err == nil || errors.Is(err, ErrDamaged) || got != nil {
			t.Errorf("at most %d: %d bytes, %v", max, len(got), err)
		}
	}
	for _, max := range []int64{100_000, 100_001, 1<<63 - 1} {
		if got, err := OpenBytes(o, file, max); err != nil || len(got) != 100_000 {
			t.Errorf("at most %d: %d bytes, %v", max, len(got), err)
		}
	}
	// Damage behind the limit still counts: the whole file must be right.
	file[len(file)-1] ^= 1
	if _, err := OpenBytes(o, file, 100_000); !errors.Is(err, ErrDamaged) {
		t.Errorf("damage in the last byte: %v", err)
	}
}

func TestWriterErrors(t *testing.T) {
	s, full := sealer(t, x25519(t)), errors.New("no room left")
	size := len(sealed(t, s, plaintext(70)))
	for n := 0; n <= size; n += 6 {
		w, err := s.Writer(&brim{n, full})
		if err == nil {
			_, err = w.Write(plaintext(70))
		}
		if err == nil {
			err = w.Close()
		}
		if (n < size) != errors.Is(err, full) {
			t.Fatalf("a writer that fails after %d of %d bytes: %v", n, size, err)
		}
	}
}

// brim takes n bytes and then fails.
type brim struct {
	n   int
	err error
}

func (b *brim) Write(p []byte) (int, error) {
	if len(p) > b.n {
		return 0, b.err
	}
	b.n -= len(p)
	return len(p), nil
}

func TestConcurrentUse(t *testing.T) {
	p := hybrid(t)
	s, o := sealer(t, p), opener(t, p)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 5 {
				plain := plaintext(g*1000 + i)
				file, err := SealBytes(s, plain)
				if err != nil {
					t.Error(err)
					return
				}
				if got, err := OpenBytes(o, file, 1<<20); err != nil || !bytes.Equal(got, plain) {
					t.Errorf("%d bytes, %v", len(got), err)
				}
			}
		})
	}
	wg.Wait()
}

func TestAgeProgramOpens(t *testing.T) {
	program, err := exec.LookPath("age")
	if err != nil {
		t.Skip("no age program here")
	}
	p := x25519(t)
	keys := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(keys, []byte(p.identity+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	plain := plaintext(100_000)
	cmd := exec.Command(program, "-d", "-i", keys)
	cmd.Stdin = bytes.NewReader(sealed(t, sealer(t, p), plain))
	if got, err := cmd.Output(); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("age gives %d bytes, %v", len(got), err)
	}
}

func TestParseIdentities(t *testing.T) {
	h, x := hybrid(t), x25519(t)
	ids, err := ParseIdentities(strings.NewReader("# created: today\r\n" + h.identity + "\r\n\n  " + x.identity + "  "))
	if err != nil || len(ids) != 2 {
		t.Fatalf("%d identities, %v", len(ids), err)
	}
	for _, tc := range []struct{ name, text, want string }{
		{"empty", "", "no identity"},
		{"comments", "# nothing\n", "no identity"},
		{"recipient", "# a\n" + x.recipient, "line 2: this is a recipient"},
		{"mistyped", "\n\n" + strings.ToUpper(swap(strings.ToLower(x.identity), 30)), "line 3: the identity is damaged"},
		{"mistyped hybrid", strings.ToUpper(swap(strings.ToLower(h.identity), 30)), "line 1: the identity is damaged"},
		{"cut short", h.identity[:40], "line 1: the identity is damaged"},
		{"plugin", "AGE-PLUGIN-YUBIKEY-1QQQ", "plugins"},
		{"small letters", strings.ToLower(x.identity), "no identity"},
		{"noise", "hello", "no identity"},
		{"large", strings.Repeat("#\n", 40_000), "more than"},
		{"long line", strings.Repeat("#", 70_000), "more than"},
	} {
		_, err := ParseIdentities(strings.NewReader(tc.text))
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", tc.name, err)
		} else if secret := strings.TrimSpace(tc.text); len(secret) > 30 && strings.Contains(err.Error(), secret[len(secret)-20:]) {
			t.Errorf("%s: the error shows the text: %v", tc.name, err)
		}
	}
	broken := errors.New("broken pipe")
	if _, err := ParseIdentities(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("failing reader: %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	p := x25519(f)
	o := opener(f, p)
	f.Add(sealed(f, sealer(f, p), plaintext(100)))
	f.Add(sealed(f, sealer(f, hybrid(f)), nil))
	f.Fuzz(func(t *testing.T, file []byte) {
		got, err := OpenBytes(o, file, 1<<16)
		at, size, errAt := o.ReaderAt(bytes.NewReader(file), int64(len(file)))
		if err == nil && (errAt != nil || size != int64(len(got))) {
			t.Fatalf("%d bytes in order, %d at random, %v", len(got), size, errAt)
		}
		if errAt == nil {
			again, errAt := io.ReadAll(io.NewSectionReader(at, 0, size))
			if err == nil && (errAt != nil || !bytes.Equal(got, again)) {
				t.Fatalf("in order and at random differ: %v", errAt)
			}
		}
	})
}

func FuzzParse(f *testing.F) {
	h, x := hybrid(f), x25519(f)
	f.Add(h.recipient, h.identity)
	f.Add(x.recipient, x.identity)
	f.Fuzz(func(t *testing.T, recipient, identity string) {
		if s, err := NewSealer([]string{recipient}); err == nil && s.Recipients()[0] != recipient {
			t.Fatalf("%q became %v", recipient, s.Recipients())
		}
		ids, err := ParseIdentities(strings.NewReader(identity))
		if (err == nil) != (len(ids) > 0) {
			t.Fatalf("%d identities, %v", len(ids), err)
		}
	})
}

func benchmarkSeal(b *testing.B, p pair) {
	s, plain := sealer(b, p), plaintext(32<<20)
	b.SetBytes(int64(len(plain)))
	b.ReportAllocs()
	for b.Loop() {
		w, err := s.Writer(io.Discard)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := w.Write(plain); err != nil {
			b.Fatal(err)
		}
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSealHybrid(b *testing.B) { benchmarkSeal(b, hybrid(b)) }
func BenchmarkSealX25519(b *testing.B) { benchmarkSeal(b, x25519(b)) }

func BenchmarkOpenHybrid(b *testing.B) {
	p := hybrid(b)
	o, file := opener(b, p), sealed(b, sealer(b, p), plaintext(32<<20))
	b.SetBytes(32 << 20)
	for b.Loop() {
		r, err := o.Reader(bytes.NewReader(file))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, r); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSealSmall is what one more file costs, whatever its size.
func BenchmarkSealSmall(b *testing.B) {
	s, plain := sealer(b, hybrid(b), hybrid(b)), plaintext(1000)
	for b.Loop() {
		if _, err := SealBytes(s, plain); err != nil {
			b.Fatal(err)
		}
	}
}

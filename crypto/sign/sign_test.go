package sign

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
)

var vault = strings.Repeat("0123456789abcdef", 4)

func testKey(t testing.TB, fill byte) PrivateKey {
	t.Helper()
	k, err := FromSeed(bytes.Repeat([]byte{fill}, ed25519.SeedSize))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestEnvelopeIsAsSpecified(t *testing.T) {
	// Built here from the words of docs/format.md, section 2, without the package's own helpers.
	k := testKey(t, 1)
	got, err := Envelope(KindCommit, vault, []byte(`{"chain":"00"}`), k)
	if err != nil {
		t.Fatal(err)
	}
	body := "farshore commit 1\n{\"chain\":\"00\"}\n"
	pub := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32)).Public().(ed25519.PublicKey)
	sig := ed25519.Sign(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32)), []byte("farshore signature 1\ncommit\n"+vault+"\n"+body))
	sum := sha256.Sum256(pub)
	want := fmt.Sprintf("%ssignature ed25519 %s %s\n", body, hex.EncodeToString(sum[:])[:32], encoding().EncodeToString(sig))
	if string(got) != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestParseAndVerify(t *testing.T) {
	k, other := testKey(t, 1), testKey(t, 2)
	otherVault := strings.Repeat("f", 64)
	for _, tc := range []struct{ kind, vault string }{
		{KindStatement, NoVault}, {KindStatement, vault}, {KindCommit, vault}, {KindReport, vault},
	} {
		stored, err := Envelope(tc.kind, tc.vault, []byte(`{"time":"2026-11-21T19:10:54.5Z","note":"ü"}`), k)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Parse(tc.kind, stored)
		if err != nil {
			t.Fatal(err)
		}
		if s.Kind != tc.kind || s.KeyID != k.ID() || string(s.JSON) != `{"time":"2026-11-21T19:10:54.5Z","note":"ü"}` || !bytes.HasPrefix(stored, s.Body) {
			t.Errorf("%s: parsed as %+v", tc.kind, s)
		}
		if err := s.Verify(tc.vault, k.Public()); err != nil {
			t.Errorf("%s: %v", tc.kind, err)
		}
		if err := s.Verify(tc.vault, other.Public()); !errors.Is(err, ErrSignature) {
			t.Errorf("%s: verified with another key: %v", tc.kind, err)
		}
		if err := s.Verify(otherVault, k.Public()); !errors.Is(err, ErrSignature) {
			t.Errorf("%s: verified for another vault: %v", tc.kind, err)
		}
		s.Kind = map[string]string{KindStatement: KindReport, KindReport: KindCommit, KindCommit: KindReport}[tc.kind]
		if err := s.Verify(vault, k.Public()); !errors.Is(err, ErrSignature) {
			t.Errorf("%s: verified as %s: %v", tc.kind, s.Kind, err)
		}
	}
}

func TestForgedKeyID(t *testing.T) {
	// Signed by one key and naming another: the named key's owner did not sign.
	k, other := testKey(t, 1), testKey(t, 2)
	stored, err := Envelope(KindReport, vault, []byte(`{}`), k)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Parse(KindReport, bytes.Replace(stored, []byte(k.ID()), []byte(other.ID()), 1))
	if err != nil {
		t.Fatal(err)
	}
	for _, pub := range []PublicKey{k.Public(), other.Public()} {
		if err := s.Verify(vault, pub); !errors.Is(err, ErrSignature) {
			t.Errorf("verified with %s: %v", pub, err)
		}
	}
}

func TestEveryBitCounts(t *testing.T) {
	k := testKey(t, 3)
	stored, err := Envelope(KindStatement, NoVault, []byte(`{"n":1}`), k)
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(stored) * 8 {
		b := bytes.Clone(stored)
		b[i/8] ^= 1 << (i % 8)
		s, err := Parse(KindStatement, b)
		if err == nil && s.Verify(NoVault, k.Public()) == nil {
			t.Errorf("bit %d of byte %d (%q) does not matter", i%8, i/8, stored[i/8])
		}
	}
}

func TestParseRefuses(t *testing.T) {
	k := testKey(t, 1)
	good, err := Envelope(KindCommit, vault, []byte(`{"a":1}`), k)
	if err != nil {
		t.Fatal(err)
	}
	replace := func(from, to string) string {
		if !strings.Contains(string(good), from) {
			t.Fatalf("no %q in the object", from)
		}
		return strings.Replace(string(good), from, to, 1)
	}
	sig := string(good[len(good)-87 : len(good)-1])
	for _, tc := range []struct {
		name, stored string
		want         error
	}{
		{"empty", "", ErrMalformed},
		{"one line", "farshore commit 1", ErrMalformed},
		{"two lines", "farshore commit 1\n{}\n", ErrMalformed},
		{"no last line feed", strings.TrimSuffix(string(good), "\n"), ErrMalformed},
		{"a byte more", string(good) + "x", ErrMalformed},
		{"a line feed more", string(good) + "\n", ErrMalformed},
		{"a second signature", string(good) + "signature ed25519 " + k.ID() + " " + sig + "\n", ErrMalformed},
		{"other kind", replace("commit", "report"), ErrMalformed},
		{"capitals", replace("farshore", "Farshore"), ErrMalformed},
		{"version 2", replace("commit 1", "commit 2"), ErrVersion},
		{"version 10", replace("commit 1", "commit 10"), ErrVersion},
		{"version 01", replace("commit 1", "commit 01"), ErrMalformed},
		{"version 0", replace("commit 1", "commit 0"), ErrMalformed},
		{"no version", replace("commit 1", "commit "), ErrMalformed},
		{"space behind", replace("commit 1", "commit 1 "), ErrMalformed},
		{"carriage return", replace("commit 1\n", "commit 1\r\n"), ErrMalformed},
		{"carriage return in JSON", replace("}\n", "}\r\n"), ErrMalformed},
		{"no object", replace(`{"a":1}`, `["a",1]`), ErrMalformed},
		{"object over two lines", replace(`{"a":1}`, "{\"a\":\n1}"), ErrMalformed},
		{"space before JSON", replace(`{"a":1}`, ` {"a":1}`), ErrMalformed},
		{"other algorithm", replace("ed25519", "ed25518"), ErrMalformed},
		{"key id in capitals", replace(k.ID(), strings.ToUpper(k.ID())), ErrMalformed},
		{"two spaces", replace("ed25519 ", "ed25519  "), ErrMalformed},
		{"padded base64", replace(sig, sig+"=="), ErrMalformed},
		{"URL base64", replace(sig, strings.Repeat("_", 86)), ErrMalformed},
		{"loose last bits", replace(sig, sig[:85]+string(looseBits(sig[85]))), ErrMalformed},
		{"line feed in base64", replace(sig, sig[:40]+"\n"+sig[41:]), ErrMalformed},
		{"carriage return in base64", replace(sig, sig[:40]+"\r"+sig[41:]), ErrMalformed},
		{"too large", string(good) + strings.Repeat(" ", MaxSize), ErrMalformed},
	} {
		if _, err := Parse(KindCommit, []byte(tc.stored)); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.want)
		}
	}
	if _, err := Parse("letter", good); err == nil {
		t.Error("an unknown kind was parsed")
	}
}

// looseBits returns a base64 digit that differs from c only in bits that 64 bytes don't use.
func looseBits(c byte) byte {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	return digits[strings.IndexByte(digits, c)|1]
}

func TestEnvelopeRefuses(t *testing.T) {
	k := testKey(t, 1)
	for _, tc := range []struct {
		name, kind, vault, json string
		key                     PrivateKey
	}{
		{"unknown kind", "letter", vault, "{}", k},
		{"commit without vault", KindCommit, NoVault, "{}", k},
		{"empty vault", KindStatement, "", "{}", k},
		{"vault in capitals", KindCommit, strings.ToUpper(vault), "{}", k},
		{"vault with line feed", KindCommit, vault[:63] + "\n", "{}", k},
		{"no key", KindCommit, vault, "{}", PrivateKey{}},
		{"empty", KindCommit, vault, "", k},
		{"array", KindCommit, vault, "[]", k},
		{"line break", KindCommit, vault, "{\n}", k},
		{"carriage return", KindCommit, vault, "{\r}", k},
		{"two objects", KindCommit, vault, "{}{}", k},
		{"not JSON", KindCommit, vault, "{a}", k},
		{"not UTF-8", KindCommit, vault, "{\"a\":\"\xff\"}", k},
		{"too large", KindCommit, vault, `{"a":"` + strings.Repeat("a", MaxSize) + `"}`, k},
	} {
		if b, err := Envelope(tc.kind, tc.vault, []byte(tc.json), tc.key); err == nil {
			t.Errorf("%s: made %.80q", tc.name, b)
		}
	}
}

func TestPublicKeys(t *testing.T) {
	k, err := Generate()
	if err != nil {
		t.Fatal(err)
	}
	s := k.Public().String()
	if got, err := ParsePublic(s); err != nil || got != k.Public() {
		t.Errorf("ParsePublic(%s) = %s, %v", s, got, err)
	}
	if len(k.ID()) != 32 || k.ID() != k.Public().ID() {
		t.Errorf("key id %q", k.ID())
	}
	for _, bad := range []string{
		"", "ed25519", "ed25519:", s[:len(s)-1], s + "=", s + "A", " " + s, s + "\n", strings.ToUpper(s[:8]) + s[8:], "rsa:" + s[8:],
		s[:len(s)-1] + string(looseBits(s[len(s)-1])), s[:20] + "\n" + s[21:], s[:20] + "-" + s[21:],
	} {
		if got, err := ParsePublic(bad); err == nil {
			t.Errorf("ParsePublic(%q) = %s", bad, got)
		}
	}
}

func TestPrivateKeysDoNotShow(t *testing.T) {
	k := testKey(t, 5)
	secret := hex.EncodeToString(k.Seed())
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%X", "%q", "%d"} {
		for _, v := range []any{k, &k, struct{ K PrivateKey }{k}, []PrivateKey{k}} {
			got := fmt.Sprintf(verb, v)
			if strings.Contains(strings.ToLower(got), secret) || strings.Contains(got, "5 5 5 5") || strings.Contains(got, "0x5, 0x5") {
				t.Errorf("%s shows %s", verb, got)
			}
		}
	}
	if _, err := FromSeed(k.Seed()[1:]); err == nil {
		t.Error("a short seed was accepted")
	}
	if !(PrivateKey{}).IsZero() || (PrivateKey{}).Public() != (PublicKey{}) || fmt.Sprint(PrivateKey{}) != "no private key" {
		t.Error("the zero key is not zero")
	}
	again, err := FromSeed(k.Seed())
	if err != nil || again.Public() != k.Public() {
		t.Errorf("seed gives another key, %v", err)
	}
}

func FuzzParse(f *testing.F) {
	k := testKey(f, 1)
	for _, kind := range []string{KindStatement, KindCommit, KindReport} {
		stored, err := Envelope(kind, vault, []byte(`{"a":1}`), k)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(kind, stored)
	}
	f.Fuzz(func(t *testing.T, kind string, stored []byte) {
		s, err := Parse(kind, stored)
		if err != nil {
			return
		}
		// Parsing and writing again is the identity.
		again := fmt.Sprintf("farshore %s 1\n%s\nsignature ed25519 %s %s\n", s.Kind, s.JSON, s.KeyID, encoding().EncodeToString(s.Signature[:]))
		if again != string(stored) || string(s.Body) != string(stored[:len(s.Body)]) {
			t.Fatalf("%q was read as %q", stored, again)
		}
		if s.Verify(vault, k.Public()) == nil && s.KeyID != k.ID() {
			t.Fatal("verified with a key that it doesn't name")
		}
	})
}

func FuzzParsePublic(f *testing.F) {
	f.Add(testKey(f, 1).Public().String())
	f.Fuzz(func(t *testing.T, s string) {
		if p, err := ParsePublic(s); err == nil && p.String() != s {
			t.Fatalf("%q was read as %q", s, p)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	k := testKey(b, 1)
	stored, err := Envelope(KindCommit, vault, []byte(`{"a":"`+strings.Repeat("a", 4000)+`"}`), k)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		s, err := Parse(KindCommit, stored)
		if err != nil || s.Verify(vault, k.Public()) != nil {
			b.Fatal("not verified")
		}
	}
}

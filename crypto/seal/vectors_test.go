package seal

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the vectors anew")

const vectorDir = "../../testdata/format/sealed"

// vectors describe sealed files and the identities beside them. Sealing is random, so that vectors are opened only. What is in
// page.age is the plaintext of a page: `age -d -i hybrid-1.key page.age | zstd -d` gives its raw bytes.
type vectors struct {
	Valid   []vector `json:"valid"`
	Refused []vector `json:"refused"`
}

type vector struct {
	File       string   `json:"file"`
	About      string   `json:"about"`
	Identities []string `json:"identities"`
	SHA256     string   `json:"sha256"`
	Size       int      `json:"plaintext_size"`
	Plaintext  string   `json:"plaintext_sha256,omitempty"`
}

func TestVectors(t *testing.T) {
	if *update {
		writeVectors(t)
	}
	var all vectors
	if err := json.Unmarshal(readVector(t, "vectors.json"), &all); err != nil {
		t.Fatal(err)
	}
	if len(all.Valid) == 0 || len(all.Refused) == 0 {
		t.Fatal("there are no vectors")
	}
	for _, v := range all.Valid {
		file := readVector(t, v.File)
		if hash(file) != v.SHA256 {
			t.Errorf("%s: stored bytes hash to %s", v.File, hash(file))
		}
		for _, id := range v.Identities {
			got, err := OpenBytes(vectorOpener(t, id), file, int64(v.Size))
			if err != nil || len(got) != v.Size || hash(got) != v.Plaintext {
				t.Errorf("%s with %s: %d bytes, %v", v.File, id, len(got), err)
			}
		}
	}
	for _, v := range all.Refused {
		for _, id := range v.Identities {
			_, err := OpenBytes(vectorOpener(t, id), readVector(t, v.File), 1<<20)
			if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrWrongKey) {
				t.Errorf("%s (%s) with %s: %v", v.File, v.About, id, err)
			}
		}
	}
}

func hash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func readVector(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(vectorDir, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func vectorOpener(t *testing.T, name string) *Opener {
	t.Helper()
	ids, err := ParseIdentities(bytes.NewReader(readVector(t, name)))
	if err != nil {
		t.Fatal(err)
	}
	return NewOpener(ids...)
}

func writeVectors(t *testing.T) {
	t.Helper()
	write := func(name string, b []byte) {
		if err := os.WriteFile(filepath.Join(vectorDir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	key := func(name string, p pair) pair {
		write(name, []byte("# for tests only\n# recipient: "+p.recipient+"\n"+p.identity+"\n"))
		return p
	}
	h1, h2, x := key("hybrid-1.key", hybrid(t)), key("hybrid-2.key", hybrid(t)), key("x25519.key", x25519(t))
	page, err := os.ReadFile(filepath.Join(vectorDir, "../pack/frames.zst"))
	if err != nil {
		t.Fatal(err)
	}
	var all vectors
	add := func(name, about string, plain []byte, s *Sealer, ids ...string) []byte {
		file := sealed(t, s, plain)
		write(name, file)
		all.Valid = append(all.Valid, vector{name, about, ids, hash(file), len(plain), hash(plain)})
		return file
	}
	refuse := func(name, about string, file []byte, ids ...string) {
		write(name, file)
		all.Refused = append(all.Refused, vector{File: name, About: about, Identities: ids, SHA256: hash(file)})
	}
	file := add("page.age", "pack/frames.zst sealed to two hybrid recipients", page, sealer(t, h1, h2), "hybrid-1.key", "hybrid-2.key")
	add("x25519.age", "the same sealed to one recipient of the older class", page, sealer(t, x), "x25519.key")
	add("empty.age", "nothing", nil, sealer(t, h1), "hybrid-1.key")
	flipped := bytes.Clone(file)
	flipped[len(flipped)-1] ^= 1
	refuse("refused-changed.age", "the last bit is another", flipped, "hybrid-1.key")
	refuse("refused-cut.age", "the last byte is missing", file[:len(file)-1], "hybrid-1.key")
	refuse("refused-other.age", "sealed to somebody else", sealed(t, sealer(t, h2), []byte(strings.Repeat("x", 100))), "hybrid-1.key", "x25519.key")
	b, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	write("vectors.json", append(b, '\n'))
}

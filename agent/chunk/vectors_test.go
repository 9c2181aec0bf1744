package chunk

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

var update = flag.Bool("update", false, "write the vectors anew")

const vectorFile = "../../testdata/format/chunk/vectors.json"

// vectors say where contents are cut. An upgrade of the library that cuts elsewhere would make every vault grow by its whole size: it
// must not go unnoticed.
type vectors struct {
	About   string   `json:"about"`
	Vectors []vector `json:"vectors"`
}

type vector struct {
	Algorithm string `json:"algorithm"`
	Min       int    `json:"chunk_min"`
	Normal    int    `json:"chunk_normal"`
	Max       int    `json:"chunk_max"`
	Key       string `json:"key"`
	Seed      string `json:"seed"`
	Size      int    `json:"size"`
	Chunks    []int  `json:"chunks"`
}

func TestVectors(t *testing.T) {
	if *update {
		writeVectors(t)
	}
	b, err := os.ReadFile(vectorFile)
	if err != nil {
		t.Fatal(err)
	}
	var all vectors
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	if len(all.Vectors) == 0 {
		t.Fatal("there are no vectors")
	}
	for i, v := range all.Vectors {
		if got := v.cut(t); !slices.Equal(got, v.Chunks) {
			t.Errorf("vector %d (%s, %d bytes): cut into %v, want %v", i, v.Algorithm, v.Size, got, v.Chunks)
		}
	}
}

// cut cuts a vector's content.
func (v vector) cut(t *testing.T) []int {
	t.Helper()
	key, err := hex.DecodeString(v.Key)
	if err != nil || len(key) != 32 {
		t.Fatalf("key %q: %v", v.Key, err)
	}
	c := newCutter(t, Params{Min: v.Min, Normal: v.Normal, Max: v.Max, Algorithm: v.Algorithm}, [32]byte(key))
	data := content(v.Seed, v.Size)
	return cut(t, c, bytes.NewReader(data), int64(v.Size), data)
}

func writeVectors(t *testing.T) {
	t.Helper()
	all := vectors{About: "Content: for i = 0, 1, …: SHA-256(seed, i as eight bytes little-endian), concatenated and cut to size. Chunks: lengths in bytes, in order."}
	for _, alg := range algorithms {
		for _, p := range []Params{small(alg), Default()} {
			p.Algorithm = alg
			for _, size := range []int{0, 1, p.Min, p.Min + 1, p.Normal + 1, 8 * p.Normal, 3*p.Max + 17} {
				v := vector{Algorithm: alg, Min: p.Min, Normal: p.Normal, Max: p.Max, Key: hex.EncodeToString(content("key", 32)), Seed: "content", Size: size}
				v.Chunks = v.cut(t)
				all.Vectors = append(all.Vectors, v)
			}
		}
	}
	b, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(vectorFile), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(vectorFile, append(b, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

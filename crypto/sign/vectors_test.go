package sign

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "write the vectors anew")

const vectorDir = "../../testdata/format/sign"

// vectors describe the files beside them. Ed25519 signs the same bytes always alike, so that an encoder must give the very bytes.
type vectors struct {
	Seed   string   `json:"seed"`
	Public string   `json:"public"`
	ID     string   `json:"id"`
	Valid  []vector `json:"valid"`
	// Refused must not parse, or not verify, with the key, kind and vault that are given.
	Refused []vector `json:"refused"`
}

type vector struct {
	File  string `json:"file"`
	Kind  string `json:"kind"`
	Vault string `json:"vault"`
	JSON  string `json:"json,omitempty"`
	About string `json:"about"`
}

func TestVectors(t *testing.T) {
	if *update {
		writeVectors(t)
	}
	var all vectors
	b, err := os.ReadFile(filepath.Join(vectorDir, "vectors.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	seed, err := hex.DecodeString(all.Seed)
	if err != nil {
		t.Fatal(err)
	}
	k, err := FromSeed(seed)
	if err != nil {
		t.Fatal(err)
	}
	if k.Public().String() != all.Public || k.ID() != all.ID || len(all.Valid) == 0 || len(all.Refused) == 0 {
		t.Fatalf("the seed gives %s, %s", k.Public(), k.ID())
	}
	for _, v := range all.Valid {
		stored := readVector(t, v.File)
		made, err := Envelope(v.Kind, v.Vault, []byte(v.JSON), k)
		if err != nil || !bytes.Equal(made, stored) {
			t.Errorf("%s: encoded as %q, %v", v.File, made, err)
		}
		s, err := Parse(v.Kind, stored)
		if err != nil || string(s.JSON) != v.JSON || s.Verify(v.Vault, k.Public()) != nil {
			t.Errorf("%s: parsed as %q, %v", v.File, s.JSON, err)
		}
	}
	for _, v := range all.Refused {
		s, err := Parse(v.Kind, readVector(t, v.File))
		if err == nil && s.Verify(v.Vault, k.Public()) == nil {
			t.Errorf("%s (%s) was accepted", v.File, v.About)
		}
	}
}

func readVector(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(vectorDir, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func writeVectors(t *testing.T) {
	t.Helper()
	k := testKey(t, 0x2a)
	all := vectors{Seed: hex.EncodeToString(k.Seed()), Public: k.Public().String(), ID: k.ID()}
	write := func(name string, b []byte) {
		if err := os.WriteFile(filepath.Join(vectorDir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	add := func(file, kind, vaultID, text, about string) []byte {
		stored, err := Envelope(kind, vaultID, []byte(text), k)
		if err != nil {
			t.Fatal(err)
		}
		write(file, stored)
		all.Valid = append(all.Valid, vector{file, kind, vaultID, text, about})
		return stored
	}
	refuse := func(file, kind, vaultID string, stored []byte, about string) {
		write(file, stored)
		all.Refused = append(all.Refused, vector{File: file, Kind: kind, Vault: vaultID, About: about})
	}
	add("statement-first.txt", KindStatement, NoVault, `{"n":1,"time":"2026-11-21T19:10:54Z","note":"für alle"}`, "the first statement, signed for no vault")
	add("statement.txt", KindStatement, vault, `{"n":2}`, "a later statement")
	commit := add("commit.txt", KindCommit, vault, `{"chain":"00112233445566778899aabbccddeeff","seq":1}`, "a commit")
	add("report.txt", KindReport, vault, `{}`, "a report")
	refuse("refused-vault.txt", KindCommit, vault[1:]+"0", commit, "signed for another vault")
	refuse("refused-kind.txt", KindReport, vault, bytes.Replace(commit, []byte("farshore commit"), []byte("farshore report"), 1), "another kind than was signed")
	refuse("refused-version.txt", KindCommit, vault, bytes.Replace(commit, []byte("commit 1"), []byte("commit 2"), 1), "an unknown version")
	refuse("refused-changed.txt", KindCommit, vault, bytes.Replace(commit, []byte(`"seq":1`), []byte(`"seq":2`), 1), "changed after it was signed")
	refuse("refused-trailing.txt", KindCommit, vault, append(bytes.Clone(commit), '\n'), "a byte behind the third line")
	b, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	write("vectors.json", append(b, '\n'))
}

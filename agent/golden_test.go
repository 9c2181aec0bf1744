package agent_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"farshore/agent"
	"farshore/agent/vault"
	"farshore/agent/verify"
	"farshore/crypto/seal"
	"farshore/crypto/sign"
	"farshore/providers"
	"farshore/providers/mem"
)

// golden is a vault as version 1 of the format was first written. It is never made anew for this version: what it holds must be readable for ever. (FARSHORE_GOLDEN=DIR writes
// one of the present version, for the day on which there is another.)
const golden = "../testdata/golden/v1"

// goldenItem is a line of items.ndjson: what a commit's snapshot has.
type goldenItem struct {
	Commit int64  `json:"commit"`
	Path   string `json:"path64"`
	SHA256 string `json:"sha256"`
}

func TestGoldenVault(t *testing.T) {
	if dir := os.Getenv("FARSHORE_GOLDEN"); dir != "" {
		writeGolden(t, dir)
		return
	}
	d := loadVault(t, filepath.Join(golden, "vault"))
	key, err := os.Open(filepath.Join(golden, "recovery.key"))
	must(t, err)
	defer key.Close()
	ids, err := seal.ParseIdentities(key)
	must(t, err)
	owner, err := os.ReadFile(filepath.Join(golden, "owner.pub"))
	must(t, err)
	pub, err := sign.ParsePublic(string(owner))
	must(t, err)
	v, err := vault.Open(context.Background(), providers.New(d, providers.Options{}), vault.Options{Owner: &pub, Identities: ids})
	must(t, err)
	res, err := verify.Full(context.Background(), v, verify.Options{Items: true})
	must(t, err)
	if !res.OK() || res.Items == 0 {
		t.Fatalf("%+v", res)
	}
	r := &rig{t: t}
	chain := r.chain(v)
	for number, want := range goldenItems(t) {
		got := map[string]string{}
		for path, content := range r.contents(v, chain.Number(number)) {
			sum := sha256.Sum256(content)
			got[path] = hex.EncodeToString(sum[:])
		}
		if len(got) != len(want) {
			t.Errorf("commit %d has %d items, want %d", number, len(got), len(want))
		}
		for path, sum := range want {
			if got[path] != sum {
				t.Errorf("commit %d, %q: SHA-256 %s, want %s", number, path, got[path], sum)
			}
		}
	}
}

func goldenItems(t *testing.T) map[int64]map[string]string {
	t.Helper()
	f, err := os.Open(filepath.Join(golden, "items.ndjson"))
	must(t, err)
	defer f.Close()
	out := map[int64]map[string]string{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var it goldenItem
		must(t, json.Unmarshal(lines.Bytes(), &it))
		path, err := base64.StdEncoding.DecodeString(it.Path)
		must(t, err)
		if out[it.Commit] == nil {
			out[it.Commit] = map[string]string{}
		}
		out[it.Commit][string(path)] = it.SHA256
	}
	if len(out) < 2 {
		t.Fatalf("items.ndjson has %d commits", len(out))
	}
	return out
}

// loadVault reads a directory into a vault in memory, so that nothing is ever written to it.
func loadVault(t *testing.T, dir string) *mem.Driver {
	t.Helper()
	d := mem.New()
	must(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		d.Set(filepath.ToSlash(name), b)
		return err
	}))
	return d
}

// writeGolden makes a small vault with what the format has: deduplicated and compressed content, several frames, names that are no text, changes and
// deletions over three passes.
func writeGolden(t *testing.T, dir string) {
	t.Helper()
	d := mem.New()
	r, src := newHybridRig(t, d), newFakeSource()
	src.put("empty", nil)
	src.put("text", words(1, 40_000))
	src.put("random", noise(1, 30_000))
	src.put("same as random", noise(1, 30_000))
	src.put("\xff\xfe", []byte("not UTF-8"))
	src.put("a//b/../c\n", []byte("odd"))
	src.put("", []byte("the key is the prefix"))
	src.put("large", words(2, 1_300_000)[:1_300_000])
	r.mustReplicate(src, agent.Options{})
	src.put("text", words(3, 40_000))
	src.del("empty")
	r.mustReplicate(src, agent.Options{})
	src.put("late", []byte("late"))
	r.mustReplicate(src, agent.Options{})

	items, err := os.Create(filepath.Join(dir, "items.ndjson"))
	must(t, err)
	v := r.open()
	for _, c := range r.chain(v).Commits[1:] {
		for path, content := range r.contents(v, c) {
			sum := sha256.Sum256(content)
			b, err := json.Marshal(goldenItem{c.Seq, base64.StdEncoding.EncodeToString([]byte(path)), hex.EncodeToString(sum[:])})
			must(t, err)
			_, err = items.Write(append(b, '\n'))
			must(t, err)
		}
	}
	must(t, items.Close())
	for name, b := range d.Objects() {
		path := filepath.Join(dir, "vault", filepath.FromSlash(name))
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, b, 0o644))
	}
	must(t, os.WriteFile(filepath.Join(dir, "recovery.key"), []byte("# the recovery key of a vault for tests: it protects nothing\n"+r.recoveryText+"\n"), 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "owner.pub"), []byte(r.owner.Public().String()), 0o644))
}

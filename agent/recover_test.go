package agent_test

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"farshore/agent"
	"farshore/crypto/keyring"
	"farshore/providers/file"
	"farshore/providers/servers"
)

// recoverScript is the first script of docs/recover.md.
func recoverScript(t *testing.T) string { return recoverScripts(t)[0] }

// recoverScripts are the scripts of docs/recover.md.
func recoverScripts(t *testing.T) []string {
	t.Helper()
	doc, err := os.ReadFile("../docs/recover.md")
	if err != nil {
		t.Fatal(err)
	}
	var scripts []string
	rest := string(doc)
	for {
		_, after, ok := strings.Cut(rest, "```sh\n")
		if !ok {
			break
		}
		script, behind, ok := strings.Cut(after, "\n```\n")
		if !ok {
			t.Fatal("a script of docs/recover.md has no end")
		}
		if n := strings.Count(script, "\n") + 1; n > 80 {
			t.Errorf("script %d has %d lines, at most 80 are allowed", len(scripts)+1, n)
		}
		scripts, rest = append(scripts, script), behind
	}
	if len(scripts) != 2 {
		t.Fatalf("docs/recover.md has %d scripts", len(scripts))
	}
	return scripts
}

// ageCommand builds the age program of the module that farshore itself uses: it knows post-quantum keys, which older packages do not.
func ageCommand(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "age")
	out, err := exec.Command("go", "build", "-o", bin, "filippo.io/age/cmd/age").CombinedOutput()
	if err != nil {
		t.Fatalf("build age: %v\n%s", err, out)
	}
	return filepath.Dir(bin)
}

func TestRecoverScript(t *testing.T) {
	for _, tool := range []string{"jq", "zstd", "sha256sum"} {
		if _, err := exec.LookPath(tool); err != nil {
			servers.Missing(t, tool, "apt-get install jq zstd coreutils")
		}
	}
	dir := t.TempDir()
	d, err := file.New(filepath.Join(dir, "vault"), file.CreateDir())
	if err != nil {
		t.Fatal(err)
	}
	r, src := newHybridRig(t, d), newFakeSource()
	for i := range 40 {
		src.put(fmt.Sprintf("logs/%03d.txt", i), words(uint64(i), 2000))
	}
	src.put("large", noise(1, 6<<20))
	src.put("copy of large", noise(1, 6<<20))
	src.put("empty", nil)
	for _, odd := range []string{"../out", "/abs", "a//b", "a/./b", "dir/", "new\nline", "quote'\" $(touch x)", "\xff\x80", "back\\slash", "-n", " lead", "trail ", "ü/Ω", "_odd/1", "a", "a/b", "tab\there"} {
		src.put(odd, []byte("content of "+odd))
	}
	r.mustReplicate(src, agent.Options{})
	first := src.copy()
	src.put("logs/003.txt", []byte("changed"))
	src.del("logs/004.txt")
	src.put("\xff\x81", []byte("late"))
	r.mustReplicate(src, agent.Options{})
	src.put("logs/005.txt", []byte("changed again"))
	r.mustReplicate(src, agent.Options{})
	last := src.copy()

	script := filepath.Join(dir, "recover.sh")
	keyFile := filepath.Join(dir, "recovery.key")
	must(t, os.WriteFile(script, []byte(recoverScript(t)), 0o600))
	must(t, keyring.WriteRecovery(keyFile, r.recoveryText, r.id, r.owner.Public().String()))
	path := ageCommand(t) + ":" + os.Getenv("PATH")
	run := func(args ...string) (string, error) {
		cmd := exec.Command("sh", append([]string{script, filepath.Join(dir, "vault"), keyFile}, args...)...)
		cmd.Env = append(os.Environ(), "PATH="+path)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	out, err := run()
	if err != nil || !strings.Contains(out, "fake") {
		t.Fatalf("listing: %v\n%s", err, out)
	}
	chain := r.chain(r.open()).ID
	for _, c := range []struct {
		number string
		want   map[string][]byte
	}{{"2", first}, {"", last}} {
		to := filepath.Join(dir, "out"+c.number)
		if out, err := run(to, chain, c.number); err != nil {
			t.Fatalf("commit %q: %v\n%s", c.number, err, out)
		}
		diff(t, "commit "+c.number, recovered(t, to), c.want)
	}
	damageOnePack(t, filepath.Join(dir, "vault"))
	if out, err := run(filepath.Join(dir, "bad"), chain); err == nil || !strings.Contains(out, "damaged") {
		t.Errorf("a damaged pack: %v\n%s", err, out)
	}
}

// recovered reads what the script restored, by the records that it wrote down.
func recovered(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, "_records.ndjson"))
	must(t, err)
	defer f.Close()
	out := map[string][]byte{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var rec struct{ Path, Path64, File string }
		must(t, json.Unmarshal(lines.Bytes(), &rec))
		if rec.Path64 != "" {
			b, err := base64.StdEncoding.DecodeString(rec.Path64)
			must(t, err)
			rec.Path = string(b)
		}
		if out[rec.Path], err = os.ReadFile(filepath.Join(dir, rec.File)); err != nil {
			t.Error(err)
		}
		if out[rec.Path] == nil {
			out[rec.Path] = []byte{}
		}
	}
	must(t, lines.Err())
	return out
}

func damageOnePack(t *testing.T, vault string) {
	t.Helper()
	packs, err := filepath.Glob(filepath.Join(vault, "packs/*/*"))
	if err != nil || len(packs) == 0 {
		t.Fatal(err, packs)
	}
	b, err := os.ReadFile(packs[0])
	must(t, err)
	b[len(b)/2] ^= 1
	must(t, os.Chmod(packs[0], 0o600))
	must(t, os.WriteFile(packs[0], b, 0o600))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

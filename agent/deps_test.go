package agent_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// rooms says what each room of the house may import of the others: the longest prefix of a package's path counts. A room that is not named here does not
// exist. Test files may import anything.
var rooms = map[string][]string{
	"cmd":                        {"agent", "agent/audit", "agent/config", "agent/daemon", "agent/drill", "agent/metrics", "agent/notify", "agent/policy", "agent/probe", "agent/record", "agent/repo", "agent/report", "agent/restore", "agent/sidefile", "agent/source", "agent/tripwire", "agent/units", "agent/vault", "agent/verify", "crypto", "providers", "systemd"},
	"agent":                      {"agent/internal/state", "agent/record", "agent/source", "agent/tripwire", "agent/vault", "crypto/sign", "providers"},
	"agent/audit":                {"agent/record", "agent/report", "agent/source", "agent/units", "agent/vault", "agent/verify", "crypto/sign", "providers"},
	"agent/bench":                {},
	"agent/plot":                 {},
	"agent/chunk":                {},
	"agent/pack":                 {},
	"agent/record":               {"agent/record/jsontext"},
	"agent/record/jsontext":      {},
	"agent/config":               {"agent/daemon/schedule", "agent/record", "agent/tripwire", "crypto", "providers/s3/s3client"},
	"agent/daemon":               {"agent/daemon/history", "agent/daemon/schedule", "agent/units"},
	"agent/daemon/control":       {"agent/daemon", "agent/sidefile", "agent/units"},
	"agent/daemon/history":       {"agent/sidefile"},
	"agent/daemon/schedule":      {},
	"agent/daemon/supervisor":    {"agent/units"},
	"agent/daemon/web":           {"agent/plot", "agent/daemon", "agent/metrics", "agent/units"},
	"agent/internal/state":       {"agent/record", "agent/sidefile"},
	"agent/internal/small":       {"agent/record", "agent/source"},                       // for tests only
	"agent/internal/vast":        {"agent/record", "agent/vault", "crypto", "providers"}, // for tests only
	"agent/drill":                {"agent/record", "agent/report", "agent/vault", "crypto", "providers"},
	"agent/intruder":             {}, // tests only
	"agent/metrics":              {"agent/report", "agent/sidefile"},
	"agent/notify":               {"agent/sidefile"},
	"agent/policy":               {},
	"agent/probe":                {"agent/probe", "agent/record", "providers"},
	"agent/report":               {"agent/record", "agent/units", "agent/vault", "crypto/seal", "crypto/sign", "providers"},
	"agent/report/page":          {"agent/plot", "agent/record", "agent/report", "agent/units"},
	"agent/repo":                 {"agent/record/jsontext", "agent/repo"},
	"agent/repo/gitserver":       {"agent/repo", "providers/servers"}, // for tests only
	"agent/repo/svntest":         {"agent/repo", "providers/servers"}, // for tests only
	"agent/sidefile":             {},
	"agent/source":               {"agent/record", "agent/repo", "agent/source"},
	"agent/tripwire":             {"agent/record", "agent/repo/refs"},
	"agent/units":                {},
	"agent/vault":                {"agent/chunk", "agent/internal/state", "agent/pack", "agent/record", "crypto", "providers"},
	"agent/verify":               {"agent/record", "agent/repo", "agent/vault", "agent/verify/repos", "providers"},
	"agent/verify/bound":         {"agent/report"},
	"agent/verify/census":        {"agent/record", "agent/repo/tempdir", "agent/report", "agent/vault", "providers"},
	"agent/verify/draw":          {"agent/record", "agent/report", "agent/verify/census"},
	"agent/verify/impact":        {"agent/record", "agent/report", "agent/source", "agent/vault", "agent/verify/live", "providers"},
	"agent/verify/internal/rig":  {"agent", "crypto", "providers"}, // for tests only
	"agent/verify/items":         {"agent/record", "agent/repo", "agent/repo/tempdir", "agent/report", "agent/source", "agent/vault", "agent/verify/live", "agent/verify/repos", "providers"},
	"agent/verify/live":          {"agent/record", "agent/source", "agent/verify/repos"},
	"agent/verify/repos":         {"agent/record", "agent/repo", "agent/restore/gitrepo", "agent/restore/svnrepo", "agent/vault", "providers"},
	"agent/restore":              {"agent/record", "agent/repo", "agent/restore", "agent/vault"},
	"agent/restore/internal/rig": {"agent", "crypto", "providers"}, // for tests only
	"crypto/digest":              {},
	"crypto/seal":                {},
	"crypto/sign":                {},
	"crypto/keyring":             {"crypto/seal", "crypto/sign"},
	"providers":                  {"providers"},
	"systemd":                    {},
	"systemd/setup":              {"systemd"},
}

// clouds are the only rooms that may name a cloud's package; cmd puts them together.
var clouds = []string{"cmd", "agent/probe", "providers/s3", "providers/gcs", "providers/rclone", "providers/servers", "agent/source/bucket", "agent/restore/s3target", "agent/restore/gcstarget"}

var cloudPackages = []string{"github.com/aws/", "cloud.google.com/", "google.golang.org/api", "github.com/rclone/"}

// TestImports parses every file of the product and holds its imports to the plan of the house. It reads the files itself: the answer of a program that is
// asked would be cached.
func TestImports(t *testing.T) {
	files := 0
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && d.Name() != ".." || d.Name() == "testdata") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		files++
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		pkg := filepath.ToSlash(strings.TrimPrefix(filepath.Dir(path), "../"))
		for _, spec := range f.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			checkImport(t, path, pkg, imported)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 100 {
		t.Fatalf("only %d files were seen: this test looks in the wrong place", files)
	}
}

func checkImport(t *testing.T, path, pkg, imported string) {
	t.Helper()
	for _, c := range cloudPackages {
		if strings.HasPrefix(imported, c) && !below(pkg, clouds) {
			t.Errorf("%s imports %s: a cloud's package is named only where it is wired", path, imported)
		}
	}
	own, ok := strings.CutPrefix(imported, "farshore/")
	if !ok {
		return
	}
	room := ""
	for r := range rooms {
		if below(pkg, []string{r}) && len(r) > len(room) {
			room = r
		}
	}
	if room == "" {
		t.Errorf("%s lies in no room of the house: name it in this test", path)
		return
	}
	if !below(own, rooms[room]) && !below(own, []string{pkg}) {
		t.Errorf("%s: %s may not import %s", path, room, own)
	}
}

// below reports whether the package is one of those named, or lies below one.
func below(pkg string, named []string) bool {
	for _, n := range named {
		if pkg == n || strings.HasPrefix(pkg, n+"/") {
			return true
		}
	}
	return false
}

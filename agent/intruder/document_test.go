package intruder

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestThreatModel holds that each test that docs/threat-model.md names exists where it says, and that the document names each test of this suite.
func TestThreatModel(t *testing.T) {
	const root = "../.."
	text, err := os.ReadFile(filepath.Join(root, "docs", "threat-model.md"))
	must(t, err)
	named := map[string]bool{}
	for _, m := range regexp.MustCompile("`(?:([a-z0-9/]+)\\.)?(Test[A-Za-z0-9]+)`").FindAllStringSubmatch(string(text), -1) {
		pkg := m[1]
		if pkg == "" {
			pkg = "agent/intruder"
		}
		named[pkg+"."+m[2]] = true
	}
	if len(named) < 20 {
		t.Fatalf("only %d tests are named: this test reads the document wrongly", len(named))
	}
	have := testsBelow(t, root)
	for name := range named {
		if !have[name] {
			t.Errorf("the document names %s, which does not exist", name)
		}
	}
	for name := range have {
		if strings.HasPrefix(name, "agent/intruder.") && !named[name] {
			t.Errorf("the document does not name %s", name)
		}
	}
}

// testsBelow parses all test files and returns their test functions as "folder.Name".
func testsBelow(t *testing.T, root string) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	must(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		folder, err := filepath.Rel(root, filepath.Dir(path))
		for _, decl := range f.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil && strings.HasPrefix(fn.Name.Name, "Test") {
				out[filepath.ToSlash(folder)+"."+fn.Name.Name] = true
			}
		}
		return err
	}))
	return out
}

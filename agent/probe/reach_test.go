package probe_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// deadly are the calls by which something stored is deleted, replaced or loosened. Those of S3 have names that nothing else has, and count wherever they stand; the
// others count in files that import the package that has them.
var deadly = []struct {
	imported string // by the file; "" for any
	names    []string
	prefixes []string
}{
	{"", []string{"CopyObject", "RenameObject", "UploadPartCopy", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "CreateBucket"},
		[]string{"DeleteObject", "DeleteBucket", "DeletePublicAccessBlock", "PutObject", "PutBucket", "PutPublicAccessBlock"}},
	{"cloud.google.com/go/storage", []string{"Delete", "Update", "CopierFrom", "ComposerFrom", "LockRetentionPolicy", "OverrideUnlockedRetention", "Set", "SetPolicy", "Move"}, nil},
	{"google.golang.org/api", []string{"Delete", "Update", "Patch", "Rewrite", "Compose", "LockRetentionPolicy", "SetIamPolicy"}, nil},
	{"github.com/rclone/rclone", []string{"Remove", "Purge", "Rmdir", "Rmdirs", "Move", "MoveFile", "DirMove", "Update", "SetModTime", "SetTier", "CleanUp", "Delete", "DeleteFile", "DeleteFiles", "Copy", "CopyFile", "Command"}, nil},
	{"github.com/pkg/sftp", []string{"Remove", "RemoveAll", "RemoveDirectory", "Rename", "PosixRename", "Truncate", "Chmod", "OpenFile"}, nil},
}

// files are the calls of this machine's own files. They count in what stores a vault, providers, and nowhere else: the agent's temporary files and its local
// state are its own.
var files = []string{"Remove", "RemoveAll", "Truncate", "Rename", "Chmod", "Unlink", "Unlinkat", "Rmdir", "Renameat", "Renameat2"}

// exception is a place outside agent/probe that may make such calls, and why.
type exception struct {
	place string   // a file, or a folder with a final slash
	names []string // nil for any
	why   string
}

// excepted are all of them. One that nothing makes use of is an error too: it must not outlive its reason.
var excepted = []exception{
	{"providers/s3/s3.go", []string{"PutObject"}, "creates an object, under If-None-Match: *"},
	{"providers/s3/s3bucket/", []string{"CreateBucket", "PutObjectLockConfiguration", "PutPublicAccessBlock", "PutBucketOwnershipControls"}, "makes a bucket that was not there, for an administrator"},
	{"providers/file/file.go", []string{"Remove"}, "removes its own temporary files, which have no name of the vault"},
	{"providers/file/sys.go", []string{"Renameat2"}, "gives a temporary file its name, and refuses one that is taken"},
	{"providers/rclone/create.go", []string{"Move", "Remove"}, "gives its own temporary object a name that is not taken, and removes it where that failed"},
	{"providers/mem/versioned.go", []string{"Remove"}, "plays tampering, in a store that is for tests alone"},
	{"providers/servers/", nil, "is for tests alone"},
	{"agent/restore/s3target/", []string{"PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"}, "writes to the bucket that a restore is told to fill"},
	{"cmd/farshore/demo_cloud.go", []string{"PutObject", "DeleteObject", "CreateBucket"}, "plays the source in the demonstration, in memory"},
}

// TestReach parses every file of the product and holds that nothing outside the probe calls what destroys, apart from the exceptions by name. It reads the files
// itself, so that the answer is not a remembered one.
func TestReach(t *testing.T) {
	used, seen := map[string]bool{}, 0
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		rel := filepath.ToSlash(strings.TrimPrefix(path, root+string(filepath.Separator)))
		switch {
		case err != nil:
			return err
		case d.IsDir() && (rel == "agent/probe" || d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && len(d.Name()) > 2):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		seen++
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, name := range calls(f, strings.HasPrefix(rel, "providers/")) {
			i := slices.IndexFunc(excepted, func(e exception) bool {
				return strings.HasPrefix(rel, e.place) && (e.names == nil || slices.Contains(e.names, name))
			})
			if i < 0 {
				t.Errorf("%s calls %s: only the probe may try that, and only on canaries", rel, name)
				continue
			}
			used[excepted[i].place+name] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 200 {
		t.Fatalf("only %d files were seen: this test looks in the wrong place", seen)
	}
	for _, e := range excepted {
		for _, name := range e.names {
			if !used[e.place+name] {
				t.Errorf("%s no longer calls %s: take the exception away", e.place, name)
			}
		}
	}
}

// calls returns the deadly calls of a file, each once. What is only named, and handed on as a value, counts as well.
func calls(f *ast.File, stores bool) []string {
	var names, prefixes []string
	for _, d := range deadly {
		if d.imported == "" || slices.ContainsFunc(f.Imports, func(i *ast.ImportSpec) bool {
			path, err := strconv.Unquote(i.Path.Value)
			return err == nil && (path == d.imported || strings.HasPrefix(path, d.imported+"/"))
		}) {
			names, prefixes = append(names, d.names...), append(prefixes, d.prefixes...)
		}
	}
	if stores {
		names = append(names, files...)
	}
	var out []string
	add := func(name string) {
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			name := n.Sel.Name
			if x, ok := n.X.(*ast.Ident); ok && (x.Name == "maps" || x.Name == "io") {
				return true // the standard library's, of the same name
			}
			if name == "MethodDelete" || !strings.HasSuffix(name, "Input") && !strings.HasSuffix(name, "Output") && (slices.Contains(names, name) || slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) })) {
				add(name)
			}
		case *ast.BasicLit:
			if n.Value == `"DELETE"` {
				add("DELETE")
			}
		}
		return true
	})
	return out
}

// TestCalls holds that calls sees what it is there for.
func TestCalls(t *testing.T) {
	for source, want := range map[string]string{
		`package p; func f(c X) { c.DeleteObjects(nil) }`:                                                  "DeleteObjects",
		`package p; func f(c X) { g := c.PutBucketLifecycleConfiguration; g() }`:                           "PutBucketLifecycleConfiguration",
		`package p; func f(c X) { c.PutObjectRetention(nil) }`:                                             "PutObjectRetention",
		`package p; import "cloud.google.com/go/storage"; func f(o *storage.ObjectHandle) { o.Delete(x) }`: "Delete",
		`package p; import "github.com/rclone/rclone/fs"; func f(o fs.Object) { o.Remove(x) }`:             "Remove",
		`package p; import "github.com/rclone/rclone/fs/operations"; var f = operations.Purge`:             "Purge",
		`package p; import "net/http"; var m = http.MethodDelete`:                                          "MethodDelete",
		`package p; var m = "DELETE"`:                                                                      "DELETE",
		`package p; import "os"; func f() { os.Remove("x") }`:                                              "Remove",
		`package p; func f(b Batch, in s3.DeleteObjectInput) { b.Delete(nil) }`:                            "",
		`package p; import "maps"; var f = maps.Copy`:                                                      "",
	} {
		f, err := parser.ParseFile(token.NewFileSet(), "p.go", source, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(calls(f, true), " "); got != want {
			t.Errorf("%s: %q, want %q", source, got, want)
		}
	}
}

package config

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// TestEditRepositories adds a source of repositories and changes it, and expects what was said in the file, and nothing else changed.
func TestEditRepositories(t *testing.T) {
	path := filepath.Join(t.TempDir(), "farshore.yaml")
	if err := os.WriteFile(path, readFile(t, filepath.Join(goodFiles, "example.yaml")), 0o600); err != nil {
		t.Fatal(err)
	}
	s := Source{
		Name: "svn", URL: "svn+https://svn.example.net", Repositories: []string{"a", "b/c d"}, Username: "me", PasswordFile: "token", Accept: []string{"vanished"},
	}
	if err := AddSource(path, s); err != nil {
		t.Fatal(err)
	}
	for i, change := range []func(*Source){
		func(*Source) {},
		func(s *Source) { s.Repositories = append(s.Repositories, "third") },
		func(s *Source) { s.Username, s.PasswordFile = "you", "other token" },
		func(s *Source) { s.Repositories, s.URL = nil, "svn+https://svn.example.net/one" },
		func(s *Source) { s.Repositories = []string{"x"} },
	} {
		if err := SetSource(path, "svn", func(s *Source) error { change(s); return nil }); err != nil {
			t.Fatalf("change %d: %v", i, err)
		}
		change(&s)
		c, err := Load(path)
		if err != nil {
			t.Fatalf("change %d: %v", i, err)
		}
		got := *c.Source("svn")
		got.Repositories = orNil(got.Repositories)
		if !reflect.DeepEqual(got, s) {
			t.Errorf("change %d: got %+v, want %+v", i, got, s)
		}
		if other := c.Source("code"); other == nil || len(other.Repositories) != 2 {
			t.Errorf("change %d: another source is %+v", i, other)
		}
		where, err := c.secretPath(c.PasswordOf(&got), os.Getenv)
		if want := filepath.Join(filepath.Dir(path), s.PasswordFile); err != nil || where != want {
			t.Errorf("change %d: password in %s, %v, not %s", i, where, err, want)
		}
	}
}

func TestRepositoryKind(t *testing.T) {
	for url, want := range map[string]string{
		"git+file:///srv/git": "git", "git+ssh://h/p": "git", "git://h/p": "git", "svn://h/p": "svn", "svn+file:///srv": "svn", "s3://b": "", "github://x": "", "svnfile:///": "",
	} {
		if got := (&Source{URL: url}).RepositoryKind(); got != want {
			t.Errorf("%s: %q, not %q", url, got, want)
		}
	}
}

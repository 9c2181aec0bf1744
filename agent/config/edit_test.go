package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// head stands before the sources in the tests of editing.
const head = `# mine
vault: file:///srv/vault # the vault
owner: ed25519:O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik
recipients: [age1vfj6dgw3lpqltdh2wrmzp0v4tsfnt336m39j8ngmp0lypfssaceqc5kp25]
`

var (
	add = func(s Source) func(string) error {
		return func(path string) error { return AddSource(path, s) }
	}
	set = func(name string, change func(*Source)) func(string) error {
		return func(path string) error {
			return SetSource(path, name, func(s *Source) error { change(s); return nil })
		}
	}
	remove = func(name string) func(string) error {
		return func(path string) error { return RemoveSource(path, name) }
	}
	plain = Source{Name: "new", URL: "s3://new/"}
	full  = Source{Name: "new", URL: "s3://new/?profile=p", Include: []string{"a/", "*.b"}, Exclude: []string{"c: d"}, Accept: []string{"archived"}, Limits: Limits{Upload: 1 << 20, Requests: 5}, Schedule: "*/5 * * * *", Jitter: "10s"}
)

const two = `sources: # what
  # the first
  - name: a # one
    url: s3://a/ # here
    exclude: [x, y] # not these

  # the second
  # of two
  - name: b
    # where it is
    url: s3://b/
    include:
      # pictures
      - p/ # all
      - q/
    limits:
      upload: 1MiB/s # slow
      requests: 7
# the end
state: s
# really
`

func TestEdit(t *testing.T) {
	tests := []struct {
		name   string
		before string
		do     func(path string) error
		after  string
	}{
		{"add without sources", "", add(plain), "\nsources:\n  - name: new\n    url: s3://new/\n"},
		{"add to nothing", "sources:\nstate: s\n", add(plain), "sources:\n  - name: new\n    url: s3://new/\nstate: s\n"},
		{"add to a comment", "sources: # none\n", add(plain), "sources: # none\n  - name: new\n    url: s3://new/\n"},
		{"add to []", "sources: []  # none\n# end\n", add(plain), "sources:  # none\n  - name: new\n    url: s3://new/\n# end\n"},
		{"add to ~", "sources: ~", add(plain), "sources:\n  - name: new\n    url: s3://new/"},
		{"add all keys", "sources: []\n", add(full), `sources:
  - name: new
    url: s3://new/?profile=p
    include:
      - a/
      - '*.b'
    exclude:
      - 'c: d'
    accept:
      - archived
    schedule: '*/5 * * * *'
    jitter: 10s
    limits:
      upload: 1MiB/s
      requests: 5
`},
		{"add to two", two, add(plain), strings.Replace(two, "requests: 7\n", "requests: 7\n  - name: new\n    url: s3://new/\n", 1)},
		{"add to unindented", "sources:\n- name: a\n  url: s3://a/\n\n# end", add(plain), "sources:\n- name: a\n  url: s3://a/\n- name: new\n  url: s3://new/\n\n# end"},
		{"add to the last line", "sources:\n- name: a\n  url: s3://a/", add(plain), "sources:\n- name: a\n  url: s3://a/\n- name: new\n  url: s3://new/"},
		{"add with CRLF", "sources:\r\n- name: a\r\n  url: s3://a/\r\n", add(plain), "sources:\r\n- name: a\r\n  url: s3://a/\r\n- name: new\r\n  url: s3://new/\r\n"},
		{"remove the first", two, remove("a"), strings.Replace(two, "  - name: a # one\n    url: s3://a/ # here\n    exclude: [x, y] # not these\n", "", 1)},
		{"remove the second", two, remove("b"), two[:strings.Index(two, "  # the second")] + two[strings.Index(two, "# the end"):]},
		{"remove the only one", "sources: # s\n- name: a\n  url: s3://a/\n# end\n", remove("a"), "sources: [] # s\n# end\n"},
		{"remove and keep one blank line", "sources:\n\n- name: a\n  url: s3://a/\n\n- name: b\n  url: s3://b/\n", remove("a"), "sources:\n\n- name: b\n  url: s3://b/\n"},
		{"remove with its dash above", "sources:\n  -\n    name: a\n    url: s3://a/\n  -\n    name: b\n    url: s3://b/\n", remove("b"), "sources:\n  -\n    name: a\n    url: s3://a/\n"},
		{"set a url", two, set("a", func(s *Source) { s.URL = "s3://elsewhere/?endpoint=http://127.0.0.1:9000" }), strings.Replace(two, "s3://a/", "s3://elsewhere/?endpoint=http://127.0.0.1:9000", 1)},
		{"set a new key", two, set("a", func(s *Source) { s.Accept = []string{"kms"} }), strings.Replace(two, "# here\n", "# here\n    accept:\n      - kms\n", 1)},
		{"set a list in brackets", two, set("a", func(s *Source) { s.Exclude = []string{"z"} }), strings.Replace(two, "exclude: [x, y] # not these", "exclude: # not these\n      - z", 1)},
		{"set a list and keep its comments", two, set("b", func(s *Source) { s.Include = append(s.Include, "r/") }), strings.Replace(two, "- q/\n", "- q/\n      - r/\n", 1)},
		{"set a list to nothing", two, set("a", func(s *Source) { s.Exclude = nil }), strings.Replace(two, "exclude: [x, y]", "exclude: []", 1)},
		{"set limits and keep their comments", two, set("b", func(s *Source) { s.Limits = Limits{Upload: 2 << 20, Download: 20e6} }), strings.Replace(two, "      upload: 1MiB/s # slow\n      requests: 7\n", "      upload: 2MiB/s # slow\n      download: 20MB/s\n", 1)},
		{"set limits to none", two, set("b", func(s *Source) { s.Limits = Limits{} }), strings.Replace(two, "limits:\n      upload: 1MiB/s # slow\n      requests: 7\n", "limits: {}\n", 1)},
		{"set many", two, set("b", func(s *Source) { s.URL, s.Include, s.Accept = "s3://c/", nil, []string{"kms", "denied"} }), strings.NewReplacer(
			"url: s3://b/\n", "url: s3://c/\n    accept:\n      - kms\n      - denied\n", "include:\n      # pictures\n      - p/ # all\n      - q/\n", "include: []\n").Replace(two)},
		{"set a schedule", two, set("a", func(s *Source) { s.Schedule, s.Jitter = "17  3 * * *", "0" }), strings.Replace(two, "# here\n", "# here\n    jitter: 0s\n    schedule: 17 3 * * *\n", 1)},
		{"set a schedule to none", "sources:\n- name: a\n  schedule: off # never\n  url: s3://a/\n", set("a", func(s *Source) { s.Schedule = "" }), "sources:\n- name: a\n  url: s3://a/\n"},
		{"set the last key to none", "sources:\n- name: a\n  url: s3://a/\n  jitter: 5m\n# end\n", set("a", func(s *Source) { s.Jitter = "" }), "sources:\n- name: a\n  url: s3://a/\n# end\n"},
		{"set a password", "sources:\n- name: a\n  url: svn+https://a.example.net/\n  username: me\n  password_file: p # here\n", set("a", func(s *Source) { s.PasswordFile, s.Password = "", "credential:p" }),
			"sources:\n- name: a\n  url: svn+https://a.example.net/\n  password: credential:p\n  username: me\n"},
		{"set a credential", "sources:\n- name: a\n  url: svn+https://a.example.net/\n", set("a", func(s *Source) { s.Username, s.PasswordFile = "me", "p" }),
			"sources:\n- name: a\n  url: svn+https://a.example.net/\n  password_file: p\n  username: me\n"},
		{"set a credential to none", "sources:\n- name: a\n  url: svn+https://a.example.net/\n  password_file: p\n  username: me\n", set("a", func(s *Source) { s.Username, s.PasswordFile = "", "" }),
			"sources:\n- name: a\n  url: svn+https://a.example.net/\n"},
		{"set the key beside the dash", "sources:\n- url: s3://a/\n  name: a\n", set("a", func(s *Source) { s.URL = "s3://b/" }), "sources:\n- url: s3://b/\n  name: a\n"},
		{"set nothing", two, set("a", func(*Source) {}), two},
		{"set behind wide characters", "sources:\n- name: a\n  exclude: ['äöü€'] # ß\n  url: s3://a/\n", set("a", func(s *Source) { s.Exclude = []string{"ä"} }), "sources:\n- name: a\n  exclude: # ß\n    - ä\n  url: s3://a/\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "farshore.yaml")
			write(t, path, head+tt.before)
			if err := os.Chmod(path, 0o640); err != nil {
				t.Fatal(err)
			}
			if err := tt.do(path); err != nil {
				t.Fatal(err)
			}
			if got := string(readFile(t, path)); got != head+tt.after {
				t.Errorf("got\n%s\nwant\n%s", got, head+tt.after)
			}
			info, err := os.Stat(path)
			if err != nil || info.Mode().Perm() != 0o640 {
				t.Errorf("mode is %v, %v", info.Mode(), err)
			}
			onlyFile(t, filepath.Dir(path))
		})
	}
}

// onlyFile holds a directory to one file: no temporary one is left.
func onlyFile(t *testing.T, dir string) {
	t.Helper()
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("the directory has %v, %v", entries, err)
	}
}

func TestEditRefuses(t *testing.T) {
	tests := []struct {
		name   string
		before string
		do     func(path string) error
		want   string
	}{
		{"a name that is taken", two, add(Source{Name: "a", URL: "s3://a/"}), `a source named "a" already`},
		{"a bad source", two, add(Source{Name: "A", URL: "x"}), `"A" is no name`},
		{"a bad url", two, set("a", func(s *Source) { s.URL = "s3://u:p@a/" }), "user name or password"},
		{"a new name", two, set("a", func(s *Source) { s.Name = "c" }), "can't be renamed"},
		{"an unknown source", two, remove("c"), `no source named "c"`},
		{"a mistyped source", "sources:\n- {name: shop, url: 's3://a/'}\n", remove("shpo"), `"shop" is meant`},
		{"a file with mistakes", "sauces: []\n", add(plain), `no key "sauces"`},
		{"brackets", "sources: [{name: a, url: 's3://a/'}]\n", add(plain), "by hand"},
		{"brackets", "sources: [{name: a, url: 's3://a/'}]\n", remove("a"), "by hand"},
		{"braces", "sources:\n- {name: a, url: 's3://a/'}\n", set("a", func(s *Source) { s.URL = "s3://b/" }), "by hand"},
		{"brackets below", "sources:\n  []\n", add(plain), "by hand"},
		{"brackets over lines", "sources: [ # none\n  ]\n", add(plain), "by hand"},
		{"a schedule beside the dash", "sources:\n- schedule: 1h\n  name: a\n  url: s3://a/\n", set("a", func(s *Source) { s.Schedule = "" }), "by hand"},
		{"a bad schedule", two, set("a", func(s *Source) { s.Schedule = "soon" }), "schedule: \"soon\" is no schedule"},
		{"a bad jitter", two, set("a", func(s *Source) { s.Jitter = "-1m" }), "jitter: \"-1m\" is no time"},
		{"a password in the open", two, set("a", func(s *Source) { s.Password = "swordfish" }), "a secret does not stand in this file"},
		{"two passwords", "sources:\n- name: a\n  url: svn+https://a.example.net/\n  password_file: p\n", set("a", func(s *Source) { s.Password = "env:P" }), "keep one of them"},
		{"a document's end", "sources:\n- name: a\n  url: s3://a/\n...\n", add(plain), "by hand"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "farshore.yaml")
			write(t, path, head+tt.before)
			if err := tt.do(path); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if got := string(readFile(t, path)); got != head+tt.before {
				t.Errorf("the file was changed:\n%s", got)
			}
			onlyFile(t, filepath.Dir(path))
		})
	}
}

func TestEditRefusesChangedFile(t *testing.T) {
	for name, meddle := range map[string]func(t *testing.T, path string){
		"written": func(t *testing.T, path string) { write(t, path, head+two+"# more\n") },
		"replaced": func(t *testing.T, path string) {
			write(t, path+".new", head+two)
			if err := os.Rename(path+".new", path); err != nil {
				t.Fatal(err)
			}
		},
		"removed": func(t *testing.T, path string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			write(t, path+".other", "")
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "farshore.yaml")
			write(t, path, head+two)
			var now string
			err := SetSource(path, "a", func(s *Source) error {
				meddle(t, path)
				if data, err := os.ReadFile(path); err == nil {
					now = string(data)
				}
				s.URL = "s3://b/"
				return nil
			})
			if err == nil {
				t.Fatal("a file that somebody else changed was replaced")
			}
			if data, err := os.ReadFile(path); err == nil && string(data) != now {
				t.Errorf("the file is now\n%s", data)
			}
			onlyFile(t, filepath.Dir(path))
		})
	}
}

func TestEditFollowsLink(t *testing.T) {
	dir := t.TempDir()
	real, link := filepath.Join(dir, "real", "f.yaml"), filepath.Join(dir, "f.yaml")
	write(t, real, head)
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	if err := AddSource(link, plain); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link is now %v, %v", info, err)
	}
	if c, err := Load(link); err != nil || len(c.Sources) != 1 {
		t.Errorf("loaded %+v, %v", c, err)
	}
}

func TestCreate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "farshore.yaml")
	want, err := Load(filepath.Join(goodFiles, "example.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	want.Keys, want.State = "/keys", "" // the default
	if err := Create(path, want); err != nil {
		t.Fatal(err)
	}
	got, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	want.Path, want.State = path, filepath.Join(filepath.Dir(path), "state")
	if !same(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	before := readFile(t, path)
	if err := Create(path, want); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second Create: %v", err)
	}
	if string(readFile(t, path)) != string(before) {
		t.Error("a second Create changed the file")
	}
	onlyFile(t, filepath.Dir(path))
	if err := RemoveSource(path, "shop"); err != nil {
		t.Error(err)
	}
	if err := AddSource(path, plain); err != nil {
		t.Error(err)
	}
	if err := Create(filepath.Join(t.TempDir(), "f"), &Config{}); err == nil {
		t.Error("an empty configuration was written")
	}
}

// FuzzEdit edits any valid configuration: what check accepts must mean what was meant, and nothing may panic.
func FuzzEdit(f *testing.F) {
	f.Add([]byte(head + two))
	f.Add([]byte(head + "sources: []  # none\n# end\n"))
	f.Add([]byte(head + "sources:\r\n-\r\n  name: a\r\n  url: s3://a/\r\n"))
	f.Add([]byte("{" + strings.ReplaceAll(strings.TrimPrefix(head, "# mine\n"), "\n", ",\n") + "sources: [{name: a, url: s3://a/}]}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for i, change := range []func(*file) error{
			func(f *file) error {
				f.config.Sources = append(f.config.Sources, full)
				return f.add(full)
			},
			func(f *file) error {
				f.config.Sources = f.config.Sources[1:]
				return f.remove(0)
			},
			func(f *file) error {
				old := f.config.Sources[0]
				now := full
				now.Name = old.Name
				return f.set(&old, now)
			},
		} {
			f := &file{path: "/x/farshore.yaml"}
			if f.parse(data) != nil || i > 0 && len(f.config.Sources) == 0 || f.config.Source("new") != nil {
				return
			}
			if change(f) == nil && f.check() == nil {
				if c, err := Parse(f.path, f.text.data); err != nil || !same(c, f.config) {
					t.Fatalf("%v\n%s", err, f.text.data)
				}
			}
		}
	})
}

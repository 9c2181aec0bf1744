package config

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files anew")

const (
	goodFiles = "../../testdata/config/good"
	badFiles  = "../../testdata/config/bad"
)

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestExample loads the file that documents every key, and holds it to have every key.
func TestExample(t *testing.T) {
	got, err := Load(filepath.Join(goodFiles, "example.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{
		Path: filepath.Join(goodFiles, "example.yaml"), Vault: "gs://example-offsite/vault", Owner: got.Owner, Recipients: got.Recipients,
		Keys: filepath.Join(goodFiles, "keys"), State: filepath.Join(goodFiles, "state"), Require: RequireAppendOnly,
		MinLockLeft: 30 * day, ReadBack: "10%",
		Limits:   Limits{Upload: 50 << 20, Download: 20e6, Requests: 200},
		Commit:   Commit{Every: 10 * time.Minute, Bytes: 8 << 30},
		Verify:   Verify{Bytes: 20 << 30, Duration: 2 * time.Hour, Share: 0.01, Coverage: 90 * day, Every: day, Schedule: "30 2 * * *", Scratch: "/var/tmp", Ping: "env:FARSHORE_AUDIT_PING"},
		Tripwire: Tripwire{"30%", "50%", "50%", "90%", "20%", "50%", "30%", On},
		Goals:    Goals{MaxAge: 26 * time.Hour, RecoveryTime: 8 * time.Hour},
		Schedule: "1h", Jitter: "2m", Timezone: "Europe/Berlin", Parallel: 2, Probe: Probe{Schedule: "23h"}, Socket: "/run/farshore/farshore.sock",
		Web: Web{Listen: "0.0.0.0:9277", Token: "credential:web-token", TLSCert: "web.pem", TLSKey: "file:keys/web.key", Hosts: []string{"farshore.example.net"}},
		Notify: []Channel{
			{Name: "ops", Kind: ChannelWebhook, URL: "file:ops.url", Secret: "file:ops.secret", On: []string{OnAlarm, OnFailure}},
			{Name: "mail", Kind: ChannelEmail, Server: "mail.example.net:587", From: "farshore@example.net", To: []string{"ops@example.net"}, Username: "farshore", Password: "env:FARSHORE_MAIL_PASSWORD", Names: true},
			{Name: "pager", Kind: ChannelService, URL: "credential:pager", On: []string{OnAlarm}},
		},
		Metrics: Metrics{"/var/lib/node_exporter/textfile/farshore.prom"},
		Sources: []Source{{
			Name: "shop", URL: "s3://example-shop/?region=eu-central-1&profile=shop-reader",
			Include: []string{"images/", "orders/*/invoice-????.pdf"}, Exclude: []string{"**.tmp", "images/cache/"},
			Accept: []string{"archived"}, Limits: Limits{Upload: 10 << 20, Download: 10 << 20, Requests: 50}, Schedule: "15m", Jitter: "30s",
			Goals: Goals{MaxAge: 2 * time.Hour, RecoveryTime: 4 * time.Hour}, Tripwire: Tripwire{Deleted: "60%", Policy: Off}, Ping: "file:keys/shop.ping",
		}, {
			Name: "logs", URL: "s3://example-logs/2026/?endpoint=https://storage.example.net:9000&path_style=true",
		}, {
			Name: "code", URL: "git+https://git.example.net/team", Repositories: []string{"app.git", "tools/deploy.git"},
			Username: "reader", PasswordFile: "keys/code.token", Schedule: "17 3 * * *", Accept: []string{"vanished"},
		}, {
			Name: "wiki", URL: "svn+https://svn.example.net/wiki", Username: "reader", Password: "credential:wiki-password", Schedule: Off,
		}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	data := string(readFile(t, filepath.Join(goodFiles, "example.yaml")))
	for _, key := range everyKey((&parser{}).topFields(&Config{})) {
		if !strings.Contains(data, " "+key+":") && !strings.Contains(data, "\n"+key+":") {
			t.Errorf("example.yaml does not show the key %s", key)
		}
	}
	for _, reason := range Reasons() {
		if !strings.Contains(data, reason) {
			t.Errorf("example.yaml does not name the reason %s", reason)
		}
	}
}

// everyKey lists the keys of fields and of what is below them.
func everyKey(fields []field) []string {
	out := keys(fields)
	for _, f := range fields {
		out = append(out, everyKey(f.shape.fields)...)
		if f.shape.item != nil {
			out = append(out, everyKey(f.shape.item.fields)...)
		}
	}
	return out
}

func TestGood(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(goodFiles, "*.yaml"))
	if err != nil || len(files) < 3 {
		t.Fatal(files, err)
	}
	for _, path := range files {
		c, err := Load(path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if c.Commit.Every == 0 || c.Commit.Bytes == 0 || c.Keys == "" || c.State == "" {
			t.Errorf("%s: defaults are missing: %+v", path, c)
		}
	}
}

// TestBad compares the problems of each bad file with those beside it.
func TestBad(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(badFiles, "*.yaml"))
	if err != nil || len(files) < 10 {
		t.Fatal(files, err)
	}
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			_, err := Parse(filepath.Base(path), readFile(t, path))
			var problems *Problems
			if !errors.As(err, &problems) {
				t.Fatalf("got %v, not *Problems", err)
			}
			golden := strings.TrimSuffix(path, ".yaml") + ".txt"
			got := err.Error() + "\n"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if want := string(readFile(t, golden)); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			for _, secret := range []string{"swordfish", "wJalr", "AKIA", "QQPQQ"} {
				if strings.Contains(got, secret) {
					t.Errorf("the errors repeat the secret %s…:\n%s", secret, got)
				}
			}
		})
	}
}

func TestPlaces(t *testing.T) {
	minimal := readFile(t, filepath.Join(goodFiles, "minimal.yaml"))
	tests := []struct{ path, more, keys, state string }{
		{"farshore.yaml", "", "keys", "state"},
		{"/home/u/f.yaml", "", "/home/u/keys", "/home/u/state"},
		{"/home/u/f.yaml", "keys: ../k\nstate: /var/s/\n", "/home/k", "/var/s"},
		{"/etc/farshore/farshore.yaml", "", "/etc/farshore/keys", "/var/lib/farshore"},
		{"/etc/farshore/farshore.yaml", "state: s\n", "/etc/farshore/keys", "/etc/farshore/s"},
	}
	for _, tt := range tests {
		c, err := Parse(tt.path, append(minimal[:len(minimal):len(minimal)], tt.more...))
		if err != nil {
			t.Fatal(err)
		}
		if c.Keys != tt.keys || c.State != tt.state {
			t.Errorf("%s with %q: keys %s and state %s, want %s and %s", tt.path, tt.more, c.Keys, c.State, tt.keys, tt.state)
		}
	}
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	home := filepath.Join(dir, "xdg", "farshore", "farshore.yaml")
	env := map[string]string{"XDG_CONFIG_HOME": filepath.Join(dir, "xdg")}
	getenv := func(k string) string { return env[k] }
	if os.Getenv("FARSHORE_CONFIG") == "" {
		var none *NotFound
		if p, err := Find("", getenv); !errors.As(err, &none) || len(none.Searched) != 3 {
			if p != "/etc/farshore/farshore.yaml" {
				t.Fatalf("found %q, %v", p, err)
			}
		}
	}
	steps := []struct {
		make func()
		flag string
		want string
	}{
		{func() { write(t, home, "x") }, "", home},
		{func() { write(t, "farshore.yaml", "x") }, "", "farshore.yaml"},
		{func() { env["FARSHORE_CONFIG"] = "elsewhere.yaml" }, "", "elsewhere.yaml"},
		{func() {}, "flag.yaml", "flag.yaml"},
	}
	for _, s := range steps {
		s.make()
		if got, err := Find(s.flag, getenv); err != nil || got != s.want {
			t.Errorf("found %q, %v, want %q", got, err, s.want)
		}
	}
}

func write(t testing.TB, path, data string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestParseSize(t *testing.T) {
	tests := []struct {
		in   string
		want int64
	}{
		{"0", 0}, {"4096", 4096}, {"1B", 1}, {"20MB", 20e6}, {"1kB", 1000}, {"1KB", 1000}, {"8GiB", 8 << 30}, {"1.5 TiB", 3 << 39}, {"0.5KiB", 512},
		{"", -1}, {"-1", -1}, {"1e3", -1}, {"MB", -1}, {"1 mb", -1}, {"1MB/s", -1}, {"0x10", -1}, {"1_000", -1}, {"9000000000TiB", -1}, {"1..5MB", -1}, {"NaN", -1},
	}
	for _, tt := range tests {
		got, err := ParseSize(tt.in)
		if tt.want < 0 && err == nil || tt.want >= 0 && (err != nil || got != tt.want) {
			t.Errorf("ParseSize(%q) = %d, %v, want %d", tt.in, got, err, tt.want)
		}
	}
}

func TestFormatSize(t *testing.T) {
	for _, n := range []int64{0, 1, 999, 1000, 1024, 4097, 20e6, 50 << 20, 8 << 30, 3 << 39, 1<<53 - 1} {
		if got, err := ParseSize(FormatSize(n)); err != nil || got != n {
			t.Errorf("%d is written %s and read as %d, %v", n, FormatSize(n), got, err)
		}
	}
}

func TestNearest(t *testing.T) {
	known := []string{"include", "exclude", "accept", "limits", "url", "name"}
	for word, want := range map[string]string{"inclued": "include", "excludes": "exclude", "exc": "exclude", "urls": "url", "nmae": "name", "uri": "url", "x": "", "": "", "bandwidth": ""} {
		if got := Nearest(word, known); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", word, got, want)
		}
	}
}

// FuzzParse holds any input to a Config or *Problems, and a Config to survive being written anew.
func FuzzParse(f *testing.F) {
	for _, dir := range []string{goodFiles, badFiles} {
		files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
		if err != nil {
			f.Fatal(err)
		}
		for _, path := range files {
			f.Add(readFile(f, path))
		}
	}
	schema := compiled(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse("/x/farshore.yaml", data)
		var problems *Problems
		if err != nil {
			if !errors.As(err, &problems) || len(problems.List) == 0 {
				t.Fatalf("%v", err)
			}
			return
		}
		again, err := Parse("/x/farshore.yaml", render(c))
		if err != nil || !same(c, again) {
			t.Fatalf("%+v\nis read anew as %+v, %v\n%s", c, again, err, render(c))
		}
		shown := c.Show(func(string) string { return "" })
		if again, err = Parse("/x/farshore.yaml", shown); err != nil || !same(c, again) {
			t.Fatalf("%+v\nis shown as %+v, %v\n%s", c, again, err, shown)
		}
		if err := valid(schema, shown); err != nil {
			t.Fatalf("the schema refuses what was parsed: %v\n%s", err, shown)
		}
	})
}

// TestRequireDefault holds a remote vault to a proof where the file says nothing, and a directory of this machine to none.
func TestRequireDefault(t *testing.T) {
	rest := "\nowner: ed25519:O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik\nrecipients: [age1vfj6dgw3lpqltdh2wrmzp0v4tsfnt336m39j8ngmp0lypfssaceqc5kp25]\n"
	for text, want := range map[string]string{
		"vault: gs://offsite/vault":                        RequireAppendOnly,
		"vault: s3://offsite/?endpoint=http://127.0.0.1:9": RequireAppendOnly,
		"vault: rclone:nas:vault":                          RequireAppendOnly,
		"vault: file:///srv/vault":                         RequireNone,
		"vault: file:///srv/vault\nrequire: append-only":   RequireAppendOnly,
		"vault: gs://offsite/vault\nrequire: none":         RequireNone,
	} {
		c, err := Parse("f.yaml", []byte(text+rest))
		if err != nil || c.Require != want {
			t.Errorf("%s: got %+v, %v; want %s", text, c, err, want)
		}
	}
}

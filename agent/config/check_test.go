package config

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"farshore/crypto/keyring"
	"farshore/crypto/seal"
	"farshore/crypto/sign"
)

// checkTime is when configurations are checked.
var checkTime = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// makeKeys makes an agent's keys in a directory.
func makeKeys(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	key, err := sign.Generate()
	if err != nil {
		t.Fatal(err)
	}
	if err := keyring.WriteAgentKey(filepath.Join(dir, AgentKey), key); err != nil {
		t.Fatal(err)
	}
	identity, _, err := seal.GenerateX25519()
	if err != nil {
		t.Fatal(err)
	}
	if err := keyring.WriteMetadata(filepath.Join(dir, MetadataKey), identity); err != nil {
		t.Fatal(err)
	}
}

// oneSource is a source that nothing is wrong with; it stands in lines 5 to 7.
const oneSource = "sources:\n  - name: a\n    url: s3://a\n"

// TestCheck makes a configuration with one thing to be said of it at a time, on a machine where all else is well.
func TestCheck(t *testing.T) {
	long := strings.Repeat("x", 101)
	tests := []struct {
		name string
		more string // behind the four lines of head
		make func(t *testing.T, dir string)
		want []string // line:column severity, and a part of the text
	}{
		{"nothing", oneSource, nil, nil},
		{"no sources", "", nil, []string{"1:1 note: there are no sources"}},
		{"an empty list", "sources: []\n", nil, []string{"5:10 note: there are no sources"}},
		{"no agent's key", oneSource, without(AgentKey), []string{"1:1 problem: keys/agent.key is not there"}},
		{"no key of its own", "keys: k\n" + oneSource, nil, []string{"5:7 problem: k/agent.key is not there", "5:7 problem: k/metadata.key is not there"}},
		{"no keys of an auditor", "keys: k\nsources: []\n", nil, []string{"5:7 note: k/agent.key is not there", "5:7 note: k/metadata.key is not there", "6:10 note: there are no sources"}},
		{"a key for all to read", oneSource, func(t *testing.T, dir string) { chmod(t, filepath.Join(dir, "keys", MetadataKey), 0o644) }, []string{"1:1 problem: run chmod 600"}},
		{"a key that is another", oneSource, func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "keys", AgentKey), string(readFile(t, filepath.Join(dir, "keys", MetadataKey))))
		}, []string{"1:1 problem: an age identity, where the agent's signing key"}},
		{"state below a file", "state: farshore.yaml/state\n" + oneSource, nil, []string{"5:8 problem: not a directory"}},
		{"state that is a file", "state: farshore.yaml\n" + oneSource, nil, []string{"5:8 problem: farshore.yaml is no directory"}},
		{"state that is made", "state: a/b/c\n" + oneSource, nil, nil},
		{"scratch", "verify: {scratch: scratch}\n" + oneSource, nil, []string{"5:19 problem: scratch is not there: make it"}},
		{"scratch that is a file", "verify:\n  scratch: farshore.yaml\n" + oneSource, nil, []string{"6:12 problem: farshore.yaml is no directory"}},
		{"metrics", "metrics: {textfile: m/f.prom}\n" + oneSource, nil, []string{"5:21 problem: m is not there"}},
		{"metrics into a directory", "metrics: {textfile: keys.prom}\n" + oneSource, func(t *testing.T, dir string) { mkdir(t, filepath.Join(dir, "keys.prom"), 0o700) }, []string{"5:21 problem: keys.prom is no regular file"}},
		{"a socket that is a file", "socket: farshore.yaml\n" + oneSource, nil, []string{"5:9 problem: is there already, and is no socket"}},
		{"a socket that is one", "socket: s.sock\n" + oneSource, func(t *testing.T, _ string) { listen(t, "s.sock") }, nil},
		{"a socket's directory", "socket: none/s.sock\n" + oneSource, nil, []string{"5:9 problem: none is not there"}},
		{"a socket that systemd has a place for", "socket: /run/farshore-nobody/s.sock\n" + oneSource, nil, []string{"5:9 note: systemd makes it for the service (RuntimeDirectory=farshore-nobody)"}},
		{"a socket for everybody to replace", "socket: open/s.sock\n" + oneSource, func(t *testing.T, dir string) { mkdir(t, filepath.Join(dir, "open"), 0o777) }, []string{"5:9 problem: run chmod o-w open"}},
		{"a socket in state with a long name", "state: /tmp/" + long + "\n" + oneSource, nil, []string{"1:1 problem: choose a shorter one with the key socket"}},
		{"secrets", "notify:\n  - {name: a, kind: webhook, url: file:none, secret: env:NONE}\n  - name: b\n    kind: email\n    server: a.example.net:25\n    from: a@example.net\n    to: [a@example.net]\n    username: a\n    password: credential:mail\n" +
			"verify: {ping: file:open}\nsources:\n  - name: a\n    url: svn+https://a.example.net/a\n    password_file: open\n    ping: file:keys\n  - name: b\n    url: svn+https://b.example.net/b\n    password: env:NONE\n",
			func(t *testing.T, dir string) { write(t, filepath.Join(dir, "open"), "swordfish\n") }, []string{
				"6:35 problem: open none", "6:54 problem: the environment has no variable NONE", "13:15 note: LoadCredential=mail:PATH", "14:16 problem: chmod 600", "18:20 problem: chmod 600", "19:11 problem: is a directory", "22:15 problem: no variable NONE",
			}},
		{"secrets that are there", "notify:\n  - {name: a, kind: webhook, url: file:own, secret: env:THERE}\n" + oneSource, func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "own"), "swordfish\n")
			chmod(t, filepath.Join(dir, "own"), 0o600)
		}, nil},
		{"a short token", "web: {token: env:THERE}\n" + oneSource, nil, []string{"5:14 problem: fewer than 16"}},
		{"a certificate", "web: {tls_cert: web.pem, tls_key: file:web.key}\n" + oneSource, certificate(-day, 90*day), nil},
		{"a certificate that ended", "web: {tls_cert: web.pem, tls_key: file:web.key}\n" + oneSource, certificate(-90*day, -day), []string{"5:17 problem: ended on 2026-03-01"}},
		{"a certificate that ends", "web: {tls_cert: web.pem, tls_key: file:web.key}\n" + oneSource, certificate(-90*day, day), []string{"5:17 note: ends on 2026-03-03"}},
		{"a certificate of tomorrow", "web: {tls_cert: web.pem, tls_key: file:web.key}\n" + oneSource, certificate(day, 90*day), []string{"5:17 problem: begins on 2026-03-03"}},
		{"a key for all to read", "web: {tls_cert: web.pem, tls_key: file:web.key}\n" + oneSource, func(t *testing.T, dir string) {
			certificate(-day, 90*day)(t, dir)
			chmod(t, filepath.Join(dir, "web.key"), 0o640)
		}, []string{"5:17 problem: chmod 600"}},
		{"no certificate", "web: {tls_cert: web.pem, tls_key: credential:key}\n" + oneSource, nil, []string{"5:17 problem: open web.pem"}},
		{"a key from systemd", "web: {tls_cert: web.pem, tls_key: credential:key}\n" + oneSource, certificate(-day, 90*day), []string{"5:17 note: LoadCredential=key:PATH"}},
		{"off everywhere", "schedule: off\nprobe: {schedule: off}\nverify: {schedule: off}\n" + oneSource, nil, []string{"5:11 note: every schedule is off"}},
		{"no passes", "schedule: off\n" + oneSource, nil, []string{"5:11 note: the schedule of every source is off"}},
		{"one pass", "schedule: off\n" + oneSource + "  - {name: b, url: s3://b, schedule: 1h}\n", nil, nil},
		{"late", "schedule: 1d\nmax_age: 12h\n" + oneSource, nil, []string{"6:10 note: may be 12h old, and its passes are up to 24h5m apart (schedule 1d, jitter 5m)"}},
		{"late by its own goal", "schedule: 1d\n" + oneSource + "    max_age: 26h\n  - {name: b, url: s3://b, max_age: 30m, schedule: 1h}\n", nil, []string{"10:37 note: source b may be 30m old"}},
		{"late over the weekend", "timezone: UTC\nmax_age: 26h\nschedule: 0 3 * * 1-5\n" + oneSource, nil, []string{"6:10 note: up to 72h5m apart"}},
		{"never, and with a goal", "max_age: 26h\n" + oneSource + "    schedule: off\n", nil, []string{"1:1 note: the schedule of every source is off", "5:10 note: its schedule is off"}},
		{"put off for long", oneSource + "    schedule: 5m\n    jitter: 10m\n", nil, []string{"9:13 note: put off by up to 10m"}},
		{"a promise that audits don't keep", "verify: {coverage: 7d, every: 1d, schedule: 30d}\n" + oneSource, nil, []string{"5:45 note: up to 30d apart, and every object is promised to be verified within 7d"}},
		{"a promise reckoned otherwise", "verify: {coverage: 30d, every: 1d, schedule: '@weekly'}\n" + oneSource, nil, []string{"5:46 note: up to 7d apart, and the promise is reckoned with one every 1d"}},
		{"a promise without audits", "verify: {coverage: 30d, schedule: off}\n" + oneSource, nil, []string{"5:20 note: no daemon runs an audit"}},
		{"nothing left", oneSource + "    include: [a/]\n    exclude: ['**', a/]\n", nil, []string{"9:15 note: excludes everything", "9:21 note: included and excluded"}},
		{"a slash", oneSource + "    include: [/a]\n", nil, []string{"8:15 note: rare"}},
		{"limits", "limits: {upload: 1MiB, requests: 5}\n" + oneSource + "    limits:\n      upload: 2MiB\n      download: 9MiB\n      requests: 5\n", nil, []string{"10:15 note: 2MiB/s is more than limits.upload of all sources together, 1MiB/s"}},
		{"a tripwire of a source that is off", oneSource + "    tripwire: off\n", nil, []string{"8:15 note: no change of it is ever suspicious"}},
		{"twice", oneSource + "  - name: b\n    url: s3://a\n", nil, []string{"9:10 note: source b is what source a is"}},
		{"parts of one", oneSource + "  - name: b\n    url: s3://a\n    include: [b/]\n", nil, nil},
		{"problems of both kinds", "jitter: soon\nmax_age: 1m\nkeys: k\nverify: {scratch: none}\nnotify:\n  - {name: x, kind: y}\n  - {name: z, kind: webhook, url: env:NONE}\nsauces: []\n" + oneSource, nil, []string{
			"5:9 problem: jitter", "6:10 note: may be 1m old", "7:7 problem: k/agent.key", "7:7 problem: k/metadata.key", "8:19 problem: none is not there", "10:21 problem: kind", "11:35 problem: no variable NONE", "12:1 problem: \"sources\" is meant",
		}},
		{"no more of what is not understood", "keys: 7\nstate: ''\nsocket: ''\n" + oneSource, without(AgentKey), []string{"5:7 problem: keys must be text", "6:8 problem: state", "7:9 problem: socket"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			t.Chdir(dir)
			write(t, "farshore.yaml", head+tt.more)
			makeKeys(t, "keys")
			if tt.make != nil {
				tt.make(t, dir)
			}
			before := tree(t)
			getenv := func(name string) string { return map[string]string{"THERE": "swordfish"}[name] }
			c, found, err := Check("farshore.yaml", getenv, checkTime)
			if _, lerr := Load("farshore.yaml"); err != nil || (c == nil) != (lerr != nil) {
				t.Errorf("%v; the configuration is %v, and loading it: %v", err, c, lerr)
			}
			var got []string
			for _, f := range found {
				got = append(got, fmt.Sprintf("%d:%d %s: %s", f.Line, f.Column, f.Severity, f.Message))
			}
			if !slices.EqualFunc(got, tt.want, finds) || strings.Contains(strings.Join(got, ""), "swordfish") {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
			if after := tree(t); !slices.Equal(before, after) {
				t.Errorf("something was changed: %v is %v", before, after)
			}
		})
	}
}

// finds reports whether a finding has place and severity as wanted, and the rest in its text.
func finds(got, want string) bool {
	place, text, _ := strings.Cut(want, ": ")
	rest, ok := strings.CutPrefix(got, place+": ")
	return ok && strings.Contains(rest, text)
}

// TestCheckCredentials reads keys and secrets that systemd gives, and says what of them is not there.
func TestCheckCredentials(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(t.TempDir())
	makeKeys(t, dir)
	write(t, "farshore.yaml", head+"web: {token: credential:token}\n"+oneSource)
	getenv := func(name string) string { return map[string]string{credentialsDir: dir}[name] }
	_, found, err := Check("farshore.yaml", getenv, checkTime)
	if err != nil || len(found) != 1 || found[0].Severity != SeverityProblem || found[0].Line != 5 {
		t.Errorf("a credential that is not there: %v, %v", found, err)
	}
	write(t, filepath.Join(dir, "token"), "0123456789abcdef\n")
	chmod(t, filepath.Join(dir, "token"), 0o400)
	if _, found, err := Check("farshore.yaml", getenv, checkTime); err != nil || len(found) != 0 {
		t.Errorf("all credentials are there: %v, %v", found, err)
	}
}

// TestCheckReads fails where there is nothing to read.
func TestCheckReads(t *testing.T) {
	for _, path := range []string{filepath.Join(t.TempDir(), "none"), t.TempDir()} {
		if _, found, err := Check(path, os.Getenv, checkTime); err == nil {
			t.Errorf("%s: %v", path, found)
		}
	}
}

func without(name string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		if err := os.Remove(filepath.Join(dir, "keys", name)); err != nil {
			t.Fatal(err)
		}
	}
}

func mkdir(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Mkdir(path, mode); err != nil {
		t.Fatal(err)
	}
	chmod(t, path, mode)
}

func listen(t *testing.T, path string) {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
}

func certificate(from, until time.Duration) func(*testing.T, string) {
	return func(t *testing.T, dir string) { makeCertificate(t, dir, checkTime.Add(from), checkTime.Add(until)) }
}

// tree lists what is below the working directory.
func tree(t *testing.T) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(".", func(path string, _ os.DirEntry, err error) error {
		all = append(all, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"farshore/agent/config"
)

// TestConfigCheck holds config check to its exit codes, and to say each thing with its place on stdout, for people and for programs.
func TestConfigCheck(t *testing.T) {
	r := newShop(t)
	r.ok("config", "check").says("farshore.yaml can be used: no problems, 0 notes")
	r.settle("max_age: 30m")
	r.ok("config", "check").says("farshore.yaml:1:10: note: the newest snapshot of source shop may be 30m old", "no problems, 1 note")
	r.settle("max_age: 30m", "schedule: hourly", "keys: elsewhere")
	d := r.run("config", "check").ends(exitUsage).says("farshore.yaml:2:11: schedule: \"hourly\" is no schedule", "farshore.yaml:3:7: elsewhere/agent.key is not there", "farshore.yaml:1:10: note: ")
	d.warns("3 problems in farshore.yaml").lacks("can be used")

	var got struct {
		Config   string
		Findings []struct {
			File         string
			Line, Column int
			Message      string
			Severity     string
		}
		Problems, Notes int
	}
	_, env := r.json(&got, "config", "check")
	if env.Error == nil || env.Error.Code != codeConfig || got.Problems != 3 || got.Notes != 1 || len(got.Findings) != 4 {
		t.Fatalf("%+v, %+v", got, env.Error)
	}
	if f := got.Findings[1]; f.File != "farshore.yaml" || f.Line != 2 || f.Column != 11 || f.Severity != "problem" || !strings.HasPrefix(f.Message, "schedule: ") {
		t.Errorf("%+v", f)
	}
	r.run("config", "check", "--config", "none.yaml").ends(exitUsage).warns("none.yaml", "`farshore init` makes a configuration")
}

// TestConfigShow holds what is shown to mean in the file's place what the file means, from wherever it is asked for, and to say what holds where the file says nothing.
func TestConfigShow(t *testing.T) {
	r := newShop(t)
	r.ok("source", "set", "shop", "--no-check", "--exclude", "*.tmp", "--schedule", "*/20 * * * *", "--jitter", "1m")
	want, err := config.Load(r.path("farshore.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir("below", 0o700); err != nil {
		t.Fatal(err)
	}
	t.Chdir("below")
	shown := r.ok("config", "show", "--config", "../farshore.yaml").says("schedule: '*/20 * * * *'", "keys: "+r.path("keys"), "# socket: "+r.path("state", "farshore.sock"), "parallel: 4")
	got, err := config.Parse(r.path("farshore.yaml"), []byte(shown.stdout))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v\n%+v\n%+v", err, got, want)
	}
	var values struct {
		Path          string
		Socket        string
		Configuration map[string]any
	}
	r.json(&values, "config", "show", "--config", "../farshore.yaml")
	sources, ok := values.Configuration["sources"].([]any)
	if !ok || len(sources) != 1 || values.Configuration["schedule"] != "1h" || values.Path != r.path("farshore.yaml") || values.Socket != r.path("state", "farshore.sock") {
		t.Errorf("%+v", values)
	}
	if s := sources[0].(map[string]any); s["jitter"] != "1m" || s["name"] != "shop" {
		t.Errorf("%+v", s)
	}
}

// TestConfigSchema prints what docs/config.schema.json is.
func TestConfigSchema(t *testing.T) {
	want := []byte(document(t, "docs/config.schema.json"))
	r := &rig{t: t}
	if got := r.ok("config", "schema").stdout; got != string(want) {
		t.Error("docs/config.schema.json is not what `farshore config schema` prints")
	}
	var got struct{ Schema json.RawMessage }
	r.json(&got, "config", "schema")
	var compact bytes.Buffer
	if err := json.Compact(&compact, want); err != nil || compact.String() != string(got.Schema) {
		t.Errorf("%v: in --json it is another", err)
	}
}

// TestConfigIsTrusted holds every command that needs the configuration to refuse one that everybody may change.
func TestConfigIsTrusted(t *testing.T) {
	r := newShop(t)
	if err := os.Chmod("farshore.yaml", 0o666); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"replicate"}, {"snapshots"}, {"verify"}, {"source", "list"}, {"source", "set", "shop", "--jitter", "1m"}, {"notify", "test"}, {"config", "show"}} {
		r.run(args...).ends(exitUsage).warns("farshore.yaml:1:1: everybody may change this file", "run chmod o-w")
	}
	r.run("config", "check").ends(exitUsage).says("farshore.yaml:1:1: everybody may change this file")
	if err := os.Chmod("farshore.yaml", 0o664); err != nil {
		t.Fatal(err)
	}
	r.ok("replicate")
}

// TestKeysAsCredentials takes the agent's keys from systemd's credentials, and needs none in the directory of keys.
func TestKeysAsCredentials(t *testing.T) {
	r := newShop(t)
	r.ok("replicate", "--quiet")
	dir := t.TempDir()
	for _, name := range []string{config.AgentKey, config.MetadataKey} {
		if err := os.Rename(filepath.Join("keys", name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	r.put(map[string]string{"c": "delta"})
	r.run("replicate").ends(exitFailed).warns("agent's key", "keys/agent.key")
	with := func(args ...string) (int, string) {
		e, stdout, stderr := testEnv(t)
		e.getenv = func(name string) string { return map[string]string{"CREDENTIALS_DIRECTORY": dir}[name] }
		code := run(args, e)
		return code, stdout.String() + stderr.String()
	}
	for _, args := range [][]string{{"replicate"}, {"ls", "shop"}, {"verify"}, {"config", "check"}} {
		if code, text := with(args...); code != exitDone || strings.Contains(text, "not used") {
			t.Errorf("%v ended with %d:\n%s", args, code, text)
		}
	}
	if _, text := with("ls", "shop"); !strings.Contains(text, "c") {
		t.Errorf("the names are not opened: %s", text)
	}
	if err := os.Chmod(filepath.Join(dir, config.AgentKey), 0o644); err != nil {
		t.Fatal(err)
	}
	if code, text := with("replicate"); code == exitDone || !strings.Contains(text, "run chmod 600") {
		t.Errorf("a key for all to read: %d\n%s", code, text)
	}
}

// TestPasswords reads a source's password anew each time, from wherever the configuration says it is.
func TestPasswords(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	e, _, _ := testEnv(t)
	e.getenv = func(name string) string {
		return map[string]string{"TOKEN": "from the environment", "CREDENTIALS_DIRECTORY": dir}[name]
	}
	c := &config.Config{Path: "farshore.yaml"}
	for _, password := range []string{"first", "second"} {
		if err := os.WriteFile("token", []byte(password+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct {
			s    config.Source
			want string
		}{
			{config.Source{PasswordFile: "token"}, password}, {config.Source{Password: "file:token"}, password}, {config.Source{Password: "credential:token"}, password},
			{config.Source{Password: "env:TOKEN"}, "from the environment"},
		} {
			if got, err := e.password(c, &tt.s)(t.Context()); got != tt.want || err != nil {
				t.Errorf("%+v: %q, %v", tt.s, got, err)
			}
		}
	}
	if e.password(c, new(config.Source)) != nil {
		t.Error("a source without a password has one")
	}
}

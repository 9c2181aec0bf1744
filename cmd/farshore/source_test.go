package main

import (
	"context"
	"os"
	"strings"
	"testing"

	"farshore/agent/config"
	"farshore/crypto/seal"
	"farshore/crypto/sign"
	"farshore/providers/servers"
)

// TestSourceAddChecks adds a bucket that can be read, and one that is not there.
func TestSourceAddChecks(t *testing.T) {
	s3 := servers.Fake(t)
	for k, v := range map[string]string{
		"AWS_ACCESS_KEY_ID": s3.AccessKey, "AWS_SECRET_ACCESS_KEY": s3.SecretKey, "AWS_SESSION_TOKEN": "", "AWS_PROFILE": "",
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
	} {
		t.Setenv(k, v)
	}
	t.Chdir(t.TempDir())
	writeConfig(t, "farshore.yaml")
	e, stdout, stderr := testEnv(t)
	if code := run([]string{"source", "add", "shop", s3.URL(s3.Bucket(t), "")}, e); code != exitDone {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	if !strings.Contains(stdout.String(), "and it can be read") {
		t.Errorf("stdout %q", stdout)
	}
	before, err := os.ReadFile("farshore.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"add", "other"}, {"set", "shop"}} {
		e, _, stderr = testEnv(t)
		code := run(append([]string{"source"}, append(args, s3.URL("not-there", ""))...), e)
		if code != exitFailed || !strings.Contains(stderr.String(), "can't be read") || !strings.Contains(stderr.String(), "hint: ") {
			t.Errorf("%v of a bucket that is not there: exit %d, %s", args, code, stderr)
		}
	}
	if after, err := os.ReadFile("farshore.yaml"); err != nil || string(after) != string(before) {
		t.Errorf("the configuration changed: %v\n%s", err, after)
	}
}

// writeConfig writes a configuration without sources.
func writeConfig(t *testing.T, path string) *config.Config {
	t.Helper()
	_, recipient, err := seal.GenerateX25519()
	if err != nil {
		t.Fatal(err)
	}
	owner, err := sign.Generate()
	if err != nil {
		t.Fatal(err)
	}
	c := &config.Config{
		Vault: "file:///srv/vault", Owner: owner.Public().String(), Recipients: []string{recipient},
		Commit: config.Commit{Every: config.DefaultEvery, Bytes: config.DefaultBytes},
	}
	if err := config.Create(path, c); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestStricter(t *testing.T) {
	got := stricter(config.Limits{Upload: 5, Requests: 10}, config.Limits{Upload: 7, Download: 3, Requests: 9})
	if want := (config.Limits{Upload: 5, Download: 3, Requests: 9}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestOpenDriverRefuses(t *testing.T) {
	e, _, _ := testEnv(t)
	for _, address := range []string{"", "ftp://x", "s3://", "gs://", "file:///nonexistent/vault"} {
		if d, err := e.openDriver(context.Background(), address); err == nil || d != nil {
			t.Errorf("%q: %v, %v", address, d, err)
		}
	}
}

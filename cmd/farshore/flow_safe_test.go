package main

import (
	"io"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fsouza/fake-gcs-server/fakestorage"

	"farshore/agent/record"
	"farshore/providers/s3/s3fake"
	"farshore/providers/servers"
)

// TestProbeIsSafe probes a vault with two snapshots by a credential that may do everything: the same versions, bytes, locks and settings are there after, but for canaries; what
// was restorable is, and the vault verifies.
func TestProbeIsSafe(t *testing.T) {
	for name, start := range map[string]func(testing.TB) servers.S3{"minio": servers.MinIO, "versity": servers.Versity} {
		t.Run(name, func(t *testing.T) {
			o := newOffsite(t, start(t))
			o.settle("require: none")
			o.ok("replicate")
			o.put(map[string]string{"a/1": "changed"})
			o.ok("replicate")
			before, settings := o.held(), o.settings()
			r := o.probed(exitDamage)
			if len(r.Grants) < 4 || len(r.Weaker) != 0 {
				t.Errorf("%q, %q", r.Grants, r.Weaker)
			}
			o.probed(exitDamage, "--role", "owner")
			if after := o.held(); !maps.Equal(before, after) || len(before) < 6 {
				t.Errorf("%d versions, %d before:\n%v\n%v", len(after), len(before), before, after)
			}
			if after := o.settings(); after != settings {
				t.Errorf("the settings were\n%s\nare\n%s", settings, after)
			}
			o.ok("restore", "--source", "shop", "--to", "out", "--identity", "kit/recovery.key")
			if got := files(t, "out"); !maps.Equal(got, map[string]string{"a/1": "changed", "b": "beta"}) {
				t.Errorf("restored %q", got)
			}
			o.ok("verify", "--identity", "kit/recovery.key").says("INTACT").lacks("tampering")
		})
	}
}

// held is versions without canaries.
func (o *offsite) held() map[string]string {
	o.t.Helper()
	kept, _ := o.versions()
	return kept
}

// TestProbeIsSafeElsewhere does the same with stores that keep no versions: what is there after is what was there before, and canaries.
func TestProbeIsSafeElsewhere(t *testing.T) {
	for name, open := range map[string]func(t *testing.T, r *rig) (vault string, stored func() map[string]string){
		"file": func(t *testing.T, r *rig) (string, func() map[string]string) {
			return r.vault(), func() map[string]string { return files(t, "vault") }
		},
		"gcs":    storedAtGCS,
		"rclone": storedByRclone,
	} {
		t.Run(name, func(t *testing.T) {
			r := &rig{t: t, dir: t.TempDir(), server: servers.S3{Region: "us-east-1", AccessKey: "anybody", SecretKey: "anything"}}
			source := httptest.NewServer(s3fake.Handler(nil))
			t.Cleanup(source.Close)
			r.server.Endpoint = source.URL
			r.client, r.bucket = r.server.Client(t), r.server.Bucket(t)
			setAWS(t, r.server)
			t.Chdir(r.dir)
			r.put(map[string]string{"a/1": "alpha", "b": "beta"})
			vault, stored := open(t, r)
			r.ok("init", "--vault", vault, "--config", "farshore.yaml", "--kit", "kit", "--quiet")
			r.ok("source", "add", "shop", r.url())
			r.settle("require: none")
			r.ok("replicate")
			before := stored()
			r.run("probe").ends(exitDamage).says("UNPROTECTED")
			after, canaries := stored(), 0
			for name := range after {
				if record.IsCanary(name) {
					canaries++
					delete(after, name)
				}
			}
			if !maps.Equal(before, after) || len(before) < 5 || canaries == 0 {
				t.Errorf("%d objects and %d canaries, %d before", len(after), canaries, len(before))
			}
			r.ok("verify", "--identity", "kit/recovery.key")
		})
	}
}

// storedAtGCS starts an emulator that lets everybody do everything.
func storedAtGCS(t *testing.T, _ *rig) (string, func() map[string]string) {
	t.Helper()
	// Objects are read at an address that the server must know as its own.
	front := httptest.NewUnstartedServer(nil)
	host := front.Listener.Addr().String()
	server, err := fakestorage.NewServerWithOptions(fakestorage.Options{Scheme: "http", NoListener: true, PublicHost: host, Writer: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	front.Config.Handler = server.HTTPHandler()
	front.Start()
	t.Cleanup(front.Close)
	server.CreateBucketWithOpts(fakestorage.CreateBucketOpts{Name: "offsite"})
	t.Setenv("STORAGE_EMULATOR_HOST", host)
	return "gs://offsite/vault", func() map[string]string {
		all := map[string]string{}
		listed, err := server.ListObjectsWithOptionsPaginated("offsite", fakestorage.ListOptions{Prefix: "vault/"})
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range listed.Objects {
			full, err := server.GetObject("offsite", o.Name)
			if err != nil {
				t.Fatal(err)
			}
			all[strings.TrimPrefix(o.Name, "vault/")] = string(full.Content)
		}
		return all
	}
}

// storedByRclone names a directory as a remote of rclone's.
func storedByRclone(t *testing.T, r *rig) (string, func() map[string]string) {
	t.Helper()
	config := filepath.Join(r.dir, "rclone.conf")
	if err := os.WriteFile(config, []byte("[there]\ntype = local\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("RCLONE_CONFIG", config)
	return "rclone:there:" + r.path("far", "vault"), func() map[string]string { return files(t, r.path("far", "vault")) }
}

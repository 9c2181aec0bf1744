package rcloneprobe

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"golang.org/x/net/webdav"

	"farshore/agent/probe"
	"farshore/agent/probe/probetest"
	"farshore/providers/rclone"
	"farshore/providers/servers"
)

// open opens the remote for the probe, and a context that ends.
func open(t *testing.T, spec string) (context.Context, *Attacker) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	a, err := New(ctx, spec, rclone.Options{ConfigPath: config})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return ctx, a
}

// config is an rclone.conf with one remote, "offsite". All tests of the process use the same one, since rclone has only one.
var config string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "rcloneprobe")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	config = filepath.Join(dir, "rclone.conf")
	if err := os.WriteFile(config, []byte("[offsite]\ntype = local\n"), 0o600); err != nil {
		panic(err)
	}
	return m.Run()
}

// populate stores a vault as the agent would.
func populate(ctx context.Context, t *testing.T, a *Attacker) {
	t.Helper()
	for name, body := range probetest.Vault() {
		section := io.NewSectionReader(bytes.NewReader(body), 0, int64(len(body)))
		if _, err := a.driver.Create(ctx, name, section, sha256.Sum256(body)); err != nil {
			t.Fatal(err)
		}
	}
}

// files reads all files below the directory.
func files(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	found := map[string][]byte{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		found[filepath.ToSlash(name)], err = os.ReadFile(p)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// all are the answers of a store that permits everything.
func all(probes ...string) map[string]probe.Answer {
	want := map[string]probe.Answer{"create": probe.Permitted}
	for _, p := range probes {
		want[p] = probe.Permitted
	}
	return want
}

// everything tries all in a store of files that permits it: only canaries have changed.
func everything(t *testing.T, spec, dir, principal string, want map[string]probe.Answer) {
	t.Helper()
	ctx, a := open(t, spec)
	populate(ctx, t, a)
	before := files(t, dir)
	for _, p := range a.Bucket() {
		want[p.Probe] = probe.Unknown // what can't be tried on canaries
	}
	probetest.Answers(t, probetest.Drive(ctx, t, a, probetest.Rooms()...), want)
	probetest.Same(t, before, files(t, dir))
	probetest.Refuses(ctx, t, a)
	probetest.Same(t, before, files(t, dir))
	if who, err := a.Principal(ctx); err != nil || !strings.Contains(who, principal) || strings.Contains(who, "secret") {
		t.Errorf("principal %q, %v", who, err)
	}
	if len(a.Notes()) == 0 {
		t.Error("nothing is said about what can't be seen")
	}
}

func TestLocal(t *testing.T) {
	dir := t.TempDir()
	everything(t, "rclone::local:"+dir, dir, "of this machine", all("set-attributes", "overwrite", "rename", "remove"))
}

// TestNamed opens a remote of the rclone.conf by its name.
func TestNamed(t *testing.T) {
	dir := t.TempDir()
	ctx, a := open(t, "rclone:offsite:"+dir)
	if _, r := a.Create(ctx, "packs/canary/a", []byte("x")); r.Answer != probe.Permitted || a.kind != "local" {
		t.Errorf("%s: %+v", a.kind, r)
	}
	if got := files(t, dir); string(got["packs/canary/a"]) != "x" {
		t.Errorf("stored: %q", got)
	}
}

// davServer serves the directory; refuse says which requests are answered with a status of their own.
func davServer(t *testing.T, dir string, refuse func(r *http.Request) int) string {
	t.Helper()
	handler := &webdav.Handler{FileSystem: webdav.Dir(dir), LockSystem: webdav.NewMemLS()}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if status := refuse(r); status != 0 {
			w.WriteHeader(status)
			return
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return "rclone::webdav,url='" + server.URL + "',vendor=other,user=backup,pacer_min_sleep=100us:"
}

func TestWebDAV(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	spec := davServer(t, dir, func(*http.Request) int { return 0 })
	everything(t, spec+"vault", filepath.Join(dir, "vault"), "backup@127.0.0.1", all("overwrite", "rename", "remove"))
}

// TestWebDAVDenied has a server that lets a vault be added to: it refuses to delete, to move what is whole, and to write where something is. Only one of its answers is a denial.
func TestWebDAVDenied(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]probe.Answer{http.StatusForbidden: probe.Denied, http.StatusUnauthorized: probe.Unknown, http.StatusMethodNotAllowed: probe.Unknown} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			ctx, a := open(t, davServer(t, dir, func(r *http.Request) int {
				staged := strings.Contains(r.URL.Path, "/.tmp/")
				_, err := os.Stat(filepath.Join(dir, filepath.FromSlash(r.URL.Path)))
				switch {
				case r.Method == "DELETE", r.Method == "MOVE" && !staged, r.Method == "PUT" && !staged && err == nil:
					return status
				}
				return 0
			})+"vault")
			probetest.Answers(t, probetest.Drive(ctx, t, a, "packs"), map[string]probe.Answer{"create": probe.Permitted, "overwrite": want, "rename": want, "remove": want, "other rights": probe.Unknown})
		})
	}
}

// TestS3 tries through rclone what its S3 client can do, and says that there is a better way.
func TestS3(t *testing.T) {
	t.Parallel()
	s := servers.Fake(t)
	bucket := s.Bucket(t)
	ctx, a := open(t, "rclone::s3,provider=Other,endpoint='"+s.Endpoint+"',region=us-east-1,access_key_id="+s.AccessKey+",secret_access_key="+s.SecretKey+":"+bucket+"/vault")
	populate(ctx, t, a)
	before, want := objects(ctx, t, s.Client(t), bucket), all("overwrite", "copy-onto", "remove")
	want["versions and settings"] = probe.Unknown
	probetest.Answers(t, probetest.Drive(ctx, t, a, probetest.Rooms()...), want)
	probetest.Same(t, before, objects(ctx, t, s.Client(t), bucket))
	if who, err := a.Principal(ctx); err != nil || who != "key "+s.AccessKey {
		t.Errorf("principal %q, %v", who, err)
	}
	if notes := strings.Join(a.Notes(), "\n"); !strings.Contains(notes, "s3://bucket/prefix") {
		t.Errorf("notes: %s", notes)
	}
}

// objects are all objects of the bucket, those of the vault by their names there.
func objects(ctx context.Context, t *testing.T, c *s3.Client, bucket string) map[string][]byte {
	t.Helper()
	list, err := c.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &bucket})
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]byte{}
	for _, o := range list.Contents {
		r, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: o.Key})
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		found[strings.TrimPrefix(*o.Key, "vault/")] = body
	}
	return found
}

// TestDeadline has a server that stops answering: each probe ends with its context, and so does Close.
func TestDeadline(t *testing.T) {
	t.Parallel()
	var stalled atomic.Bool
	block := make(chan struct{})
	ctx, a := open(t, davServer(t, t.TempDir(), func(r *http.Request) int {
		if stalled.Load() {
			select {
			case <-block:
			case <-r.Context().Done():
			}
		}
		return 0
	})+"vault")
	t.Cleanup(func() { close(block) })
	if _, r := a.Create(ctx, "packs/canary/a", []byte("x")); r.Answer != probe.Permitted {
		t.Fatal(r)
	}
	stalled.Store(true)
	for _, p := range a.Object() {
		ctx, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
		if r := p.Try(ctx, probe.Canary{Name: "packs/canary/a", Exists: true}); r.Answer != probe.Unknown {
			t.Errorf("%s: %s", p.Probe, r.Answer)
		}
		cancel()
	}
	stalled.Store(false)
}

// TestNew says what is wrong with an address, and repeats no password.
func TestNew(t *testing.T) {
	for _, spec := range []string{"s3://bucket", "rclone:nowhere:vault", "rclone::nonsense,pass=secret:vault", "rclone::local:" + config} {
		if _, err := New(t.Context(), spec, rclone.Options{ConfigPath: config}); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", spec, err)
		}
	}
}

package rclone

import (
	"context"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/webdav"

	"farshore/providers"
	"farshore/providers/providertest"
	"farshore/providers/servers"
)

// open opens the remote, with a configuration that has nothing in it.
func open(t *testing.T, spec string) (context.Context, *Driver) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	d, err := Open(ctx, spec, Options{ConfigPath: writeConfig(t, "")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return ctx, d
}

// conformance runs the suite on the remote.
func conformance(t *testing.T, spec string) {
	t.Helper()
	providertest.Run(t, func(t *testing.T) providers.Driver {
		_, d := open(t, spec)
		return d
	})
}

func TestLocal(t *testing.T) {
	conformance(t, "rclone::local:"+t.TempDir())
}

// TestWithoutMove writes under the final names.
func TestWithoutMove(t *testing.T) {
	dir := t.TempDir()
	ctx, d := open(t, "rclone::local:"+dir)
	d.fs.Features().Move = nil
	if _, err := create(ctx, d, "packs/a", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if got := files(t, dir); len(got) != 1 || got[0] != "packs/a" {
		t.Errorf("files %q", got)
	}
}

// webdavServer serves the directory and returns the remote.
func webdavServer(t *testing.T, dir string) string {
	t.Helper()
	server := httptest.NewServer(&webdav.Handler{FileSystem: webdav.Dir(dir), LockSystem: webdav.NewMemLS()})
	t.Cleanup(server.Close)
	return "rclone::webdav,url='" + server.URL + "',vendor=other,pacer_min_sleep=100us:"
}

func TestWebDAV(t *testing.T) {
	t.Parallel()
	conformance(t, webdavServer(t, t.TempDir())+"vault/a")
}

func TestSFTP(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	conformance(t, servers.SFTP(t, nil)+dir)
}

// s3Remote returns the remote of an S3 server in this process.
func s3Remote(t *testing.T, bucket string) string {
	t.Helper()
	s := servers.Fake(t)
	if bucket == "" {
		bucket = s.Bucket(t)
	}
	return "rclone::s3,provider=Other,endpoint='" + s.Endpoint + "',region=us-east-1,access_key_id=" + s.AccessKey + ",secret_access_key=" + s.SecretKey + ":" + bucket
}

func TestS3(t *testing.T) {
	t.Parallel()
	conformance(t, s3Remote(t, "")+"/vault/a")
}

// TestMissingBucket wants the bucket to be missed when the vault is opened, and not to be created.
func TestMissingBucket(t *testing.T) {
	remote := s3Remote(t, "nowhere")
	for range 2 {
		_, err := Open(t.Context(), remote+"/vault", Options{ConfigPath: writeConfig(t, "")})
		if providers.KindOf(err) != providers.NotFound || !strings.Contains(err.Error(), "does not exist: create it") {
			t.Errorf("open: %v", err)
		}
	}
}

// slowBody cancels a context when half of it was read.
type slowBody struct {
	io.ReaderAt
	half   int64
	cancel context.CancelFunc
}

func (s slowBody) ReadAt(p []byte, off int64) (int, error) {
	if off >= s.half {
		s.cancel()
	}
	return s.ReaderAt.ReadAt(p, off)
}

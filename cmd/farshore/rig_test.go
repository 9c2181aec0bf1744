package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"farshore/providers/s3/s3fake"
	"farshore/providers/servers"
)

// rig is a machine with an agent: a directory that is the working directory, with farshore.yaml, keys/, kit/ and vault/ in it, and a bucket at a
// server inside the test.
type rig struct {
	t      *testing.T
	dir    string
	server servers.S3
	bucket string
	client *s3.Client
	gate   *gate
}

// gate stands before the server's handler. What it is set to returns true where it has answered the request itself.
type gate struct {
	next http.Handler
	hook atomic.Pointer[func(http.ResponseWriter, *http.Request) bool]
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if hook := g.hook.Load(); hook != nil && (*hook)(w, r) {
		return
	}
	g.next.ServeHTTP(w, r)
}

// set puts a hook into the gate, nil for none.
func (g *gate) set(hook func(http.ResponseWriter, *http.Request) bool) {
	if hook == nil {
		g.hook.Store(nil)
		return
	}
	g.hook.Store(&hook)
}

// deny makes reading the key fail as a policy would.
func (g *gate) deny(key string) {
	g.set(func(w http.ResponseWriter, r *http.Request) bool {
		if !reads(r, key) {
			return false
		}
		http.Error(w, "<Error><Code>AccessDenied</Code><Message>not this one</Message></Error>", http.StatusForbidden)
		return true
	})
}

// reads reports whether a request reads the key.
func reads(r *http.Request, key string) bool {
	return r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/"+key)
}

// newRig makes the vault and a bucket, which is not a source yet.
func newRig(t *testing.T) *rig {
	t.Helper()
	r := newMachine(t)
	r.ok("init", "--vault", r.vault(), "--config", "farshore.yaml", "--kit", "kit", "--quiet")
	return r
}

// newMachine is newRig without a vault.
func newMachine(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir(), server: servers.S3{Region: "us-east-1", AccessKey: "reader", SecretKey: "secret"}}
	r.gate = &gate{next: s3fake.Handler(map[string]string{r.server.AccessKey: r.server.SecretKey})}
	server := httptest.NewServer(r.gate)
	t.Cleanup(server.Close)
	r.server.Endpoint = server.URL
	r.client, r.bucket = r.server.Client(t), r.server.Bucket(t)
	setAWS(t, r.server)
	t.Chdir(r.dir)
	return r
}

// newShop is newRig with the bucket as source "shop", and three objects in it.
func newShop(t *testing.T) *rig {
	t.Helper()
	r := newRig(t)
	r.put(map[string]string{"a/1": "alpha", "a/2": "beta", "b": "gamma"})
	r.ok("source", "add", "shop", r.url())
	return r
}

// setAWS gives the process one account, and nothing of the machine's own settings.
func setAWS(t *testing.T, s servers.S3) {
	t.Helper()
	for k, v := range map[string]string{
		"AWS_ACCESS_KEY_ID": s.AccessKey, "AWS_SECRET_ACCESS_KEY": s.SecretKey, "AWS_SESSION_TOKEN": "", "AWS_PROFILE": "",
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
	} {
		t.Setenv(k, v)
	}
}

// vault is the vault's address, url the bucket's.
func (r *rig) vault() string { return "file://" + r.path("vault") }
func (r *rig) url() string   { return r.server.URL(r.bucket, "") }

func (r *rig) path(names ...string) string {
	return filepath.Join(append([]string{r.dir}, names...)...)
}

// bare is what a bare machine has: the vault's address and the recovery key.
func (r *rig) bare(args ...string) []string {
	return append(args, "--vault", r.vault(), "--identity", r.path("kit", "recovery.key"))
}

// put writes objects to the bucket.
func (r *rig) put(objects map[string]string) {
	r.t.Helper()
	for key, body := range objects {
		in := &s3.PutObjectInput{
			Bucket: &r.bucket, Key: aws.String(key), Body: strings.NewReader(body),
			ContentType: aws.String("text/plain"), Metadata: map[string]string{"made-by": "hand"},
		}
		if _, err := r.client.PutObject(r.t.Context(), in); err != nil {
			r.t.Fatal(err)
		}
	}
}

func (r *rig) remove(key string) {
	r.t.Helper()
	if _, err := r.client.DeleteObject(r.t.Context(), &s3.DeleteObjectInput{Bucket: &r.bucket, Key: &key}); err != nil {
		r.t.Fatal(err)
	}
}

// body returns an object's content, and what the server says of it.
func (r *rig) body(bucket, key string) (string, *s3.GetObjectOutput) {
	r.t.Helper()
	out, err := r.client.GetObject(r.t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		r.t.Fatal(err)
	}
	defer out.Body.Close()
	b, err := io.ReadAll(out.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(b), out
}

// did is what a command did.
type did struct {
	t              *testing.T
	args           string
	code           int
	stdout, stderr string
}

// run runs a command in this process.
func (r *rig) run(args ...string) *did {
	r.t.Helper()
	e, stdout, stderr := testEnv(r.t)
	code := run(args, e)
	d := &did{r.t, "farshore " + strings.Join(args, " "), code, stdout.String(), stderr.String()}
	r.t.Logf("$ %s\n%s%sexit %d", d.args, d.stdout, d.stderr, d.code)
	return d
}

// ok runs a command that must succeed.
func (r *rig) ok(args ...string) *did { r.t.Helper(); return r.run(args...).ends(exitDone) }

// ends holds the command to its exit code.
func (d *did) ends(code int) *did {
	d.t.Helper()
	if d.code != code {
		d.t.Fatalf("%s ended with exit code %d, not %d", d.args, d.code, code)
	}
	return d
}

// says holds stdout to have all the texts; warns holds stderr.
func (d *did) says(texts ...string) *did  { d.t.Helper(); return d.has("stdout", d.stdout, texts) }
func (d *did) warns(texts ...string) *did { d.t.Helper(); return d.has("stderr", d.stderr, texts) }

func (d *did) has(stream, got string, texts []string) *did {
	d.t.Helper()
	for _, text := range texts {
		if !strings.Contains(got, text) {
			d.t.Errorf("%s: %s does not have %q", d.args, stream, text)
		}
	}
	return d
}

// lacks holds both streams to have none of the texts.
func (d *did) lacks(texts ...string) *did {
	d.t.Helper()
	for _, text := range texts {
		if strings.Contains(d.stdout+d.stderr, text) {
			d.t.Errorf("%s says %q", d.args, text)
		}
	}
	return d
}

// json runs a command with --json, holds it to one object with its schema and to an error if and only if the exit code is not 0, and
// reads the result into to, unless that is nil.
func (r *rig) json(to any, args ...string) (*did, envelope) {
	r.t.Helper()
	d := r.run(append(args, "--json")...)
	env := parseEnvelope(r.t, d.stdout)
	if (env.Error != nil) != (d.code != exitDone) || !strings.HasPrefix(env.Schema, "farshore."+args[0]) || !strings.HasSuffix(env.Schema, "/1") {
		r.t.Errorf("%s: exit code %d, envelope %+v", d.args, d.code, env)
	}
	if to != nil {
		if err := json.Unmarshal(*env.Result, to); err != nil {
			r.t.Fatal(err)
		}
	}
	return d, env
}

// files lists what is below a directory: content by path.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		rel, rerr := filepath.Rel(dir, path)
		if err == nil && rerr == nil {
			all[rel] = string(bytes.Clone(b))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// fewObjects are some of the demo's objects: all the odd ones and two others.
func fewObjects() demoObjects {
	objects := demoOdd()
	objects["page"] = demoObject{kind: demoText, seed: "page", size: 3000, demoHeaders: demoHeaders{
		contentType: "text/html", cacheControl: "no-store", language: "en", expires: "Thu, 01 Dec 2033 16:00:00 GMT", tags: map[string]string{"a": "b c"},
	}}
	objects["image"] = newDemoImage(1, 5000)
	return objects
}

func startCloud(t *testing.T) *demoCloud {
	t.Helper()
	c, err := startDemoCloud()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// TestDemoComparesBucket holds the comparison to find each kind of difference, and nothing else.
func TestDemoComparesBucket(t *testing.T) {
	c, want := startCloud(t), fewObjects()
	if err := c.put(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	got, err := c.compareBucket(t.Context(), want)
	if err != nil || got.err("bucket") != nil || got.Items != int64(len(want)) || got.Bytes != want.bytes() {
		t.Fatalf("%+v, %v", got, err)
	}
	for name, tt := range map[string]struct {
		key    string
		change func(o *demoObject)
		why    string
	}{
		"content":       {"image", func(o *demoObject) { o.seed = "another" }, "byte 0 differs"},
		"length":        {"page", func(o *demoObject) { o.edit++ }, "it has 3024 bytes, not 3000"},
		"type":          {"page", func(o *demoObject) { o.contentType = "text/plain" }, `content type is "text/plain"`},
		"header":        {"page", func(o *demoObject) { o.cacheControl = "" }, `cache control is ""`},
		"expires":       {"page", func(o *demoObject) { o.expires = "Thu, 01 Dec 2033 16:00:01 GMT" }, "expires is"},
		"metadata":      {"image", func(o *demoObject) { o.meta = map[string]string{"camera": "pinhole"} }, "user metadata is"},
		"tags":          {"page", func(o *demoObject) { o.tags = nil }, "tags are"},
		"one too many":  {"new", func(o *demoObject) { *o = newDemoImage(9, 10) }, "new: it should not be there"},
		"an empty file": {"odd/empty", func(o *demoObject) { o.size, o.kind = 1, demoText }, "it has 1 bytes, not 0"},
	} {
		t.Run(name, func(t *testing.T) {
			o := want[tt.key]
			tt.change(&o)
			if err := c.put(t.Context(), demoObjects{tt.key: o}); err != nil {
				t.Fatal(err)
			}
			got, err := c.compareBucket(t.Context(), want)
			if err != nil {
				t.Fatal(err)
			}
			holdToDifference(t, got, tt.why)
			if err := c.remove(t.Context(), []string{tt.key}); err != nil {
				t.Fatal(err)
			}
			if o, ok := want[tt.key]; ok {
				got, err := c.compareBucket(t.Context(), want)
				if err != nil {
					t.Fatal(err)
				}
				holdToDifference(t, got, tt.key+": it is missing")
				if err := c.put(t.Context(), demoObjects{tt.key: o}); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// holdToDifference holds a comparison to exactly one difference, which ends the demo with exit code 4.
func holdToDifference(t *testing.T, c demoComparison, why string) {
	t.Helper()
	err := c.err("it")
	var f *failure
	if c.Differences != 1 || !errors.As(err, &f) || f.exit != exitDamage || !strings.Contains(err.Error(), why) {
		t.Errorf("%+v, %v; want one difference with %q", c, err, why)
	}
}

// TestDemoComparesDirectory holds the comparison of a directory to find what differs, is missing, or is too much.
func TestDemoComparesDirectory(t *testing.T) {
	want := demoObjects{"a/b": newDemoImage(1, 100), "/absolute": newDemoImage(2, 100), "empty": {}}
	renamed := map[string]string{"/absolute": "_escaped/absolute"}
	root := t.TempDir()
	write := func(name string, body []byte) {
		path := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, body, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	compare := func() demoComparison {
		got, err := compareDirectory(root, want, renamed)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	write("a/b", want["a/b"].body())
	write("empty", nil)
	holdToDifference(t, compare(), "/absolute: it is missing")
	write("_escaped/absolute", want["/absolute"].body())
	if got := compare(); got.err("") != nil || got.Items != 3 || got.Bytes != 200 {
		t.Errorf("%+v", got)
	}
	write("more", nil)
	holdToDifference(t, compare(), "more: it should not be there")
	if err := os.Remove(filepath.Join(root, "more")); err != nil {
		t.Fatal(err)
	}
	body := want["a/b"].body()
	body[99] ^= 1
	write("a/b", body)
	holdToDifference(t, compare(), "a/b: its byte 99 differs")
	if _, err := compareDirectory(root, want, map[string]string{"/absolute": "../x"}); err == nil {
		t.Error("a name above the directory was read")
	}
}

// TestDemoObjects holds the contents to be the same each time, and of the lengths that are told.
func TestDemoObjects(t *testing.T) {
	first := demoBegin()
	next, changed, removed := demoChange(first)
	if len(first) < 2000 || len(next) != len(first)+20-len(removed) {
		t.Errorf("%d objects, then %d, %d removed", len(first), len(next), len(removed))
	}
	for key := range changed {
		if next[key].seed != changed[key].seed || next[key].edit != changed[key].edit {
			t.Errorf("%q is not what was written", key)
		}
	}
	for _, key := range removed {
		if _, ok := first[key]; !ok {
			t.Errorf("%q is removed and was not there", key)
		}
	}
	for _, o := range []demoObject{first["images/0000.jpg"], first[demoDump], next[demoDump], next["pages/000/index.html"], first["odd/empty"]} {
		body := o.body()
		if int64(len(body)) != o.length() || o.differs(body) != "" {
			t.Errorf("%s: %d bytes, told %d", o.seed, len(body), o.length())
		}
	}
	if first[demoDump].differs(next[demoDump].body()) == "" {
		t.Error("the edit changes nothing")
	}
}

// TestDemoAgentReadsOnly holds the demo's agent to a credential that can't change the bucket, and the server to refuse strangers.
func TestDemoAgentReadsOnly(t *testing.T) {
	c := startCloud(t)
	if err := c.put(t.Context(), demoObjects{"a": newDemoImage(1, 10)}); err != nil {
		t.Fatal(err)
	}
	as := func(key, secret string) *s3.Client {
		return s3.New(s3.Options{
			BaseEndpoint: &c.endpoint, Region: demoRegion, UsePathStyle: true, Credentials: credentials.NewStaticCredentialsProvider(key, secret, ""),
		})
	}
	in := &s3.GetObjectInput{Bucket: aws.String(demoBucket), Key: aws.String("a")}
	if _, err := as(demoAgent, c.secrets[demoAgent]).GetObject(t.Context(), in); err != nil {
		t.Error(err)
	}
	if _, err := as(demoAgent, c.secrets[demoAgent]).DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: in.Bucket, Key: in.Key}); !strings.Contains(fmt.Sprint(err), "AccessDenied") {
		t.Errorf("the agent may delete: %v", err)
	}
	for _, key := range []string{demoAgent, demoOwner, "stranger"} {
		if _, err := as(key, "wrong").GetObject(t.Context(), in); err == nil {
			t.Errorf("%s with a wrong secret may read", key)
		}
	}
}

// TestDemoStage holds the demo to leave nothing behind, unless it is to be kept, and to touch nothing that exists.
func TestDemoStage(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	e, _, _ := testEnv(t)
	d, err := newDemo(e, demoOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Dir(d.dir) != tmp {
		t.Errorf("the demo lives in %s", d.dir)
	}
	if err := d.close(); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	keep := filepath.Join(tmp, "kept")
	if d, err = newDemo(e, demoOptions{keep: keep}); err != nil {
		t.Fatal(err)
	}
	if err := d.close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(keep, "aws", "credentials")); err != nil {
		t.Error(err)
	}
	var f *failure
	if _, err := newDemo(e, demoOptions{keep: keep}); !errors.As(err, &f) || f.exit != exitUsage {
		t.Errorf("a directory that is not empty: %v", err)
	}
}

// TestDemoEnvironment holds the demo's commands to the demo's own credentials, whatever the caller's environment says.
func TestDemoEnvironment(t *testing.T) {
	d := &demo{dir: "/demo"}
	got := d.environ([]string{
		"PATH=/bin", "HOME=/home/user", "AWS_PROFILE=prod", "AWS_ACCESS_KEY_ID=x", "AWS_ENDPOINT_URL=http://x", "FARSHORE_CONFIG=/etc/x", "XDG_CONFIG_HOME=/x", "RCLONE_CONFIG=/x", "TERM=xterm",
	}, "agent")
	want := []string{
		"PATH=/bin", "TERM=xterm", "HOME=/demo/agent", "AWS_SHARED_CREDENTIALS_FILE=/demo/aws/credentials", "AWS_CONFIG_FILE=/demo/aws/config",
		"AWS_EC2_METADATA_DISABLED=true", "RCLONE_CONFIG=",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestDemoOutcome(t *testing.T) {
	exitWith := func(code int) error {
		return exec.Command("sh", "-c", fmt.Sprintf("exit %d", code)).Run()
	}
	for _, tt := range []struct {
		stdout string
		ran    error
		exit   int
		text   string
	}{
		{`{"schema":"x","result":{"restored":5},"error":null}`, nil, 0, ""},
		{`{"schema":"x","result":{"restored":5},"error":{"code":"damage","message":"gone","hint":"look"}}`, exitWith(4), exitDamage, "farshore restore: gone"},
		{`{"schema":"x","result":null,"error":{"code":"failed","message":"no","hint":""}}`, exitWith(1), exitFailed, "farshore restore: no"},
		{`{"schema":"x","result":{"restored":5},"error":{"code":"incomplete","message":"left","hint":""}}`, exitWith(3), exitFailed, "left"},
		{`{"schema":"x","result":{"restored":5},"error":null}`, exitWith(3), exitFailed, "exit status 3"},
		{"", exitWith(2), 0, "not with one JSON object"},
	} {
		var got restoreResult
		err := demoOutcome("restore", []byte(tt.stdout), tt.ran, &got)
		var f *failure
		switch {
		case tt.text == "" && (err != nil || got.Restored != 5):
			t.Errorf("%s: %+v, %v", tt.stdout, got, err)
		case tt.text != "" && (err == nil || !strings.Contains(err.Error(), tt.text)):
			t.Errorf("%s: %v, want %q", tt.stdout, err, tt.text)
		case tt.exit != 0 && (!errors.As(err, &f) || f.exit != tt.exit):
			t.Errorf("%s: %v is no failure with exit code %d", tt.stdout, err, tt.exit)
		}
	}
}

func TestFold(t *testing.T) {
	for _, tt := range []struct {
		words []string
		width int
		want  string
	}{
		{[]string{"farshore", "demo"}, 20, "farshore demo"},
		{[]string{"farshore", "demo", "--keep", "/tmp/x"}, 20, "farshore demo|--keep /tmp/x"},
		{[]string{"farshore", "add", "s3://b?endpoint=x&a=b", "--full", "--quiet"}, 24, "farshore add|'s3://b?endpoint=x&a=b'|--full --quiet"},
		{[]string{"x", "", "it's"}, 40, `x '' 'it'\''s'`},
	} {
		if got := strings.Join(fold(tt.words, tt.width), "|"); got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
}

// TestDemo plays the whole demo, once, and holds it to its own account, to 75 columns, and to one object of JSON.
func TestDemo(t *testing.T) {
	if testing.Short() {
		t.Skip("the demo is not short")
	}
	tmp, home := t.TempDir(), t.TempDir()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, "demo", "--json", "--keep", filepath.Join(tmp, "demo"))
	cmd.Args[0] = "farshore"
	// What a user may have in the environment must not matter.
	cmd.Env = append(os.Environ(), "HOME="+home, "TMPDIR="+tmp, "AWS_PROFILE=missing", "AWS_ENDPOINT_URL=http://127.0.0.1:1", "AWS_ACCESS_KEY_ID=x", "FARSHORE_CONFIG=/missing")
	cmd.Dir = home
	var stderr strings.Builder
	cmd.Stderr = &stderr
	stdout, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, stdout, stderr.String())
	}
	var got struct {
		Schema string
		Result demoResult
		Error  any
	}
	if err := json.Unmarshal(stdout, &got); err != nil {
		t.Fatal(err)
	}
	r := got.Result
	if got.Schema != "farshore.demo/1" || got.Error != nil || r.Snapshots != 3 || r.Bucket.Items != r.Objects || r.Bucket.Differences+r.Directory.Differences != 0 {
		t.Errorf("%s", stdout)
	}
	if r.UniqueBytes >= r.ReadBytes || r.StoredBytes >= r.UniqueBytes || r.StoredBytes == 0 {
		t.Errorf("no deduplication or no compression: %s", stdout)
	}
	for line := range strings.Lines(stderr.String()) {
		if len([]rune(strings.TrimSuffix(line, "\n"))) > 75 && !strings.Contains(line, tmp) && !strings.HasPrefix(line, "warning: ") { // these are the commands' own
			t.Errorf("%d columns: %s", len([]rune(line)), line)
		}
	}
	if files, _, err := treeSize(home); err != nil || files > 0 {
		t.Errorf("the user's home has %d files, %v", files, err)
	}
	entries, err := os.ReadDir(tmp)
	if err != nil || len(entries) != 1 {
		t.Errorf("beside the demo's directory there is %v, %v", entries, err)
	}
	for _, name := range []string{"vault/vault", "agent/farshore.yaml", "kit/recovery.key", "bare/restored/pages"} {
		if _, err := os.Stat(filepath.Join(r.Kept, name)); err != nil {
			t.Error(err)
		}
	}
	holdToRepositories(t, &r)
	if t.Failed() {
		t.Log(stderr.String())
	}
}

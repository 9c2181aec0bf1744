package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"farshore/providers/servers"
)

// document reads one of the documents for people.
func document(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestDocumentsLinks holds the documents' links to lead to files that are there.
func TestDocumentsLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)
	for _, name := range []string{"README.md", "docs/operate.md", "docs/recover.md"} {
		for _, m := range link.FindAllStringSubmatch(document(t, name), -1) {
			if _, err := os.Stat(filepath.Join("..", "..", filepath.Dir(name), m[1])); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// TestDocumentsCommands holds every command line of the documents to commands and flags that there are.
func TestDocumentsCommands(t *testing.T) {
	e, _, _ := testEnv(t)
	for _, name := range []string{"README.md", "docs/operate.md"} {
		n, code := 0, false
		for line := range strings.Lines(document(t, name)) {
			if strings.HasPrefix(strings.TrimSpace(line), "```") {
				code = !code
			}
			words := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "$ "))
			if !code || len(words) < 2 || words[0] != "farshore" {
				continue
			}
			n++
			found, _, err := newRoot(e).Find(words[1:])
			if err != nil || found.Parent() == nil {
				t.Errorf("%s: %q is of no command: %v", name, line, err)
				continue
			}
			for _, w := range words {
				flag, isFlag := strings.CutPrefix(w, "--")
				if flag, _, _ = strings.Cut(flag, "="); isFlag && found.Flag(flag) == nil {
					t.Errorf("%s: %q has an unknown flag --%s", name, line, flag)
				}
			}
		}
		if n < 6 {
			t.Errorf("%s: only %d command lines were found", name, n)
		}
	}
}

// TestDocumentsCommandsAll holds docs/operate.md to name every command.
func TestDocumentsCommandsAll(t *testing.T) {
	e, _, _ := testEnv(t)
	text := document(t, "docs/operate.md")
	for _, c := range commands(newRoot(e))[1:] {
		if !c.HasSubCommands() && !strings.Contains(text, c.CommandPath()) {
			t.Errorf("docs/operate.md does not name `%s`", c.CommandPath())
		}
	}
}

// TestSmallestCredentials holds the README's policies to be enough: an account that may do nothing else replicates a bucket with versions and tags into
// a vault, and can't delete there.
func TestSmallestCredentials(t *testing.T) {
	s := servers.Versity(t)
	guest, ok := s.Guest()
	if !ok {
		t.Fatal("the server has no second account")
	}
	source, place := s.Bucket(t), s.Bucket(t)
	client := s.Client(t)
	allow(t, client, guest.AccessKey, source, sourcePolicy(t))
	allow(t, client, guest.AccessKey, place, []statement{
		{Action: []string{"s3:ListBucket"}, Resource: []string{"arn:aws:s3:::"}},
		{Action: []string{"s3:PutObject", "s3:GetObject"}, Resource: []string{"arn:aws:s3:::/vault/*"}},
	})
	if _, err := client.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{
		Bucket: &source, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
	}); err != nil {
		t.Fatal(err)
	}
	for key, tags := range map[string]string{"a": "", "b/c": "kind=photo"} {
		in := &s3.PutObjectInput{Bucket: &source, Key: &key, Body: strings.NewReader(key)}
		if tags != "" {
			in.Tagging = &tags
		}
		if _, err := client.PutObject(t.Context(), in); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	farshore := func(code int, args ...string) string { return runAs(t, dir, guest, code, args...) }
	farshore(0, "init", "--vault", guest.URL(place, "vault"), "--config", "farshore.yaml", "--kit", "kit")
	farshore(0, "source", "add", "shop", guest.URL(source, ""))
	if out := farshore(0, "replicate"); !strings.Contains(out, "2 items listed, 2 new") {
		t.Errorf("replicate: %s", out)
	}
	if out := farshore(0, "replicate"); !strings.Contains(out, "0 new, 0 changed, 0 deleted") {
		t.Errorf("the second pass: %s", out)
	}
	farshore(0, "verify", "--identity", "kit/recovery.key")
	farshore(0, "restore", "--source", "shop", "--to", "out", "--identity", "kit/recovery.key")
	if b, err := os.ReadFile(filepath.Join(dir, "out", "b", "c")); err != nil || string(b) != "b/c" {
		t.Errorf("restored %q, %v", b, err)
	}
	for bucket, key := range map[string]string{source: "a", place: firstKey(t, client, place)} {
		if _, err := guest.Client(t).DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &bucket, Key: &key}); err == nil {
			t.Errorf("the account may delete %s", key)
		}
	}
}

// statement is one of a policy's. The resources are of a bucket named as in the README, or of none.
type statement struct {
	Effect    string
	Principal map[string][]string
	Action    []string
	Resource  []string
}

// sourcePolicy reads the policy of the README.
func sourcePolicy(t *testing.T) []statement {
	t.Helper()
	_, rest, _ := strings.Cut(document(t, "README.md"), "```json\n")
	text, _, _ := strings.Cut(rest, "```")
	var policy struct{ Statement []statement }
	if err := json.Unmarshal([]byte(text), &policy); err != nil || len(policy.Statement) != 2 {
		t.Fatalf("the README's policy: %v\n%s", err, text)
	}
	return policy.Statement
}

// allow gives an account what a policy says, on a bucket of another name.
func allow(t *testing.T, client *s3.Client, account, bucket string, policy []statement) {
	t.Helper()
	for i := range policy {
		policy[i].Effect, policy[i].Principal = "Allow", map[string][]string{"AWS": {account}}
		for j, r := range policy[i].Resource {
			_, below, found := strings.Cut(strings.TrimPrefix(r, "arn:aws:s3:::"), "/")
			policy[i].Resource[j] = "arn:aws:s3:::" + bucket
			if found {
				policy[i].Resource[j] += "/" + below
			}
		}
	}
	text, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": policy})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.PutBucketPolicy(t.Context(), &s3.PutBucketPolicyInput{Bucket: &bucket, Policy: aws.String(string(text))}); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
}

// runAs runs the program with an account's credentials, in a process of its own, holds it to an exit code, and returns its stdout.
func runAs(t *testing.T, dir string, s servers.S3, code int, args ...string) string {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Args[0], cmd.Dir = "farshore", dir
	cmd.Env = append(os.Environ(), "HOME="+dir, "AWS_ACCESS_KEY_ID="+s.AccessKey, "AWS_SECRET_ACCESS_KEY="+s.SecretKey, "AWS_SESSION_TOKEN=", "AWS_PROFILE=",
		"AWS_CONFIG_FILE=/nonexistent", "AWS_SHARED_CREDENTIALS_FILE=/nonexistent", "AWS_EC2_METADATA_DISABLED=true", "FARSHORE_CONFIG=")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if got := cmd.ProcessState.ExitCode(); got != code {
		t.Fatalf("farshore %s: %v\n%s%s", strings.Join(args, " "), err, out, stderr.String())
	}
	return string(out)
}

// firstKey returns a bucket's first key.
func firstKey(t *testing.T, client *s3.Client, bucket string) string {
	t.Helper()
	out, err := client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &bucket, MaxKeys: aws.Int32(1)})
	if err != nil || len(out.Contents) == 0 {
		t.Fatal(fmt.Errorf("list %s: %d keys, %w", bucket, len(out.Contents), err))
	}
	return *out.Contents[0].Key
}

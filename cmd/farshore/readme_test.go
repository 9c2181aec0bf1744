package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path"
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

// TestDocumentsLinks holds the documents' links to lead to files that are there, and to headings that these have.
func TestDocumentsLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]*)(#[^)]*)?\)`)
	for _, name := range []string{"README.md", "docs/operate.md", "docs/policies.md", "docs/recover.md", "docs/threat-model.md"} {
		for _, m := range link.FindAllStringSubmatch(document(t, name), -1) {
			to := path.Join(path.Dir(name), m[1])
			if m[1] == "" {
				to = name
			}
			if _, err := os.Stat(filepath.Join("..", "..", to)); err != nil {
				t.Errorf("%s: %v", name, err)
			} else if m[2] != "" && !strings.Contains(anchors(document(t, to)), m[2]+"\n") {
				t.Errorf("%s: %s has no heading %s", name, to, m[2])
			}
		}
	}
}

// anchors are the names that a document's headings get, a line each.
func anchors(text string) string {
	var b strings.Builder
	other := regexp.MustCompile(`[^a-z0-9 _-]`)
	for line := range strings.Lines(text) {
		if title, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " "); ok && strings.HasPrefix(line, "#") {
			title = other.ReplaceAllString(strings.ToLower(strings.TrimSpace(title)), "")
			b.WriteString("#" + strings.ReplaceAll(title, " ", "-") + "\n")
		}
	}
	return b.String()
}

// TestDocumentsCommands holds every command line of the documents to commands and flags that there are.
func TestDocumentsCommands(t *testing.T) {
	e, _, _ := testEnv(t)
	for _, name := range []string{"README.md", "docs/operate.md", "docs/service.md"} {
		n, code := 0, false
		for line := range strings.Lines(document(t, name)) {
			if strings.HasPrefix(strings.TrimSpace(line), "```") {
				code = !code
			}
			_, words := commandLine(strings.Replace(line, "sudo ", "", 1))
			if !code || len(words) < 2 || words[0] != "farshore" || words[1][0] >= '0' && words[1][0] <= '9' { // what a command printed names the version
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

// commandLine takes a line of a document apart, as a shell does: the AWS profile that it sets, and its words.
func commandLine(line string) (profile string, words []string) {
	for _, w := range strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "$ ")) {
		words = append(words, strings.ReplaceAll(w, "'", ""))
	}
	if len(words) > 0 && words[0] == "export" {
		words = words[1:]
	}
	if len(words) > 0 {
		if p, ok := strings.CutPrefix(words[0], "AWS_PROFILE="); ok {
			return p, words[1:]
		}
	}
	return "", words
}

// TestReadmeQuickPath does what the README says about a first bucket, in its words, on a MinIO server: the vault's bucket is made by the administrator, each role has the credential
// that the command prints for it, the probe proves the agent's, and what was stored is restored.
func TestReadmeQuickPath(t *testing.T) {
	_, text, _ := strings.Cut(document(t, "README.md"), "## Protect a first bucket")
	text, _, _ = strings.Cut(text, "\n## ")
	server := servers.MinIO(t)
	r := &rig{t: t, dir: t.TempDir()}
	t.Chdir(r.dir)
	profiles := map[string]servers.S3{"admin": server}
	r.sourceFor(server)
	profiles["shop-reader"] = r.server
	setAWS(t, servers.S3{})
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", r.path("credentials"))
	agent, did := "", map[string]bool{}
	for line := range strings.Lines(text) {
		profile, words := commandLine(line)
		if len(words) == 0 && profile != "" {
			agent = profile
		}
		if len(words) < 2 || words[0] != "farshore" {
			continue
		}
		args := r.here(server, words[1:])
		if args[0] == "policy" {
			for _, role := range []string{"writer", "auditor", "restorer"} {
				profiles[role] = servers.MinIOUser(t, server, r.policy(server.URL("offsite", "vault"), role))
			}
		}
		for _, command := range []struct{ name, profile string }{{"snapshots", "restorer"}, {"restore", "restorer"}, {"verify", "auditor"}} {
			if args[0] == command.name {
				profile = command.profile
			}
		}
		r.profiles(profiles)
		t.Setenv("AWS_PROFILE", or(profile, agent))
		d := r.ok(args...)
		if did[args[0]] = true; args[0] == "probe" {
			d.says("PROTECTED").lacks("UNPROTECTED", "NOT PROVEN")
		}
	}
	for _, command := range []string{"init", "policy", "probe", "source", "replicate", "snapshots", "restore", "verify"} {
		if !did[command] {
			t.Errorf("the README shows no `farshore %s`", command)
		}
	}
	if got := files(t, "restored"); len(got) != 2 || got["a/1"] != "alpha" || got["b"] != "beta" {
		t.Errorf("restored %q", got)
	}
}

// here puts the rig's addresses and the server's provider in place of the README's.
func (r *rig) here(server servers.S3, words []string) []string {
	var args []string
	for i, w := range words {
		switch {
		case strings.HasPrefix(w, "s3://offsite/vault"):
			w = server.URL("offsite", "vault")
		case strings.HasPrefix(w, "s3://shop-images"):
			w = r.url() + "&profile=shop-reader"
		case i > 0 && words[i-1] == "--provider":
			w = "minio"
		case w == "--admin" || i > 0 && words[i-1] == "--admin":
			continue // AWS alone knows it
		case w == "recovery.key":
			w = "kit/recovery.key"
		case w == "/srv/shop":
			w = "restored"
		}
		args = append(args, w)
	}
	return args
}

// profiles writes the accounts into the file that AWS's tools keep them in.
func (r *rig) profiles(accounts map[string]servers.S3) {
	r.t.Helper()
	var b strings.Builder
	for _, name := range sortedKeys(accounts) {
		fmt.Fprintf(&b, "[%s]\naws_access_key_id = %s\naws_secret_access_key = %s\n", name, accounts[name].AccessKey, accounts[name].SecretKey)
	}
	if err := os.WriteFile("credentials", []byte(b.String()), 0o600); err != nil {
		r.t.Fatal(err)
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

// TestSmallestCredentials holds the README's policy for a source to be enough: an account that may do nothing else replicates a bucket with versions and tags,
// and can't delete there. What the vault's credentials need is what the command policy prints, which TestPolicyCarriesEveryRole holds.
func TestSmallestCredentials(t *testing.T) {
	s := servers.Versity(t)
	guest, ok := s.Guest()
	if !ok {
		t.Fatal("the server has no second account")
	}
	source := s.Bucket(t)
	client := s.Client(t)
	allow(t, client, guest.AccessKey, source, sourcePolicy(t))
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
	farshore(0, "init", "--vault", "file://"+filepath.Join(dir, "vault"), "--config", "farshore.yaml", "--kit", "kit")
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
	if _, err := guest.Client(t).DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &source, Key: aws.String("a")}); err == nil {
		t.Error("the account may delete in the source")
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

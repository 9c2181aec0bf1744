package policy

import (
	"encoding/json"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestBadAddresses are names that some document or script would take for something else.
func TestBadAddresses(t *testing.T) {
	for address, want := range map[string]string{
		"s3://offsite/a*b":                         "* or ?",
		"s3://offsite/a%3Fb":                       "* or ?",
		"s3://offsite/a/%2e%2e/b":                  "segment",
		"s3://offsite/a//b":                        "segment",
		"s3://offsite/$%7Baws:username%7D":         "${",
		"s3://offsite/a%0Ab":                       "can't be printed",
		"s3://offsite/a%E2%80%AEb":                 "can't be printed",
		"s3://offsite/%ff":                         "UTF-8",
		"s3://offsite/" + strings.Repeat("a", 201): "201 bytes",
		"s3://offsite/a?endpoint=https://h/%0Ax":   "endpoint",
		"s3://offsite/a?endpoint=https://h'%3Bid":  "endpoint",
		"s3://offsite/a?region=x%22%20y":           "region",
		"s3://user:secret@offsite/a":               "can't be read",
		"rclone:nothing":                           "can't be read",
		"rclone::sftp,host=a$(id),user=b:vault":    "host",
		"rclone::sftp,host=\"a:b\",user=b:vault":   "can't be read",
		"ftp://offsite":                            "must begin",
		"rclone:remote:offsite/*":                  "* or ?",
	} {
		_, err := ParseVault(address)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", address, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error repeats a secret: %v", address, err)
		}
	}
}

// TestBadRequests are what no document is written for.
func TestBadRequests(t *testing.T) {
	good := func() Request {
		return Request{Provider: AWS, Roles: []Role{Writer}, Vault: vaultAt(t, "s3://offsite/vault")}
	}
	for name, c := range map[string]struct {
		change func(*Request)
		want   string
	}{
		"provider":           {func(r *Request) { r.Provider = "aol" }, "no provider is called"},
		"no role":            {func(r *Request) { r.Roles = nil }, "no role is named"},
		"role":               {func(r *Request) { r.Roles = []Role{"root"} }, "no role is called"},
		"twice":              {func(r *Request) { r.Roles = []Role{Writer, Writer} }, "named twice"},
		"retention":          {func(r *Request) { r.RetentionDays = 40000 }, "not between"},
		"negative":           {func(r *Request) { r.RetentionDays = -1 }, "not between"},
		"ceiling":            {func(r *Request) { r.RetentionDays, r.CeilingDays = 90, 60 }, "ceiling"},
		"admin":              {func(r *Request) { r.Admins = []string{"arn:aws:iam::123456789012:role/*"} }, "no ARN"},
		"admin of another":   {func(r *Request) { r.Provider, r.Admins = MinIO, []string{"arn:aws:iam::123456789012:role/a"} }, "no use"},
		"principal":          {func(r *Request) { r.Provider, r.Principals = Ceph, map[Role]string{Writer: "*"} }, "can't be a principal"},
		"principal of none":  {func(r *Request) { r.Provider, r.Principals = Ceph, map[Role]string{Owner: "a"} }, "not asked for"},
		"bucket":             {func(r *Request) { r.Vault.Bucket = "Off_site" }, "can't be a bucket's name"},
		"bucket of commands": {func(r *Request) { r.Vault.Bucket = "$(id)" }, "can't be a bucket's name"},
		"no bucket":          {func(r *Request) { r.Vault.Bucket = "" }, "names no bucket"},
		"directory":          {func(r *Request) { r.Vault = vaultAt(t, "file:///srv") }, "is a directory"},
		"not a directory":    {func(r *Request) { r.Provider = SFTP }, "is a bucket"},
		"gs":                 {func(r *Request) { r.Vault = vaultAt(t, "gs://offsite") }, "Google"},
		"s3 at google":       {func(r *Request) { r.Provider = GCS }, "does not speak S3"},
		"another's endpoint": {func(r *Request) { r.Vault = vaultAt(t, "s3://offsite?endpoint=https://s3.wasabisys.com") }, "one of wasabi"},
		"azure quote":        {func(r *Request) { r.Provider, r.Vault = Azure, vaultAt(t, "rclone:az:offsite/it's") }, "condition of Azure"},
		"azure dots":         {func(r *Request) { r.Provider, r.Vault = Azure, vaultAt(t, "rclone:az:off.site/a") }, "no dots"},
		"prefix by hand":     {func(r *Request) { r.Vault.Prefix = "a\nb" }, "can't be printed"},
	} {
		r := good()
		c.change(&r)
		if _, err := Make(r); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if _, err := Make(good()); err != nil {
		t.Fatal(err)
	}
}

// evil is a prefix that means something to sh, HCL, JSON and CEL, and nothing to policies.
const evil = `a'b"c$(touch hacked)` + "`touch hacked`" + `;touch hacked #&<>|\ %{ if true }é`

// TestEvilNames holds that an awkward prefix is quoted wherever it stands.
func TestEvilNames(t *testing.T) {
	for p, all := range addresses {
		if p == Azure || p == REST {
			continue
		}
		v := vaultAt(t, all[0])
		v.Prefix = evil
		if v.scheme == "rclone" && p != SFTP && p != File {
			v.Prefix = "offsite/" + evil
		}
		out := made(t, Request{Provider: p, Roles: Roles(), Vault: v})
		if err := hclForm(out.Terraform); err != nil {
			t.Errorf("%s: %v\n%s", p, err, out.Terraform)
		}
		if strings.Contains(strings.ReplaceAll(out.Terraform, "%%{", ""), "%{") {
			t.Errorf("%s: a template is open in\n%s", p, out.Terraform)
		}
		terraformForm(t, string(p), out.Terraform)
		runDry(t, p, out)
	}
}

// runDry runs the script with every program replaced by one that does nothing, and looks whether the name was taken for a command, and whether the files that
// it writes are the documents.
func runDry(t *testing.T, p Provider, out *Result) {
	t.Helper()
	dir, bin := t.TempDir(), t.TempDir()
	for _, program := range []string{"aws", "az", "b2", "gcloud", "mc", "npx", "uplink", "doctl", "zfs", "install"} {
		if err := os.WriteFile(filepath.Join(bin, program), []byte("#!/bin/sh\nexit 0\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("sh")
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(out.CLI)
	cmd.Env = []string{"PATH=" + bin + ":/usr/bin:/bin"}
	for _, v := range []string{"ALIAS", "AWS_REGION", "DATASET", "LOCATION", "PROJECT", "S3_ENDPOINT", "STORJ_ACCESS", "RESOURCE_GROUP", "STORAGE_ACCOUNT", "SUBSCRIPTION",
		"WRITER_SECRET", "AUDITOR_SECRET", "RESTORER_SECRET", "STEWARD_SECRET", "OWNER_SECRET"} {
		cmd.Env = append(cmd.Env, v+"=x")
	}
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s: %v: %s\n%s", p, err, text, out.CLI)
	}
	if _, err := os.Stat(filepath.Join(dir, "hacked")); err == nil {
		t.Errorf("%s: the prefix was run as a command:\n%s", p, out.CLI)
	}
	for _, d := range out.Documents {
		written, err := os.ReadFile(filepath.Join(dir, d.Name))
		if err == nil && strings.TrimSpace(string(written)) != string(d.Body) {
			t.Errorf("%s: the script writes another %s:\n%s", p, d.Name, written)
		}
	}
}

// TestMissingVariable holds that a script stops before its first command where a variable is not set.
func TestMissingVariable(t *testing.T) {
	out := made(t, Request{Provider: MinIO, Roles: []Role{Writer}, Vault: vaultAt(t, "s3://offsite")})
	cmd := exec.Command("sh")
	cmd.Stdin, cmd.Env, cmd.Dir = strings.NewReader(out.CLI), []string{"PATH=/nowhere"}, t.TempDir()
	text, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(text), "set it to") {
		t.Errorf("%v: %s", err, text)
	}
}

// TestEscapes holds that documents give back the prefix that they were made with.
func TestEscapes(t *testing.T) {
	v := vaultAt(t, "s3://offsite/"+url.PathEscape(evil))
	if v.Prefix != evil {
		t.Fatalf("prefix %q", v.Prefix)
	}
	out := made(t, Request{Provider: AWS, Roles: []Role{Restorer}, Vault: v})
	var doc document
	if err := json.Unmarshal(out.Documents[0].Body, &doc); err != nil {
		t.Fatal(err)
	}
	if got, want := doc.Statement[0].Resource[0], "arn:aws:s3:::offsite/"+evil+"/*"; got != want {
		t.Errorf("resource %s, want %s", got, want)
	}
	if strings.Contains(string(out.Documents[0].Body), `\u003c`) {
		t.Error("the document escapes what JSON need not")
	}
}

// FuzzPrefix holds that whatever prefix is taken, the documents are JSON that names it, and the module is HCL.
func FuzzPrefix(f *testing.F) {
	f.Add("vault")
	f.Add(evil)
	f.Add("a/b c/d")
	f.Fuzz(func(t *testing.T, prefix string) {
		v := Vault{Bucket: "offsite", Prefix: prefix, scheme: "s3"}
		for _, p := range []Provider{AWS, MinIO, B2, R2, Scaleway} {
			out, err := Make(Request{Provider: p, Roles: Roles(), Vault: v})
			if err != nil {
				continue
			}
			for _, d := range out.Documents {
				if !json.Valid(d.Body) {
					t.Errorf("%s %q: no JSON:\n%s", p, prefix, d.Body)
				}
			}
			if err := hclForm(out.Terraform); err != nil {
				t.Errorf("%s %q: %v", p, prefix, err)
			}
		}
	})
}

// TestGuess holds that a provider is only guessed where the address is sure.
func TestGuess(t *testing.T) {
	for address, want := range map[string]Provider{
		"s3://offsite": AWS, "s3://offsite?endpoint=https://s3.eu-central-1.amazonaws.com": AWS, "gs://offsite": GCS, "gs://offsite?endpoint=http://127.0.0.1:9": "",
		"s3://offsite?endpoint=https://minio.example.com": "", "s3://offsite?endpoint=https://s3.amazonaws.com.example.com": "",
		"s3://offsite?endpoint=https://x.R2.cloudflarestorage.com": R2, "s3://offsite?endpoint=https://notwasabisys.com": "",
		"rclone:remote:offsite": "", "rclone::b2:offsite": B2, "rclone::sftp,host=h:v": SFTP, "file:///srv/vault": File, "rclone::webdav:x": "",
	} {
		got, sure := vaultAt(t, address).Guess()
		if !sure {
			got = ""
		}
		if got != want {
			t.Errorf("%s: %q, want %q", address, got, want)
		}
	}
}

package policy

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// addresses are a vault's address at each provider, with a prefix and without.
var addresses = map[Provider][]string{
	AWS:          {"s3://offsite/vault?region=eu-central-1", "s3://offsite", "s3://offsite/a/b?region=us-gov-west-1"},
	GCS:          {"gs://offsite/vault", "gs://offsite"},
	Azure:        {"rclone:azure:offsite/vault", "rclone:azure:offsite"},
	B2:           {"s3://offsite/vault?endpoint=https://s3.eu-central-003.backblazeb2.com", "rclone:b2:offsite"},
	R2:           {"s3://offsite/vault?endpoint=https://0123456789abcdef.r2.cloudflarestorage.com", "s3://offsite?endpoint=https://0123456789abcdef.r2.cloudflarestorage.com"},
	Wasabi:       {"s3://offsite/vault?endpoint=https://s3.eu-central-1.wasabisys.com", "s3://offsite?endpoint=https://s3.wasabisys.com"},
	MinIO:        {"s3://offsite/vault?endpoint=https://minio.example.com", "s3://offsite"},
	Ceph:         {"s3://offsite/vault?endpoint=https://rgw.example.com", "s3://offsite"},
	Scaleway:     {"s3://offsite/vault?endpoint=https://s3.nl-ams.scw.cloud&region=nl-ams", "s3://offsite"},
	OVH:          {"s3://offsite/vault?endpoint=https://s3.gra.io.cloud.ovh.net&region=gra", "s3://offsite"},
	Hetzner:      {"s3://offsite/vault?endpoint=https://fsn1.your-objectstorage.com&region=fsn1", "s3://offsite"},
	IDrive:       {"s3://offsite/vault?endpoint=https://l4g4.ch11.idrivee2.com", "s3://offsite"},
	Storj:        {"s3://offsite/vault?endpoint=https://gateway.storjshare.io", "s3://offsite"},
	Versity:      {"s3://offsite/vault?endpoint=https://versity.example.com", "s3://offsite"},
	DigitalOcean: {"s3://offsite/vault?endpoint=https://ams3.digitaloceanspaces.com&region=ams3", "s3://offsite"},
	SFTP:         {"rclone:backup:/srv/vault", "rclone::sftp,host=backup.example.com,user=farshore:vault"},
	File:         {"file:///srv/vault", "rclone::local:/srv/vault"},
	REST:         {"rclone:rest:vault", "rclone:rest:vault/b"},
}

func vaultAt(t *testing.T, address string) Vault {
	t.Helper()
	v, err := ParseVault(address)
	if err != nil {
		t.Fatalf("%s: %v", address, err)
	}
	return v
}

func made(t *testing.T, r Request) *Result {
	t.Helper()
	out, err := Make(r)
	if err != nil {
		t.Fatalf("%s %v: %v", r.Provider, r.Roles, err)
	}
	return out
}

// every calls do with the result of each provider, role, address and option.
func every(t *testing.T, do func(t *testing.T, r Request, out *Result)) {
	if len(addresses) != len(stores) {
		t.Fatalf("%d providers, and addresses for %d", len(stores), len(addresses))
	}
	for p, all := range addresses {
		for _, address := range all {
			requests := []Request{{Roles: Roles()}, {Roles: []Role{Writer}, ReadBack: true, RetentionDays: 400}}
			for _, role := range Roles() {
				requests = append(requests, Request{Roles: []Role{role}})
			}
			for _, r := range requests {
				r.Provider, r.Vault = p, vaultAt(t, address)
				do(t, r, made(t, r))
			}
		}
	}
}

// TestGolden holds what is written for each provider and all roles to what a person has read.
func TestGolden(t *testing.T) {
	for p, all := range addresses {
		r := Request{Provider: p, Roles: Roles(), Vault: vaultAt(t, all[0])}
		if p == AWS {
			r.Admins = []string{"arn:aws:iam::123456789012:role/break-glass"}
		}
		file := filepath.Join("..", "..", "testdata", "policy", string(p)+".txt")
		got := golden(made(t, r))
		if *update {
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatalf("%v: run with -update", err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what is written now: run with -update and read the difference", file)
		}
	}
}

// golden is a result in the form of a golden file.
func golden(r *Result) []byte {
	var w bytes.Buffer
	fmt.Fprintf(&w, "%s %v, bucket %q, prefix %q: %s\n", r.Provider, r.Roles, r.Bucket, r.Prefix, r.Strength)
	for _, s := range r.Settings {
		fmt.Fprintf(&w, "setting %s: %s (%s)\n", s.Name, s.Value, s.Why)
	}
	for _, d := range r.Documents {
		fmt.Fprintf(&w, "\n-- %s: %s\n%s\n", d.Name, d.What, d.Body)
	}
	fmt.Fprintf(&w, "\n-- cli\n%s\n-- terraform\n%s", r.CLI, r.Terraform)
	return w.Bytes()
}

// TestForms holds each document to be JSON, each script to be sh, and each module to be HCL.
func TestForms(t *testing.T) {
	every(t, func(t *testing.T, r Request, out *Result) {
		name := fmt.Sprint(r.Provider, r.Roles)
		seen := map[string]bool{}
		for _, d := range out.Documents {
			if !json.Valid(d.Body) || seen[d.Name] || d.What == "" {
				t.Errorf("%s: document %s is no JSON, has no words, or comes twice:\n%s", name, d.Name, d.Body)
			}
			seen[d.Name] = true
		}
		if out.Words == "" || len(out.Limits) == 0 || out.Checked == "" {
			t.Errorf("%s: words, limits or what was checked is missing", name)
		}
		if err := hclForm(out.Terraform); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out.Terraform)
		}
		if _, err := json.Marshal(out); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if r.Provider != REST && r.Provider != SFTP && r.Provider != File && len(r.Roles) == len(Roles()) {
			shellForm(t, name, out.CLI)
			terraformForm(t, name, out.Terraform)
		}
	})
}

// hclForm checks what can be without Terraform: that quotes, heredocs and braces are closed.
func hclForm(text string) error {
	depth, heredoc := 0, false
	for n, line := range strings.Split(text, "\n") {
		switch trimmed := strings.TrimSpace(line); {
		case heredoc:
			heredoc = trimmed != "JSON"
			if strings.Contains(strings.ReplaceAll(line, "$${", ""), "${") {
				return fmt.Errorf("line %d has an open template: %s", n+1, line)
			}
			continue
		case strings.HasPrefix(trimmed, "#"):
			continue
		case strings.HasSuffix(trimmed, "<<-JSON"):
			heredoc = true
			continue
		}
		d, err := hclLine(line)
		if depth += d; err != nil || depth < 0 {
			return fmt.Errorf("line %d: %v: %s", n+1, err, line)
		}
	}
	if depth != 0 || heredoc {
		return fmt.Errorf("%d braces and a heredoc (%v) are open at the end", depth, heredoc)
	}
	return nil
}

// hclLine counts what a line opens and closes outside of strings.
func hclLine(line string) (depth int, err error) {
	quoted, escaped := false, false
	for _, c := range line {
		switch {
		case escaped:
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
		case quoted:
		case strings.ContainsRune("{[(", c):
			depth++
		case strings.ContainsRune("}])", c):
			depth--
		}
	}
	if quoted {
		return 0, fmt.Errorf("a string is open")
	}
	return depth, nil
}

// shellForm has sh read the script without running it.
func shellForm(t *testing.T, name, script string) {
	t.Helper()
	cmd := exec.Command("sh", "-n")
	cmd.Stdin = strings.NewReader(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s: sh: %v: %s\n%s", name, err, out, script)
	}
}

// terraformForm has Terraform parse the module, where there is one: it needs no provider for that.
func terraformForm(t *testing.T, name, module string) {
	t.Helper()
	path, err := exec.LookPath("terraform")
	if err != nil || testing.Short() {
		return
	}
	cmd := exec.Command(path, "fmt", "-no-color", "-")
	cmd.Stdin = strings.NewReader(module)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("%s: terraform fmt: %v: %s\n%s", name, err, &stderr, module)
	} else if got := string(out); got != module {
		t.Errorf("%s: terraform would write it otherwise:\n%s", name, got)
	}
}

// harmful are permissions that no role may have at any provider, in lower case.
var harmful = []string{
	"s3:deleteobject", "s3:deleteobjectversion", "s3:bypassgovernanceretention", "s3:putobjectacl", "s3:putobjectversionacl", "s3:putobjecttagging", "s3:putobjectversiontagging",
	"s3:deleteobjecttagging", "s3:deleteobjectversiontagging", "s3:putobjectlegalhold", "s3:putlifecycleconfiguration", "s3:putbucketversioning", "s3:putbucketobjectlockconfiguration",
	"s3:putbucketpolicy", "s3:deletebucketpolicy", "s3:deletebucket", "s3:putbucketacl", "s3:putreplicationconfiguration", "s3:replicateobject", "s3:replicatedelete",
	"storage.objects.delete", "storage.objects.overrideunlockedretention", "storage.objects.setiampolicy", "storage.buckets.update", "storage.buckets.delete", "storage.buckets.setiampolicy",
	strings.ToLower(azureBlob) + "write", strings.ToLower(azureBlob) + "delete", strings.ToLower(azureBlob) + "permanentdelete/action",
	"deletefiles", "bypassgovernance", "writebuckets", "deletebuckets", "writebucketretentions", "writekeys", "writefilelegalholds", "sharefiles",
}

// stewards are permissions that only the steward may have.
var stewards = []string{"s3:putobjectretention", "storage.objects.setretention", "storage.objects.update", "writefileretentions"}

// TestNothingHarmfulIsGranted collects every permission that any document grants, and looks for the harmful ones and for patterns.
func TestNothingHarmfulIsGranted(t *testing.T) {
	seen := map[string]bool{}
	every(t, func(t *testing.T, r Request, out *Result) {
		for _, d := range out.Documents {
			for _, g := range granted(t, d.Body) {
				g = strings.ToLower(g)
				seen[g] = true
				if slices.Contains(harmful, g) || strings.ContainsAny(g, "*?") {
					t.Errorf("%s %v: %s grants %s", r.Provider, r.Roles, d.Name, g)
				}
				if slices.Contains(stewards, g) && !slices.Contains(r.Roles, Steward) {
					t.Errorf("%s %v: %s grants %s, which is the steward's", r.Provider, r.Roles, d.Name, g)
				}
			}
		}
	})
	for _, must := range slices.Concat(stewards, []string{"s3:putobject", "storage.objects.create", strings.ToLower(azureBlob) + "add/action", "writefiles"}) {
		if !seen[must] {
			t.Errorf("no document grants %s: this test sees too little", must)
		}
	}
}

// granted walks a document and returns what its statements, roles and keys allow.
func granted(t *testing.T, body Raw) []string {
	t.Helper()
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatal(err)
	}
	var out []string
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			for k, e := range v {
				listed := slices.Contains([]string{"Action", "includedPermissions", "DataActions", "Actions", "capabilities"}, k)
				if list, ok := e.([]any); ok && listed && v["Effect"] != "Deny" {
					for _, s := range list {
						out = append(out, s.(string))
					}
				}
				walk(e)
			}
		}
	}
	walk(v)
	return out
}

// TestOtherProviders holds what is no permission: that nobody but who must gets a credential that writes.
func TestOtherProviders(t *testing.T) {
	for _, c := range []struct {
		provider    Provider
		role        Role
		has, hasNot string
	}{
		{R2, Restorer, `"Object Read only"`, "Write"},
		{R2, Writer, `"Object Read & Write"`, "Admin"},
		{DigitalOcean, Restorer, `"permission": "read"`, "readwrite"},
		{DigitalOcean, Writer, `"permission": "readwrite"`, "fullaccess"},
		{IDrive, Restorer, `"permissions": "Read"`, `"delete_objects": true`},
		{IDrive, Writer, `"delete_objects": false`, `"delete_buckets": true`},
		{Storj, Restorer, `"readonly": true`, `"deletes": true`},
		{Storj, Writer, `"readonly": false`, `"deletes": true`},
		{SFTP, Restorer, "internal-sftp -R", "-P"},
		{SFTP, Writer, "remove,rename", "-R"},
		{GCS, Writer, "objects/vault/packs/", "objects/vault/vault/\") ||"},
		{B2, Auditor, `"namePrefix": "vault/reports/"`, "deleteFiles"},
	} {
		out := made(t, Request{Provider: c.provider, Roles: []Role{c.role}, Vault: vaultAt(t, addresses[c.provider][0])})
		var text strings.Builder
		for _, d := range out.Documents {
			text.Write(d.Body)
		}
		if !strings.Contains(text.String(), c.has) || strings.Contains(text.String(), c.hasNot) {
			t.Errorf("%s %s: want %s and not %s in\n%s", c.provider, c.role, c.has, c.hasNot, &text)
		}
	}
}

// TestStrengths holds that a provider which can carry nothing says so, and that only such a one does.
func TestStrengths(t *testing.T) {
	none := []Provider{DigitalOcean, SFTP, File, REST}
	every(t, func(t *testing.T, r Request, out *Result) {
		if (out.Strength == Nothing) != slices.Contains(none, r.Provider) {
			t.Errorf("%s is said to be %s", r.Provider, out.Strength)
		}
		if out.Strength == Nothing && !strings.Contains(out.Words, "can't") {
			t.Errorf("%s can carry nothing and says %q", r.Provider, out.Words)
		}
	})
}

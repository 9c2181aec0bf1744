package policy

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

const (
	someone    = "arn:aws:iam::123456789012:user/farshore-writer"
	breakGlass = "arn:aws:iam::123456789012:role/break-glass"
)

func need(action, name string) [][2]string {
	resource := "arn:aws:s3:::offsite"
	if name != "" {
		resource += "/vault/" + name
	}
	return [][2]string{{"s3:" + action, resource}}
}

var conditional = map[string]string{"s3:if-none-match": "*", "s3:ObjectCreationOperation": "true"}

// names are an object of each room and one of its canaries.
func names(room string) []string {
	return []string{room + "/aa/0123456789abcdef", room + "/canary/0123"}
}

// creates are the creating requests in some rooms.
func creates(rooms ...string) []request {
	var out []request
	for _, room := range rooms {
		for _, n := range names(room) {
			out = append(out, request{"create " + n, need("PutObject", n), conditional})
		}
	}
	return out
}

// reads are reading requests, of what is there, of a version, and of its lock.
func reads(withLocks bool, names ...string) []request {
	var out []request
	for _, n := range names {
		out = append(out, request{"read " + n, need("GetObject", n), nil}, request{"read a version of " + n, need("GetObjectVersion", n), nil})
		if withLocks {
			out = append(out, lockReads(n)...)
		}
	}
	return out
}

func lockReads(name string) []request {
	return []request{{"ask for the lock of " + name, need("GetObjectRetention", name), nil}, {"ask for the hold of " + name, need("GetObjectLegalHold", name), nil}}
}

func inRooms(rooms ...string) []string {
	var out []string
	for _, r := range rooms {
		out = append(out, names(r)...)
	}
	return out
}

// lists are listings, and what decides whether a missing name is told from one that may not be read.
func lists() []request {
	return []request{
		{"list", need("ListBucket", ""), map[string]string{"s3:prefix": "vault/"}},
		{"list a room", need("ListBucket", ""), map[string]string{"s3:prefix": "vault/packs/"}},
		{"be told that a name is missing", need("ListBucket", ""), nil},
		{"list versions", need("ListBucketVersions", ""), map[string]string{"s3:prefix": "vault/"}},
		{"list the versions of a name", need("ListBucketVersions", ""), map[string]string{"s3:prefix": "vault/packs/aa/0123"}},
	}
}

func asks() []request {
	return []request{
		{"ask for versioning", need("GetBucketVersioning", ""), nil}, {"ask for Object Lock", need("GetBucketObjectLockConfiguration", ""), nil},
		{"ask for the lifecycle", need("GetLifecycleConfiguration", ""), nil},
	}
}

// attacks are what the probe tries, on an object that the credential may create, and more.
func attacks() []request {
	var out []request
	for _, n := range inRooms(rooms...) {
		add := func(what, action string, keys map[string]string) {
			out = append(out, request{what + " " + n, need(action, n), keys})
		}
		add("overwrite", "PutObject", map[string]string{"s3:ObjectCreationOperation": "true"})
		add("overwrite where it matches", "PutObject", map[string]string{"s3:if-match": "etag", "s3:ObjectCreationOperation": "true"})
		add("upload a part over", "PutObject", map[string]string{"s3:ObjectCreationOperation": "false"})
		out = append(out, request{"copy over " + n, append(need("GetObject", n), need("PutObject", n)...), map[string]string{"s3:ObjectCreationOperation": "true"}})
		withKey := maps.Clone(conditional)
		withKey["s3:x-amz-server-side-encryption-customer-algorithm"] = "AES256"
		add("create with a customer's key", "PutObject", withKey)
		locked := append(need("PutObject", n), need("PutObjectRetention", n)...)
		out = append(out, request{"create with a lock of 100 years " + n, locked, map[string]string{"s3:if-none-match": "*", "s3:object-lock-remaining-retention-days": "36500"}})
		out = append(out, request{"create with a legal hold " + n, append(need("PutObject", n), need("PutObjectLegalHold", n)...), conditional})
		out = append(out, request{"create with tags " + n, append(need("PutObject", n), need("PutObjectTagging", n)...), conditional})
		out = append(out, request{"create with an ACL " + n, append(need("PutObject", n), need("PutObjectAcl", n)...), conditional})
		out = append(out, request{"delete in governance mode " + n, append(need("DeleteObjectVersion", n), need("BypassGovernanceRetention", n)...), nil})
		out = append(out, request{"lock for 100 years " + n, need("PutObjectRetention", n), map[string]string{"s3:object-lock-remaining-retention-days": "36500"}})
		for _, action := range destroying {
			add("do "+action+" on", strings.TrimPrefix(action, "s3:"), nil)
		}
	}
	for _, action := range loosening {
		out = append(out, request{"do " + action, need(strings.TrimPrefix(action, "s3:"), ""), nil})
	}
	return out
}

func documentsOf(t *testing.T, r *Result) (byName map[string]document) {
	t.Helper()
	byName = map[string]document{}
	for _, d := range r.Documents {
		var doc document
		if err := json.Unmarshal(d.Body, &doc); err != nil {
			t.Fatal(err)
		}
		byName[d.Name] = doc
	}
	return byName
}

// wants is what each role must be able to do.
func wants(r Role, readBack bool) []request {
	all := inRooms(rooms...)
	switch r {
	case Writer:
		out := slices.Concat(creates("packs", "meta", "commits", "reports"), reads(true, append(inRooms("meta", "commits", "reports", "vault"), "packs/canary/0123")...),
			lockReads(names("packs")[0]), lists(), asks())
		if readBack {
			out = append(out, reads(true, inRooms("packs")...)...)
		}
		return out
	case Auditor:
		return slices.Concat(creates("reports"), reads(true, all...), lists(), asks())
	case Restorer:
		return slices.Concat(reads(false, all...), lists())
	case Steward:
		out := slices.Concat(reads(true, inRooms("meta", "commits", "reports", "vault")...), lockReads(names("packs")[0]), lockReads(names("packs")[1]), lists(), asks())
		for _, n := range all {
			out = append(out, request{"extend " + n, need("PutObjectRetention", n), map[string]string{"s3:object-lock-remaining-retention-days": "120"}})
		}
		return out
	}
	return slices.Concat(creates("vault"), reads(true, all...), lists(), asks())
}

// TestAWSDocuments holds each role, under its own policy and the bucket's, to all that farshore asks for and to nothing that its probe tries. Nothing else is allowed
// either: what one role must be able to do and another need not, the other may not.
func TestAWSDocuments(t *testing.T) {
	for _, readBack := range []bool{false, true} {
		out := made(t, Request{Provider: AWS, Roles: Roles(), Vault: vaultAt(t, "s3://offsite/vault"), Admins: []string{breakGlass}, ReadBack: readBack})
		docs := documentsOf(t, out)
		for _, role := range Roles() {
			both := []document{docs[string(role)+".json"], docs["bucket.json"]}
			may := map[string]bool{}
			for _, r := range wants(role, readBack) {
				may[r.name] = true
				if ok, why := evaluate(both, someone, r); !ok {
					t.Errorf("%s can't %s: %s", role, r.name, why)
				}
			}
			for _, r := range attacks() {
				if ok, _ := evaluate(both, someone, r); ok {
					t.Errorf("%s can %s", role, r.name)
				}
				// The role's own policy alone must be enough, where a bucket's policy can't be put or was lost.
				if ok, _ := evaluate(both[:1], someone, r); ok && !strings.HasPrefix(r.name, "create with a customer's key") {
					t.Errorf("%s can %s without the bucket's policy", role, r.name)
				}
			}
			for _, other := range Roles() {
				for _, r := range wants(other, true) {
					if ok, _ := evaluate(both, someone, r); ok && !may[r.name] {
						t.Errorf("%s can %s and need not", role, r.name)
					}
				}
			}
		}
	}
}

// TestBucketPolicyHolds shows that the bucket's policy holds against a credential with every permission, but for what it leaves to the administrators.
func TestBucketPolicyHolds(t *testing.T) {
	everything := document{Statement: []statement{{Effect: "Allow", Action: []string{"s3:*"}, Resource: []string{"*"}}}}
	for _, admins := range [][]string{nil, {breakGlass}} {
		docs := documentsOf(t, made(t, Request{Provider: AWS, Roles: []Role{Writer}, Vault: vaultAt(t, "s3://offsite/vault"), Admins: admins}))
		both := []document{everything, docs["bucket.json"]}
		for _, r := range attacks() {
			settings := strings.Contains(r.needs[0][1], "offsite/") == false
			if ok, _ := evaluate(both, someone, r); ok != (settings && admins == nil) {
				t.Errorf("administrators %v: whoever has s3:* can %s: %v", admins, r.name, ok)
			}
		}
		elsewhere := request{"delete another prefix", [][2]string{{"s3:DeleteObject", "arn:aws:s3:::offsite/elsewhere"}}, nil}
		if ok, why := evaluate(both, someone, elsewhere); !ok {
			t.Errorf("the policy closes what is not the vault's: %s", why)
		}
		for _, action := range loosening {
			if ok, why := evaluate(both, breakGlass, request{action, need(strings.TrimPrefix(action, "s3:"), ""), nil}); !ok {
				t.Errorf("an administrator can't %s: %s", action, why)
			}
		}
	}
}

// TestMutatedPolicies adds one dangerous permission at a time to the writer's policy and holds that the evaluation notices: the tests above could fail.
func TestMutatedPolicies(t *testing.T) {
	docs := documentsOf(t, made(t, Request{Provider: AWS, Roles: []Role{Writer}, Vault: vaultAt(t, "s3://offsite/vault")}))
	attacked := func(d document) int {
		n := 0
		for _, r := range attacks() {
			if ok, _ := evaluate([]document{d}, someone, r); ok && !strings.HasPrefix(r.name, "create with a customer's key") {
				n++
			}
		}
		return n
	}
	right := docs["writer.json"]
	if attacked(right) != 0 {
		t.Fatal("the right policy is not")
	}
	for _, action := range slices.Concat(destroying, loosening, extendActions) {
		if action == "s3:BypassGovernanceRetention" {
			continue // of no use without s3:DeleteObjectVersion
		}
		bad := document{Statement: append(slices.Clone(right.Statement), statement{Effect: "Allow", Action: []string{action}, Resource: []string{"arn:aws:s3:::offsite", "arn:aws:s3:::offsite/vault/*"}})}
		if attacked(bad) == 0 {
			t.Errorf("nothing notices %s", action)
		}
	}
	open := document{Statement: slices.Clone(right.Statement)}
	open.Statement[0].Condition = nil
	if attacked(open) == 0 {
		t.Error("nothing notices that the create-only condition is gone")
	}
}

// TestOtherDialects holds the S3 services without conditions to the same table, but for overwriting, which they can't refuse.
func TestOtherDialects(t *testing.T) {
	for p, d := range dialects {
		if p == AWS {
			continue
		}
		out := made(t, Request{Provider: p, Roles: Roles(), Vault: vaultAt(t, "s3://offsite/vault")})
		docs := documentsOf(t, out)
		for _, role := range Roles() {
			doc := docs[string(role)+".json"]
			if d.inBucket {
				doc = only(docs["bucket.json"], title(role))
			}
			if d.bare {
				doc = withARNs(doc)
			}
			if len(doc.Statement) == 0 {
				t.Errorf("%s: no statement for the %s", p, role)
			}
			for _, r := range wants(role, false) {
				known := !slices.ContainsFunc(r.needs, func(n [2]string) bool { return d.understood([]string{n[0]}) == nil })
				if ok, why := evaluate([]document{doc}, someone, r); !ok && known {
					t.Errorf("%s: %s can't %s: %s", p, role, r.name, why)
				}
			}
			for _, r := range attacks() {
				if ok, _ := evaluate([]document{doc}, someone, r); ok && !slices.ContainsFunc([]string{"overwrite", "upload a part", "copy over", "create with a customer's key"}, func(s string) bool {
					return strings.HasPrefix(r.name, s)
				}) && (d.ceiling || !strings.HasPrefix(r.name, "lock for") || role != Steward) {
					t.Errorf("%s: %s can %s", p, role, r.name)
				}
			}
		}
	}
}

// only keeps the statements of one role.
func only(d document, role string) document {
	var out document
	for _, s := range d.Statement {
		if strings.HasPrefix(s.Sid, role) {
			out.Statement = append(out.Statement, s)
		}
	}
	return out
}

// withARNs writes resources as AWS does.
func withARNs(d document) document {
	for i := range d.Statement {
		for j, r := range d.Statement[i].Resource {
			d.Statement[i].Resource[j] = "arn:aws:s3:::" + r
		}
	}
	return d
}

// TestPrincipals holds that a role is granted to whom it was named for, and to nobody where none was.
func TestPrincipals(t *testing.T) {
	r := Request{Provider: Ceph, Roles: []Role{Writer, Auditor}, Vault: vaultAt(t, "s3://offsite/vault"), Principals: map[Role]string{Writer: "arn:aws:iam:::user/w"}}
	out := made(t, r)
	doc := documentsOf(t, out)["bucket.json"]
	for _, s := range doc.Statement {
		want := "arn:aws:iam:::user/w"
		if strings.HasPrefix(s.Sid, "Auditor") {
			want = "arn:aws:iam:::user/farshore-auditor"
		}
		if got := fmt.Sprint(s.Principal); got != "map[AWS:"+want+"]" {
			t.Errorf("%s: principal %s", s.Sid, got)
		}
	}
	if !strings.Contains(strings.Join(out.Notes, "\n"), "principal of the auditor") || strings.Contains(strings.Join(out.Notes, "\n"), "principal of the writer") {
		t.Errorf("notes %q", out.Notes)
	}
}

// TestPartitions holds that AWS's other partitions are named as such.
func TestPartitions(t *testing.T) {
	for region, want := range map[string]string{"eu-central-1": "arn:aws:s3:::offsite", "cn-north-1": "arn:aws-cn:s3:::offsite", "us-gov-east-1": "arn:aws-us-gov:s3:::offsite"} {
		out := made(t, Request{Provider: AWS, Roles: Roles(), Vault: vaultAt(t, "s3://offsite/vault?region="+region)})
		for name, d := range documentsOf(t, out) {
			for _, s := range d.Statement {
				if !strings.HasPrefix(s.Resource[0], want) {
					t.Errorf("%s %s: %s", region, name, s.Resource[0])
				}
			}
		}
	}
}

// TestSizes holds the longest documents to what AWS takes: 6,144 characters for a user's policy, 20 KiB for a bucket's, blanks not counted.
func TestSizes(t *testing.T) {
	v := vaultAt(t, "s3://"+strings.Repeat("b", 63)+"/"+strings.Repeat("p", maxPrefix)+"?region=us-gov-west-1")
	out := made(t, Request{Provider: AWS, Roles: Roles(), Vault: v, Admins: []string{breakGlass}})
	for _, d := range out.Documents {
		most := 6144
		if d.Name == "bucket.json" {
			most = 20 << 10
		}
		if n := len(strings.Join(strings.Fields(string(d.Body)), "")); n > most {
			t.Errorf("%s has %d characters", d.Name, n)
		}
	}
}

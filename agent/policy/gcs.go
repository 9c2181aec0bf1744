package policy

import (
	"fmt"
	"strings"
)

// Permissions of GCS, by what they are for. Replacing an object takes storage.objects.delete beside create, and no role has it.
var (
	gcsCreate = []string{"storage.objects.create"}
	gcsRead   = []string{"storage.objects.get"}
	gcsExtend = []string{"storage.objects.setRetention", "storage.objects.update"}
	gcsList   = []string{"storage.buckets.get", "storage.objects.list"}
)

// gcsRole is a custom role of a project.
type gcsRole struct {
	id                  string
	Title               string   `json:"title"`
	Description         string   `json:"description"`
	Stage               string   `json:"stage"`
	IncludedPermissions []string `json:"includedPermissions"`
}

// gcsBinding gives a role to one member, on names that begin with one of some prefixes.
type gcsBinding struct {
	Role      string        `json:"role"`
	Members   []string      `json:"members"`
	Condition *gcsCondition `json:"condition,omitempty"`
}

type gcsCondition struct {
	Title      string `json:"title"`
	Expression string `json:"expression"`
}

// gcsGrant is what one role of the vault needs: a custom role, and where it holds.
type gcsGrant struct {
	role    gcsRole
	binding gcsBinding
}

const gcsProject = "PROJECT_ID"

// buildGCS writes custom roles of single permissions, held to the rooms by conditions, and one service account for each role of the vault.
func buildGCS(b *builder) {
	b.setting("Retention policy", itoa(b.RetentionDays)+" days, locked", "nobody at all removes or replaces an object before its date; a policy that is not locked can be removed")
	b.setting("Uniform bucket-level access", "on", "no object has an ACL of its own")
	b.setting("Public access prevention", "enforced", "nothing opens the vault")
	b.setting("Object retention", "on", "the steward can extend single objects beyond the policy")
	b.setting("Lifecycle", "none", "a rule that deletes, deletes what its date has released")
	b.note("%s in the documents stands for your project, in the script it is $PROJECT.", gcsProject)
	gcsBucket(b)
	policy := struct {
		Bindings []gcsBinding `json:"bindings"`
	}{}
	roles := map[string]gcsRole{}
	for _, r := range b.Roles {
		for _, g := range gcsGrants(b, r) {
			roles[g.role.id] = g.role
			policy.Bindings = append(policy.Bindings, g.binding)
		}
	}
	b.doc("roles.json", "the custom roles of the project, by their ids", roles)
	b.doc("bindings.json", "the bindings of the bucket's IAM policy: they are added to what is there, and must be the only ones that can delete or change", policy)
	done := map[string]bool{}
	for _, r := range b.Roles {
		gcsAccount(b, r)
		for _, g := range gcsGrants(b, r) {
			if !done[g.role.id] {
				done[g.role.id] = true
				gcsCustomRole(b, g.role)
			}
			gcsBind(b, r, g)
		}
	}
}

// gcsGrants are the roles and bindings of a role of the vault.
func gcsGrants(b *builder, r Role) []gcsGrant {
	p := b.powers(r)
	var out []gcsGrant
	add := func(name, what string, permissions, folders []string) {
		g := gcsGrant{role: gcsRole{id: "farshore" + name, Title: "farshore " + strings.ToLower(name), Description: what, Stage: "GA", IncludedPermissions: permissions}}
		g.binding = gcsBinding{Role: "projects/" + gcsProject + "/roles/" + g.role.id, Members: []string{"serviceAccount:" + b.user(r) + "@" + gcsProject + ".iam.gserviceaccount.com"}}
		if folders != nil {
			g.binding.Condition = &gcsCondition{Title: "farshore-" + string(r) + "-" + strings.ToLower(name), Expression: gcsExpression(b.Vault, folders)}
		}
		out = append(out, g)
	}
	for _, a := range []struct {
		of          ability
		name, what  string
		permissions []string
	}{
		{create, "Create", "creates objects and replaces none", gcsCreate},
		{read, "Read", "reads objects", gcsRead},
		{extend, "Extend", "extends the retention of objects", gcsExtend},
	} {
		if folders := p.folders(a.of); len(folders) > 0 {
			if p.everywhere(a.of) {
				folders = []string{""}
			}
			add(a.name, a.what, a.permissions, folders)
		}
	}
	// Listing is asked of the bucket, which no condition on objects' names can match.
	add("List", "lists objects and reads the bucket's settings", gcsList, nil)
	return out
}

// gcsExpression is true for objects whose names begin with one of the folders.
func gcsExpression(v Vault, folders []string) string {
	var out []string
	for _, f := range folders {
		out = append(out, "resource.name.startsWith("+celQuote("projects/_/buckets/"+v.Bucket+"/objects/"+v.under(f))+")")
	}
	return strings.Join(out, " || ")
}

// celQuote writes a string of CEL. It has JSON's escapes for what a checked prefix can hold.
func celQuote(s string) string { return string(encode(s)) }

func gcsBucket(b *builder) {
	bucket := "gs://" + b.Vault.Bucket
	location := variable("LOCATION", "where the bucket shall be, such as europe-west1")
	project := variable("PROJECT", "the vault's own project")
	gcloud := func(words ...any) string { return command(append([]any{"gcloud", "storage", "buckets"}, words...)...) }
	days := itoa(b.RetentionDays)
	b.step("The bucket.", gcloud("create", bucket, "--project", project, "--location", location, "--uniform-bucket-level-access", "--public-access-prevention",
		"--retention-period", days+"d", "--enable-per-object-retention"))
	b.step("Lock the policy. THIS CAN NEVER BE UNDONE: from here on the period can only grow, and no object goes before it has aged "+days+" days.",
		gcloud("update", bucket, "--lock-retention-period"))
	b.hcl(hclVariable("project", "the vault's own project"), hclVariable("location", "where the bucket shall be, such as europe-west1"))
	tf := resource("google_storage_bucket", "vault").set("name", b.Vault.Bucket, "project", expression("var.project"), "location", expression("var.location"),
		"uniform_bucket_level_access", true, "public_access_prevention", "enforced", "enable_object_retention", true)
	tf.with("retention_policy", "retention_period", itoa(b.RetentionDays*24*60*60), "is_locked", true)
	b.hcl(tf.with("lifecycle", "prevent_destroy", true))
}

func gcsAccount(b *builder, r Role) {
	b.step(b.purpose(r), command("gcloud", "iam", "service-accounts", "create", b.user(r), "--project", shellWord(`"$PROJECT"`), "--display-name", b.user(r)))
	b.hcl(resource("google_service_account", string(r)).set("account_id", b.user(r), "project", expression("var.project")))
}

func gcsCustomRole(b *builder, r gcsRole) {
	b.step("Role "+r.id+": "+r.Description+".", command("gcloud", "iam", "roles", "create", r.id, "--project", shellWord(`"$PROJECT"`), "--title", r.Title, "--stage", r.Stage,
		"--permissions", strings.Join(r.IncludedPermissions, ",")))
	b.hcl(resource("google_project_iam_custom_role", r.id).set("project", expression("var.project"), "role_id", r.id, "title", r.Title, "permissions", r.IncludedPermissions))
}

func gcsBind(b *builder, r Role, g gcsGrant) {
	words := []any{"gcloud", "storage", "buckets", "add-iam-policy-binding", "gs://" + b.Vault.Bucket,
		"--member", shellWord(`"serviceAccount:` + b.user(r) + `@$PROJECT.iam.gserviceaccount.com"`), "--role", shellWord(`"projects/$PROJECT/roles/` + g.role.id + `"`)}
	tf := resource("google_storage_bucket_iam_member", string(r)+"_"+g.role.id).set("bucket", expression("google_storage_bucket.vault.name"),
		"role", expression("google_project_iam_custom_role."+g.role.id+".id"), "member", expression("google_service_account."+string(r)+".member"))
	if c := g.binding.Condition; c != nil {
		// In a file, since an expression with commas can't stand in the flag.
		file := c.Title + ".json"
		b.step(fmt.Sprintf("%s on the rooms that the %s needs.", g.role.Title, r), heredoc(file, encode(map[string]string{"title": c.Title, "expression": c.Expression})),
			command(append(words, "--condition-from-file", file)...))
		tf.with("condition", "title", c.Title, "expression", c.Expression)
	} else {
		b.step("Listing, on the whole bucket.", command(append(words, "--condition", "None")...))
	}
	b.hcl(tf)
}

package policy

// endpointOf is the service's URL in a script.
func endpointOf(b *builder) any {
	if b.Vault.Endpoint != "" {
		return b.Vault.Endpoint
	}
	return variable("S3_ENDPOINT", "the service's URL")
}

// s3api is a command of the aws program against the service.
func s3api(b *builder, words ...any) string {
	return command(append([]any{"aws", "--endpoint-url", endpointOf(b), "s3api"}, words...)...)
}

// lockedBucketCommands make the bucket with versions and a default lock at any S3 service.
func lockedBucketCommands(b *builder) {
	name := b.Vault.Bucket
	b.step("The bucket, with an administrator's credential. Object Lock brings versioning with it.", s3api(b, "create-bucket", "--bucket", name, "--object-lock-enabled-for-bucket"))
	b.step("Every new version is locked for "+itoa(b.RetentionDays)+" days, from everybody.",
		s3api(b, "put-object-lock-configuration", "--bucket", name, "--object-lock-configuration", lockRule(b)))
}

// awsAt says how the AWS provider of Terraform is pointed at another service.
func awsAt(b *builder, services ...string) {
	p := newBlock(`provider "aws"`)
	region := b.Vault.Region
	if region == "" {
		region = "us-east-1"
	}
	p.set("region", region, "s3_use_path_style", true, "skip_credentials_validation", true, "skip_requesting_account_id", true, "skip_metadata_api_check", true, "skip_region_validation", true)
	e := p.block("endpoints")
	for _, s := range services {
		switch {
		case s == "iam":
			e.set(s, "https://iam.wasabisys.com")
		case b.Vault.Endpoint != "":
			e.set(s, b.Vault.Endpoint)
		default:
			e.set(s, expression("var.endpoint"))
		}
	}
	if b.Vault.Endpoint == "" {
		b.hcl(hclVariable("endpoint", "the service's URL"))
	}
	b.hcl(p)
}

// finishIdentity adds what Wasabi takes in AWS's own words.
func finishIdentity(b *builder, _ *dialect) {
	s3Settings(b)
	b.setting("Lifecycle", "none", "a rule that expires versions deletes what somebody has hidden")
	lockedBucketCommands(b)
	iam := func(words ...any) string {
		return command(append([]any{"aws", "--endpoint-url", "https://iam.wasabisys.com", "iam"}, words...)...)
	}
	awsAt(b, "s3", "iam")
	b.hcl(lockedBucket(b)...)
	for i, r := range b.Roles {
		user, doc, label := b.user(r), b.docs[i], string(r)
		b.step(b.purpose(r),
			heredoc(doc.Name, doc.Body),
			iam("create-user", "--user-name", user),
			iam("put-user-policy", "--user-name", user, "--policy-name", b.policyName(r), "--policy-document", "file://"+doc.Name),
			iam("create-access-key", "--user-name", user))
		b.hcl(resource("aws_iam_user", label).set("name", user),
			resource("aws_iam_user_policy", label).set("name", b.policyName(r), "user", expression("aws_iam_user."+label+".name")).doc("policy", doc.Body))
	}
}

// finishMinIO adds the commands of mc.
func finishMinIO(b *builder, _ *dialect) {
	s3Settings(b)
	b.setting("Lifecycle", "none", "a rule that expires versions deletes what somebody has hidden")
	mc := func(words ...any) string { return command(append([]any{"mc"}, words...)...) }
	alias := variable("ALIAS", "mc's alias of the server, with an administrator's credential")
	target := shellWord(`"$ALIAS"`) + shellWord(shellQuote("/"+b.Vault.Bucket))
	b.step("The server.", command(":", alias))
	b.step("The bucket. Object Lock brings versioning with it.", mc("mb", "--with-lock", target))
	b.step("Every new version is locked for "+itoa(b.RetentionDays)+" days, from everybody.", mc("retention", "set", "--default", "COMPLIANCE", itoa(b.RetentionDays)+"d", target))
	b.hcl(
		resource("minio_s3_bucket", "vault").set("bucket", b.Vault.Bucket, "object_locking", true).with("lifecycle", "prevent_destroy", true),
		resource("minio_s3_bucket_versioning", "vault").set("bucket", expression("minio_s3_bucket.vault.bucket")).with("versioning_configuration", "status", "Enabled"),
		resource("minio_s3_bucket_retention", "vault").set("bucket", expression("minio_s3_bucket.vault.bucket"), "mode", "COMPLIANCE", "unit", "DAYS", "validity_period", b.RetentionDays),
	)
	for i, r := range b.Roles {
		user, doc, label := b.user(r), b.docs[i], string(r)
		secret := variable(upper(r)+"_SECRET", "a secret of 40 random characters for "+user)
		b.step(b.purpose(r),
			heredoc(doc.Name, doc.Body),
			mc("admin", "policy", "create", shellWord(`"$ALIAS"`), b.policyName(r), doc.Name),
			mc("admin", "user", "add", shellWord(`"$ALIAS"`), user, secret),
			mc("admin", "policy", "attach", shellWord(`"$ALIAS"`), b.policyName(r), "--user", user))
		b.hcl(
			resource("minio_iam_policy", label).set("name", b.policyName(r)).doc("policy", doc.Body),
			resource("minio_iam_user", label).set("name", user),
			resource("minio_iam_user_policy_attachment", label).set("user_name", expression("minio_iam_user."+label+".name"), "policy_name", expression("minio_iam_policy."+label+".name")),
		)
	}
}

// finishOVH adds OVHcloud's users.
func finishOVH(b *builder, _ *dialect) {
	s3Settings(b)
	lockedBucketCommands(b)
	awsAt(b, "s3")
	b.hcl(lockedBucket(b)...)
	b.hcl(hclVariable("service_name", "id of the Public Cloud project"))
	for i, r := range b.Roles {
		doc, label := b.docs[i], string(r)
		b.step(b.purpose(r)+" Make the user without any role, then import the file: control panel, Object Storage, S3 users, Import JSON file.",
			heredoc(doc.Name, doc.Body))
		b.hcl(resource("ovh_cloud_project_user", label).set("service_name", expression("var.service_name"), "description", b.user(r)),
			resource("ovh_cloud_project_user_s3_policy", label).set("service_name", expression("var.service_name"), "user_id", expression("ovh_cloud_project_user."+label+".id")).doc("policy", doc.Body))
	}
}

// finishBucketPolicy adds what the stores need that grant in the bucket's policy.
func finishBucketPolicy(b *builder, d *dialect) {
	s3Settings(b)
	b.setting("Lifecycle", "none", "a rule that expires versions deletes what somebody has hidden")
	b.setting("Owner", "an account that no role has", "who owns the bucket may do everything with it, whatever its policy says")
	b.note("The bucket has one policy: ask for all roles at once (--role writer --role auditor …), since putting it replaces the last.")
	lockedBucketCommands(b)
	doc := b.docs[0]
	b.step("Each role's account, made beforehand in the provider's own way and without any other right.")
	b.step("What each may do.", heredoc(doc.Name, doc.Body), s3api(b, "put-bucket-policy", "--bucket", b.Vault.Bucket, "--policy", "file://"+doc.Name))
	if b.Provider == Scaleway {
		b.note("Where a bucket has a policy, Scaleway refuses what the policy does not allow to everybody but the organization's owner: keep the owner's credential for changes.")
		scalewayTerraform(b, doc.Body)
		return
	}
	awsAt(b, "s3")
	b.hcl(lockedBucket(b)...)
	b.hcl(resource("aws_s3_bucket_policy", "vault").set("bucket", expression("aws_s3_bucket.vault.id")).doc("policy", doc.Body))
}

func scalewayTerraform(b *builder, policy Raw) {
	lock := resource("scaleway_object_bucket_lock_configuration", "vault").set("bucket", expression("scaleway_object_bucket.vault.name"))
	lock.block("rule").with("default_retention", "mode", "COMPLIANCE", "days", b.RetentionDays)
	bucket := resource("scaleway_object_bucket", "vault").set("name", b.Vault.Bucket, "object_lock_enabled", true)
	if b.Vault.Region != "" {
		bucket.set("region", b.Vault.Region)
	}
	b.hcl(bucket, lock, resource("scaleway_object_bucket_policy", "vault").set("bucket", expression("scaleway_object_bucket.vault.name")).doc("policy", policy))
}

// buildIDrive writes the classes of keys, which its console makes.
func buildIDrive(b *builder) {
	s3Settings(b)
	type key struct {
		Name          string `json:"name"`
		Bucket        string `json:"bucket"`
		Permissions   string `json:"permissions"`
		DeleteObjects bool   `json:"delete_objects"`
		DeleteBuckets bool   `json:"delete_buckets"`
		Listing       bool   `json:"listing"`
	}
	var keys []key
	for _, r := range b.Roles {
		k := key{Name: b.user(r), Bucket: b.Vault.Bucket, Permissions: "Read", Listing: true}
		if len(b.powers(r).create)+len(b.powers(r).extend) > 0 {
			k.Permissions = "Read/Write"
		}
		keys = append(keys, k)
	}
	b.doc("keys.json", "the access keys, as the console asks for them: it has no policy documents", map[string]any{"keys": keys})
	b.note("Make the keys in the console (Access Keys, Create): bound to the one bucket, both delete switches off, with an end date.")
	lockedBucketCommands(b)
	awsAt(b, "s3")
	b.hcl(lockedBucket(b)...)
}

// buildStorj writes restricted access grants.
func buildStorj(b *builder) {
	s3Settings(b)
	type grant struct {
		Name     string   `json:"name"`
		Prefixes []string `json:"prefixes"`
		ReadOnly bool     `json:"readonly"`
		Delete   bool     `json:"deletes"`
	}
	var grants []grant
	prefix := "sj://" + b.Vault.Bucket + "/" + b.Vault.under("")
	lockedBucketCommands(b)
	for _, r := range b.Roles {
		readOnly := len(b.powers(r).create) == 0
		grants = append(grants, grant{Name: b.user(r), Prefixes: []string{prefix}, ReadOnly: readOnly})
		words := []any{"uplink", "share", "--access", variable("STORJ_ACCESS", "the name of the access that administers the vault"), "--register"}
		if readOnly {
			words = append(words, "--readonly")
		} else {
			words = append(words, "--readonly=false", "--disallow-deletes")
		}
		b.step(b.purpose(r)+" It prints the credential of the S3 gateway.", command(append(words, prefix)...))
		if r == Steward {
			b.note("What a Storj grant needs to extend locks is set when the API key is made in the console (Object Lock permissions): the script's grant for the steward only reads.")
		}
	}
	b.doc("grants.json", "the access grants: each is a restriction of one that may more, and no policy document", map[string]any{"grants": grants})
	awsAt(b, "s3")
	b.hcl(lockedBucket(b)...)
}

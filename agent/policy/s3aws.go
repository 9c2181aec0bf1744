package policy

import (
	"strconv"
	"strings"
)

func itoa(n int) string { return strconv.Itoa(n) }

func upper(r Role) string { return strings.ToUpper(string(r)) }

// title is a role as the beginning of a statement's id.
func title(r Role) string { return strings.ToUpper(string(r[:1])) + string(r[1:]) }

// Actions that AWS's bucket policy closes. With one of the first somebody removes, hides or loosens an object; with one of the second, the bucket's settings,
// and by them the objects of tomorrow.
var (
	destroying = []string{
		"s3:DeleteObject", "s3:DeleteObjectVersion", "s3:BypassGovernanceRetention", "s3:PutObjectLegalHold", "s3:PutObjectTagging", "s3:PutObjectVersionTagging",
		"s3:DeleteObjectTagging", "s3:DeleteObjectVersionTagging", "s3:PutObjectAcl", "s3:PutObjectVersionAcl", "s3:ReplicateObject", "s3:ReplicateDelete", "s3:ReplicateTags",
		"s3:ObjectOwnerOverrideToBucketOwner",
	}
	loosening = []string{
		"s3:DeleteBucket", "s3:DeleteBucketPolicy", "s3:PutBucketPolicy", "s3:PutBucketAcl", "s3:PutBucketVersioning", "s3:PutBucketObjectLockConfiguration",
		"s3:PutLifecycleConfiguration", "s3:PutReplicationConfiguration", "s3:PutEncryptionConfiguration", "s3:PutBucketOwnershipControls", "s3:PutBucketPublicAccessBlock",
	}
)

// finishAWS adds the bucket's policy, which holds for everybody and so for tomorrow's mistakes too, and the rest.
func finishAWS(b *builder, d *dialect) {
	docs := b.docs
	policy := b.doc("bucket.json", "the bucket's policy: denials that hold for every principal", awsBucketPolicy(b, d))
	if len(b.Admins) > 0 {
		b.note("The bucket's policy lets nobody but the named administrators change the bucket's settings or delete what is not locked. Put it with the credential of one of them: AWS lets whoever puts it lock himself out.")
	} else {
		b.note("The bucket's settings are open to the account's administrators: name those that may keep that right with --admin ARN, and the policy takes it from all others.")
	}
	b.note("Give no credential a statement with s3:* beside these: what one policy allows and none denies is allowed.")
	s3Settings(b)
	b.setting("Ownership", "BucketOwnerEnforced", "ACLs have no effect")
	b.setting("Public access", "blocked", "no policy or ACL opens the vault")
	b.setting("Encryption", "SSE-S3 (AES256)", "what is stored is sealed already, and a KMS key that somebody deletes would take the vault with it")
	b.setting("Lifecycle", "AbortIncompleteMultipartUpload after 1 day, nothing else", "a rule that expires versions deletes what somebody has hidden")
	awsCommands(b, policy, docs)
	awsTerraform(b, policy, docs)
}

// awsBucketPolicy are the denials. An explicit denial beats every allowance, in whatever policy it stands.
func awsBucketPolicy(b *builder, d *dialect) document {
	below := []string{d.resource(b.Vault, "/"+b.Vault.under("*"))}
	bucket := []string{d.resource(b.Vault, "")}
	deny := func(sid string, actions, resources []string, c condition) statement {
		return statement{Sid: sid, Effect: "Deny", Principal: "*", Action: actions, Resource: resources, Condition: c}
	}
	doc := document{Version: iamVersion, Statement: []statement{
		deny("CreateOnly", createActions, below, condition{"Null": {"s3:if-none-match": {"true"}}}),
		deny("NoCustomerKeys", createActions, below, condition{"Null": {"s3:x-amz-server-side-encryption-customer-algorithm": {"false"}}}),
		deny("NoDestroying", destroying, below, exceptAdmins(b.Admins)),
		deny("LockCeiling", extendActions, below, d.ceilingCondition("NumericGreaterThan", b.CeilingDays)),
	}}
	if len(b.Admins) > 0 {
		doc.Statement = append(doc.Statement, deny("NoLoosening", loosening, bucket, exceptAdmins(b.Admins)))
	}
	return doc
}

// exceptAdmins exempts the named roles and users. With none, nobody is.
func exceptAdmins(admins []string) condition {
	if len(admins) == 0 {
		return nil
	}
	return condition{"ArnNotLike": {"aws:PrincipalArn": admins}}
}

// s3Settings are those of every S3 service with Object Lock.
func s3Settings(b *builder) {
	b.setting("Versioning", "on", "what somebody lays over a name, or hides, stays beneath")
	b.setting("Object Lock", "COMPLIANCE, "+itoa(b.RetentionDays)+" days by default", "nobody at all removes a version before its date, and the writer need not and may not set one")
}

// lockRule is the default retention as S3 takes it.
func lockRule(b *builder) string {
	return `{"ObjectLockEnabled":"Enabled","Rule":{"DefaultRetention":{"Mode":"COMPLIANCE","Days":` + itoa(b.RetentionDays) + `}}}`
}

const abortRule = `{"Rules":[{"ID":"abort-incomplete-uploads","Status":"Enabled","Filter":{"Prefix":""},"AbortIncompleteMultipartUpload":{"DaysAfterInitiation":1}}]}`

// awsCommands are those of the aws program, for AWS itself.
func awsCommands(b *builder, policy Raw, docs []Document) {
	s3api := func(words ...any) string { return command(append([]any{"aws", "s3api"}, words...)...) }
	name := b.Vault.Bucket
	b.step("The bucket. Object Lock brings versioning with it, and neither can be switched off again.", awsCreate(b))
	b.step("No ACLs, nothing public, and keys that nobody can delete.",
		s3api("put-public-access-block", "--bucket", name, "--public-access-block-configuration", "BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true"),
		s3api("put-bucket-encryption", "--bucket", name, "--server-side-encryption-configuration", `{"Rules":[{"ApplyServerSideEncryptionByDefault":{"SSEAlgorithm":"AES256"}}]}`))
	b.step("Every new version is locked for "+itoa(b.RetentionDays)+" days, from everybody.",
		s3api("put-object-lock-configuration", "--bucket", name, "--object-lock-configuration", lockRule(b)))
	b.step("The only rule of the lifecycle. It replaces all others.",
		s3api("put-bucket-lifecycle-configuration", "--bucket", name, "--lifecycle-configuration", abortRule))
	for i, r := range b.Roles {
		user, doc := b.user(r), docs[i]
		b.step(b.purpose(r),
			heredoc(doc.Name, doc.Body),
			`arn=$(`+command("aws", "iam", "create-policy", "--policy-name", b.policyName(r), "--policy-document", "file://"+doc.Name, "--query", "Policy.Arn", "--output", "text")+`)`,
			command("aws", "iam", "create-user", "--user-name", user),
			command("aws", "iam", "attach-user-policy", "--user-name", user, "--policy-arn", shellWord(`"$arn"`)),
			command("aws", "iam", "create-access-key", "--user-name", user))
	}
	b.step("What nobody may, whatever else is granted.", heredoc("bucket.json", policy),
		s3api("put-bucket-policy", "--bucket", name, "--policy", "file://bucket.json"))
}

// awsCreate makes the bucket. us-east-1 refuses to be named as a location.
func awsCreate(b *builder) string {
	words := []any{"aws", "s3api", "create-bucket", "--bucket", b.Vault.Bucket, "--object-lock-enabled-for-bucket", "--object-ownership", "BucketOwnerEnforced"}
	switch b.Vault.Region {
	case "us-east-1":
		return command(append(words, "--region", "us-east-1")...)
	case "":
		return command(append(words, "--region", variable("AWS_REGION", "the bucket's region, not us-east-1, which must not be named as a location"),
			"--create-bucket-configuration", shellWord(`"LocationConstraint=$AWS_REGION"`))...)
	}
	return command(append(words, "--region", b.Vault.Region, "--create-bucket-configuration", "LocationConstraint="+b.Vault.Region)...)
}

// awsTerraform is the same in HCL.
func awsTerraform(b *builder, policy Raw, docs []Document) {
	b.hcl(lockedBucket(b)...)
	id := expression("aws_s3_bucket.vault.id")
	b.hcl(
		resource("aws_s3_bucket_ownership_controls", "vault").set("bucket", id).with("rule", "object_ownership", "BucketOwnerEnforced"),
		resource("aws_s3_bucket_public_access_block", "vault").set("bucket", id, "block_public_acls", true, "block_public_policy", true, "ignore_public_acls", true, "restrict_public_buckets", true),
	)
	encryption := resource("aws_s3_bucket_server_side_encryption_configuration", "vault").set("bucket", id)
	encryption.block("rule").with("apply_server_side_encryption_by_default", "sse_algorithm", "AES256")
	lifecycle := resource("aws_s3_bucket_lifecycle_configuration", "vault").set("bucket", id)
	lifecycle.block("rule").set("id", "abort-incomplete-uploads", "status", "Enabled").with("filter", "prefix", "").with("abort_incomplete_multipart_upload", "days_after_initiation", 1)
	b.hcl(encryption, lifecycle, resource("aws_s3_bucket_policy", "vault").set("bucket", id).doc("policy", policy))
	for i, r := range b.Roles {
		label := string(r)
		b.hcl(
			resource("aws_iam_policy", label).set("name", b.policyName(r)).doc("policy", docs[i].Body),
			resource("aws_iam_user", label).set("name", b.user(r)),
			resource("aws_iam_user_policy_attachment", label).set("user", expression("aws_iam_user."+label+".name"), "policy_arn", expression("aws_iam_policy."+label+".arn")),
		)
	}
}

// lockedBucket is a bucket with versions and a default lock.
func lockedBucket(b *builder) []*block {
	id := expression("aws_s3_bucket.vault.id")
	bucket := resource("aws_s3_bucket", "vault").set("bucket", b.Vault.Bucket, "object_lock_enabled", true).with("lifecycle", "prevent_destroy", true)
	lock := resource("aws_s3_bucket_object_lock_configuration", "vault").set("bucket", expression("aws_s3_bucket_versioning.vault.bucket"))
	lock.block("rule").with("default_retention", "mode", "COMPLIANCE", "days", b.RetentionDays)
	return []*block{bucket, resource("aws_s3_bucket_versioning", "vault").set("bucket", id).with("versioning_configuration", "status", "Enabled"), lock}
}

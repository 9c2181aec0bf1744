package policy

import (
	"slices"
	"strings"
)

// dialect is how the policies of one S3 service differ from AWS's.
type dialect struct {
	// version is that of the policy language.
	version string
	// createOnly: the condition s3:if-none-match is enforced.
	createOnly bool
	// prefix: s3:prefix is a condition of listing versions.
	prefix bool
	// ceiling: s3:object-lock-remaining-retention-days is a condition of setting locks.
	ceiling bool
	// inBucket: the bucket's policy grants, not a policy of the user's. principal then names a role's credential, for which id stands.
	inBucket    bool
	principal   func(id string) any
	placeholder func(Role) string
	// bare: resources are written without arn:aws:s3:::.
	bare bool
	// known are the only actions that there are; nil: all.
	known []string
	// finish adds what is the provider's own: commands, settings, resources.
	finish func(b *builder, d *dialect)
}

// document is a policy document.
type document struct {
	Version   string
	Statement []statement
}

// statement is one statement of it. Every list is in a fixed order, so that the same request gives the same bytes.
type statement struct {
	Sid       string
	Effect    string
	Principal any `json:",omitempty"`
	Action    []string
	Resource  []string
	Condition condition `json:",omitempty"`
}

// condition is operator → key → values.
type condition map[string]map[string][]string

// Actions of S3, by what they are for.
var (
	createActions  = []string{"s3:PutObject"}
	readActions    = []string{"s3:GetObject", "s3:GetObjectVersion"}
	lockActions    = []string{"s3:GetObjectRetention", "s3:GetObjectLegalHold"}
	extendActions  = []string{"s3:PutObjectRetention"}
	settingActions = []string{"s3:GetBucketVersioning", "s3:GetBucketObjectLockConfiguration", "s3:GetLifecycleConfiguration"}
)

// ovhActions are the ten that a user's policy at OVHcloud knows.
var ovhActions = []string{
	"s3:AbortMultipartUpload", "s3:CreateBucket", "s3:DeleteBucket", "s3:DeleteObject", "s3:GetBucketLocation", "s3:GetObject", "s3:ListBucket",
	"s3:ListBucketMultipartUploads", "s3:ListMultipartUploadParts", "s3:PutObject",
}

const iamVersion = "2012-10-17"

// dialects are the S3 services whose policies are documents.
var dialects = map[Provider]*dialect{
	AWS:    {version: iamVersion, createOnly: true, prefix: true, ceiling: true, finish: finishAWS},
	Wasabi: {version: iamVersion, prefix: true, finish: finishIdentity},
	MinIO:  {version: iamVersion, prefix: true, ceiling: true, finish: finishMinIO},
	OVH:    {version: iamVersion, known: ovhActions, finish: finishOVH},
	Ceph:   {version: iamVersion, prefix: true, inBucket: true, principal: awsPrincipal, placeholder: cephUser, finish: finishBucketPolicy},
	Versity: {version: iamVersion, inBucket: true, principal: awsPrincipal, placeholder: func(r Role) string { return "farshore-" + string(r) },
		finish: finishBucketPolicy},
	Hetzner: {version: iamVersion, prefix: true, inBucket: true, principal: awsPrincipal, placeholder: hetznerUser, finish: finishBucketPolicy},
	Scaleway: {version: "2023-04-17", inBucket: true, bare: true, principal: func(id string) any { return map[string]string{"SCW": id} }, placeholder: scalewayApplication,
		finish: finishBucketPolicy},
}

func awsPrincipal(id string) any { return map[string]string{"AWS": id} }

func cephUser(r Role) string { return "arn:aws:iam:::user/farshore-" + string(r) }

func hetznerUser(r Role) string {
	return "arn:aws:iam:::user/pPROJECT_ID:ACCESS_KEY_OF_" + upper(r)
}

func scalewayApplication(r Role) string { return "application_id:APPLICATION_ID_OF_" + upper(r) }

// build writes the documents, and then what is the provider's own.
func (d *dialect) build(b *builder) {
	if d.inBucket {
		doc := document{Version: d.version}
		for _, r := range b.Roles {
			doc.Statement = append(doc.Statement, d.statements(b, r)...)
		}
		b.doc("bucket.json", "the bucket's policy, with all roles that were asked for: a bucket has one policy, and putting it replaces the last", doc)
		d.principals(b)
	} else {
		for _, r := range b.Roles {
			b.doc(string(r)+".json", "the policy of the user or role that acts as "+string(r), document{Version: d.version, Statement: d.statements(b, r)})
		}
	}
	d.finish(b, d)
}

// principals says which placeholders must be replaced.
func (d *dialect) principals(b *builder) {
	for _, r := range b.Roles {
		if b.Principals[r] == "" {
			b.note("The principal of the %s is written as %s: name yours with --principal %s=ID.", r, d.placeholder(r), r)
		}
	}
}

// statements are what a role may do.
func (d *dialect) statements(b *builder, r Role) []statement {
	p, sid := b.powers(r), title(r)
	below := func(a ability) []string { return d.objects(b.Vault, p, a) }
	bucket := []string{d.resource(b.Vault, "")}
	all := []statement{
		{Sid: sid + "Creates", Action: createActions, Resource: below(create), Condition: d.createCondition()},
		{Sid: sid + "Reads", Action: readActions, Resource: below(read)},
		{Sid: sid + "ReadsLocks", Action: lockActions, Resource: below(locks)},
		{Sid: sid + "Extends", Action: extendActions, Resource: below(extend), Condition: d.ceilingCondition("NumericLessThanEquals", b.CeilingDays)},
		// Without a condition: to whoever may not list, S3 answers 403 for a name that is missing, and a request for an object has no prefix that a condition
		// could match. Damage must not look like a denial.
		{Sid: sid + "Lists", Action: []string{"s3:ListBucket"}, Resource: bucket},
		{Sid: sid + "ListsVersions", Action: []string{"s3:ListBucketVersions"}, Resource: bucket, Condition: d.prefixCondition(b.Vault)},
	}
	if p.settings {
		all = append(all, statement{Sid: sid + "ReadsSettings", Action: settingActions, Resource: bucket})
	}
	var out []statement
	for _, s := range all {
		s.Effect, s.Action = "Allow", d.understood(s.Action)
		if d.inBucket {
			s.Principal = d.principal(b.principal(d, r))
		}
		if len(s.Action) > 0 && len(s.Resource) > 0 {
			out = append(out, s)
		}
	}
	return out
}

// principal is who acts as the role.
func (b *builder) principal(d *dialect, r Role) string {
	if p := b.Principals[r]; p != "" {
		return p
	}
	return d.placeholder(r)
}

// objects are the resources that an ability covers.
func (d *dialect) objects(v Vault, p powers, a ability) []string {
	if p.everywhere(a) {
		return []string{d.resource(v, "/"+v.under("*"))}
	}
	var out []string
	for _, f := range p.folders(a) {
		out = append(out, d.resource(v, "/"+v.under(f+"*")))
	}
	return out
}

// resource names a bucket, or objects in it.
func (d *dialect) resource(v Vault, rest string) string {
	switch {
	case d.bare:
		return v.Bucket + rest
	case d.createOnly:
		return "arn:" + v.partition() + ":s3:::" + v.Bucket + rest
	}
	return "arn:aws:s3:::" + v.Bucket + rest
}

// partition is the part of AWS that the region belongs to.
func (v Vault) partition() string {
	switch {
	case strings.HasPrefix(v.Region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(v.Region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}

// understood leaves out the actions that the service does not know.
func (d *dialect) understood(actions []string) []string {
	if d.known == nil {
		return actions
	}
	var out []string
	for _, a := range actions {
		if slices.Contains(d.known, a) {
			out = append(out, a)
		}
	}
	return out
}

// createCondition demands a create-only write. The parts of a multipart upload carry no such header, and farshore makes none: they are refused.
func (d *dialect) createCondition() condition {
	if !d.createOnly {
		return nil
	}
	return condition{"Null": {"s3:if-none-match": {"false"}}}
}

func (d *dialect) prefixCondition(v Vault) condition {
	if !d.prefix || v.Prefix == "" {
		return nil
	}
	return condition{"StringLike": {"s3:prefix": {v.under("*")}}}
}

// ceilingCondition bounds how far ahead a lock may be set, in days.
func (d *dialect) ceilingCondition(operator string, days int) condition {
	if !d.ceiling {
		return nil
	}
	return condition{operator: {"s3:object-lock-remaining-retention-days": {itoa(days)}}}
}

package policy

import (
	"errors"
	"strings"
)

// b2Key is an application key, as b2_create_key takes it.
type b2Key struct {
	KeyName      string   `json:"keyName"`
	Capabilities []string `json:"capabilities"`
	BucketID     string   `json:"bucketId"`
	NamePrefix   string   `json:"namePrefix,omitempty"`
}

// buildB2 writes application keys. A key has one prefix for everything it may, so a role that creates in some rooms and reads others has two keys, or, where both
// must be one credential, the vault's prefix.
func buildB2(b *builder) {
	b.setting("Object Lock", "compliance, "+itoa(b.RetentionDays)+" days by default", "nobody at all removes a version before its date")
	b.setting("Lifecycle", "none (keep all versions)", "\"keep only the last version\" deletes what somebody has hidden")
	b.setting("Encryption", "SSE-B2", "what is stored is sealed already; a default that needs no key of yours")
	name := b.Vault.Bucket
	b2 := func(words ...any) string { return command(append([]any{"b2"}, words...)...) }
	b.step("The bucket.", b2("bucket", "create", "--file-lock-enabled", "--default-server-side-encryption", "SSE-B2", name, "allPrivate"))
	b.step("Every new file is locked for "+itoa(b.RetentionDays)+" days, from everybody.", b2("bucket", "update", "--default-retention-mode", "compliance",
		"--default-retention-period", itoa(b.RetentionDays)+" days", name, "allPrivate"))
	bucket := resource("b2_bucket", "vault").set("bucket_name", name, "bucket_type", "allPrivate")
	lock := bucket.block("file_lock_configuration").set("is_file_lock_enabled", true).block("default_retention").set("mode", "compliance")
	lock.with("period", "duration", b.RetentionDays, "unit", "days")
	b.hcl(bucket.with("default_server_side_encryption", "mode", "SSE-B2", "algorithm", "AES256"))
	for _, r := range b.Roles {
		b2Keys(b, r)
	}
}

// b2Keys writes a role's keys.
func b2Keys(b *builder, r Role) {
	p, prefix := b.powers(r), b.Vault.under("")
	capabilities := []string{"listBuckets", "listFiles", "readFiles"}
	if len(p.locks) > 0 {
		capabilities = append(capabilities, "readFileRetentions", "readFileLegalHolds")
	}
	if p.settings {
		capabilities = append(capabilities, "readBucketRetentions")
	}
	if len(p.extend) > 0 {
		capabilities = append(capabilities, "writeFileRetentions")
		b.note("B2 has no ceiling: a thief of the steward's key can lock garbage for as long as B2 allows, at your cost. It can shorten nothing that is in compliance mode.")
	}
	keys := []b2Key{{KeyName: b.user(r), Capabilities: capabilities, NamePrefix: prefix}}
	switch len(p.create) {
	case 0:
	case 1:
		room := p.create[0] + "/"
		keys = append(keys, b2Key{KeyName: b.user(r) + "-places", Capabilities: []string{"listBuckets", "writeFiles"}, NamePrefix: b.Vault.under(room)})
		b.note("The %s has two keys, since a key has one prefix: one reads the vault, the other only creates under %s.", r, room)
	default:
		keys[0].Capabilities = append(keys[0].Capabilities, "writeFiles")
	}
	for _, k := range keys {
		k.BucketID = "BUCKET_ID"
		b.doc(k.KeyName+".json", "application key of the "+string(r)+", as b2_create_key takes it", k)
		words := []any{"b2", "key", "create", "--bucket", b.Vault.Bucket}
		tf := resource("b2_application_key", k.KeyName).set("key_name", k.KeyName, "bucket_ids", expression("[b2_bucket.vault.id]"), "capabilities", k.Capabilities)
		if k.NamePrefix != "" {
			words, tf = append(words, "--name-prefix", k.NamePrefix), tf.set("name_prefix", k.NamePrefix)
		}
		b.step(title(r)+": key "+k.KeyName+".", command(append(words, k.KeyName, strings.Join(k.Capabilities, ","))...))
		b.hcl(tf)
	}
}

// buildR2 writes the lock rule and the tokens.
func buildR2(b *builder) {
	b.setting("Bucket lock rule", "indefinite, on the vault's prefix", "the only thing that keeps the writer's token from overwriting and deleting")
	b.setting("Lifecycle", "none", "a rule that deletes, deletes what a lock has released")
	rules := map[string]any{"rules": []any{map[string]any{"id": "farshore", "enabled": true, "prefix": b.Vault.under(""), "condition": map[string]string{"type": "Indefinite"}}}}
	doc := b.doc("lock.json", "the bucket's lock rules: putting them replaces all others", rules)
	b.step("The bucket.", command("npx", "wrangler", "r2", "bucket", "create", b.Vault.Bucket))
	b.step("Nothing below the prefix can be overwritten or deleted while this rule stands.", heredoc("lock.json", doc),
		command("npx", "wrangler", "r2", "bucket", "lock", "set", b.Vault.Bucket, "--file", "lock.json"))
	type token struct {
		Name       string `json:"name"`
		Permission string `json:"permission"`
		Bucket     string `json:"bucket"`
	}
	var tokens []token
	for _, r := range b.Roles {
		t := token{b.user(r), "Object Read only", b.Vault.Bucket}
		if len(b.powers(r).create) > 0 {
			t.Permission = "Object Read & Write"
		}
		tokens = append(tokens, t)
		b.note("%s: in the dashboard (R2, Manage API tokens) make the token %s with %q, for this bucket only, with an end date.", title(r), t.Name, t.Permission)
	}
	b.doc("tokens.json", "the API tokens, as the dashboard asks for them", map[string]any{"tokens": tokens})
	b.hcl(hclVariable("account_id", "Cloudflare's id of the account"))
	lock := resource("cloudflare_r2_bucket_lock", "vault").set("account_id", expression("var.account_id"), "bucket_name", expression("cloudflare_r2_bucket.vault.name"),
		"rules", expression("[{ id = \"farshore\", enabled = true, prefix = "+hclQuote(b.Vault.under(""))+", condition = { type = \"Indefinite\" } }]"))
	b.hcl(resource("cloudflare_r2_bucket", "vault").set("account_id", expression("var.account_id"), "name", b.Vault.Bucket).with("lifecycle", "prevent_destroy", true), lock)
}

// buildDigitalOcean writes what there is.
func buildDigitalOcean(b *builder) {
	b.setting("Versioning", "on", "what is overwritten stays until somebody deletes the version, which the same key may")
	b.step("Versions.", s3api(b, "put-bucket-versioning", "--bucket", b.Vault.Bucket, "--versioning-configuration", "Status=Enabled"))
	bucket := resource("digitalocean_spaces_bucket", "vault").set("name", b.Vault.Bucket)
	if b.Vault.Region != "" {
		bucket.set("region", b.Vault.Region)
	}
	b.hcl(bucket.with("versioning", "enabled", true))
	for _, r := range b.Roles {
		permission := "read"
		if len(b.powers(r).create) > 0 {
			permission = "readwrite"
		}
		b.doc(string(r)+".json", "the key of the "+string(r)+", as the API takes it (POST /v2/spaces/keys)",
			map[string]any{"name": b.user(r), "grants": []any{map[string]string{"bucket": b.Vault.Bucket, "permission": permission}}})
		b.step(title(r)+".", command("doctl", "spaces", "keys", "create", b.user(r), "--grants", "bucket="+b.Vault.Bucket+";permission="+permission))
		b.hcl(resource("digitalocean_spaces_key", string(r)).set("name", b.user(r)).with("grant", "bucket", b.Vault.Bucket, "permission", permission))
	}
}

// checkDirectory accepts a vault that lies in a directory.
func checkDirectory(v Vault) error {
	if v.scheme == "s3" || v.scheme == "gs" {
		return errors.New("the vault's address is a bucket, and this is for directories: write rclone:REMOTE:PATH or file:///directory, or name another provider")
	}
	return nil
}

// sftpRefused are the requests of SFTP that the server can refuse without hindering an upload. Opening a file to truncate it is none.
const sftpRefused = "remove,rename,posix-rename,rmdir,hardlink,symlink"

// buildSFTP writes what a server can be told to refuse.
func buildSFTP(b *builder) {
	var lines []string
	for _, r := range b.Roles {
		options := " -P " + sftpRefused
		if len(b.powers(r).create) == 0 {
			options = " -R"
		}
		lines = append(lines, `restrict,command="internal-sftp`+options+`" PUBLIC_KEY_OF_`+upper(r))
	}
	b.doc("sshd.json", "lines for the account's authorized_keys on the server, which the account itself must not be able to write", map[string]any{"authorized_keys": lines, "directory": b.Vault.directory()})
	b.setting("authorized_keys", "owned by root, outside the directory", "who can change it can lift what it forbids")
	b.setting("Snapshots", "of the file system, by root, as often as a loss would hurt", "the only thing that survives the writer's account")
	b.note("Each of these lines goes into the server's authorized_keys, with the role's public key in place of the last word.")
	b.step("On the server, as root, from a timer: where the file system is ZFS.", command("zfs", "snapshot", shellWord(`"${DATASET:?set it to the dataset with the vault}@$(date -u +%Y%m%dT%H%M%SZ)"`)))
}

// buildFile writes what a directory of one's own can have.
func buildFile(b *builder) {
	b.doc("directory.json", "who owns what", map[string]any{"directory": b.Vault.directory(), "owner": "farshore", "mode": "0700"})
	b.setting("Snapshots", "of the file system, by root, as often as a loss would hurt", "the only thing that survives the agent's account")
	b.step("An account that owns nothing but the vault.", command("install", "-d", "-m", "0700", "-o", "farshore", "-g", "farshore", "--", b.Vault.directory()))
	b.step("As root, from a timer: where the file system is ZFS.", command("zfs", "snapshot", shellWord(`"${DATASET:?set it to the dataset with the vault}@$(date -u +%Y%m%dT%H%M%SZ)"`)))
}

package policy

import (
	"fmt"
	"regexp"
	"strings"
)

// store is what the package knows of one provider.
type store struct {
	// title is its name for people.
	title    string
	strength Strength
	// words say the strength in one sentence.
	words string
	// limits are what it can't enforce.
	limits []string
	// checked says what was tried on a real server.
	checked string
	// whole: a credential can't be held to single rooms, nor to create and not read.
	whole bool
	// fixed: no credential can extend the lock of a single object.
	fixed bool
	check func(Vault) error
	build func(*builder)
}

// Said by more than one provider.
const (
	unchecked = "Written from the provider's documentation and tried on no live account: `farshore probe` with the credential shows whether it holds."
	// noPerRoom is for credentials that can't be told the rooms apart.
	noPerRoom    = "A credential can't be held to single rooms: the writer's may also create under vault/. It can't sign there, so this only adds litter, which readers report."
	overwriting  = "No condition of its policies can demand create-only writes: the writer may lay another version over a name. The locked original stays beneath it, and readers take the version whose bytes hash to the name."
	noLockNoKeep = "The account's administrators can remove everything at any time."
)

// stores are all providers.
var stores = map[Provider]*store{
	AWS: {
		title: "Amazon S3", strength: CreateOnly, check: checkBucket(bucketName), build: dialects[AWS].build,
		words: "The store itself refuses the writer to replace, hide or delete anything (s3:if-none-match), and Object Lock in COMPLIANCE mode keeps every version from everybody until its date.",
		limits: []string{
			"Whoever closes the AWS account ends everything with it: give the vault an account of its own, whose root and payment nobody at work shares.",
			"The account's root user can always change the bucket's policy. Object Lock in COMPLIANCE mode holds against root too.",
		},
		checked: "The documents are evaluated by the project's tests against every request that farshore makes and every attack that its probe tries; no server that runs in a test enforces s3:if-none-match. `farshore probe` with the credential shows whether AWS does.",
	},
	GCS: {
		title: "Google Cloud Storage", strength: CreateOnly, check: checkBucket(bucketName), build: buildGCS,
		words: "The store itself refuses the writer to replace or delete anything (replacing needs storage.objects.delete), and the bucket's locked retention policy keeps every object from everybody until its date.",
		limits: []string{
			"Names of the whole bucket can be listed: give the vault a bucket of its own.",
			"A locked retention policy can be lengthened and never be shortened or removed, and the bucket stays until every object has aged out. Try it with a short period on another bucket first.",
			"Whoever deletes the project ends everything with it after Google's grace period: give the vault a project of its own, with a lien.",
		},
		checked: unchecked,
	},
	Azure: {
		title: "Azure Blob Storage", strength: CreateOnly, fixed: true, check: checkAzure, build: buildAzure,
		words: "The store itself refuses the writer to replace or delete anything (add without write), and a locked immutability policy keeps every blob from everybody until its date.",
		limits: []string{
			"An account key may do everything and is refused here (shared keys are switched off). A SAS can't be taken back on its own, and whoever can sign one can sign others: no signing key belongs on the agent's host.",
			"A container's locked immutability policy can be lengthened five times at most.",
			"Locks can't be extended blob by blob under it: the steward has nothing to extend.",
			"Whoever deletes the subscription ends everything with it.",
		},
		checked: "A SAS with create, read and list was held to by Azurite: overwriting and deleting were refused. Roles and immutability were tried on no live account: `farshore probe` shows whether they hold.",
	},
	B2: {
		title: "Backblaze B2", strength: LockedBeneath, whole: true, check: checkBucket(looseBucket), build: buildB2,
		words: "The key can't delete a version. It may upload over a name, and hide it, which B2 can't deny; the locked original stays beneath and is read all the same.",
		limits: []string{
			"Hiding can't be denied to a key with writeFiles, and uploads can't be made create-only: `farshore verify` lists each hidden or overwritten name.",
			"A lifecycle rule that removes hidden versions deletes what a thief has hidden as soon as its lock has ended: set none.",
			noPerRoom, "A key has one name prefix, so packs/ can't be withheld from the writer's reading.",
		},
		checked: unchecked,
	},
	R2: {
		title: "Cloudflare R2", strength: WhileRule, fixed: true, whole: true, check: checkBucket(bucketName), build: buildR2,
		words: "The token may overwrite and delete; only a bucket lock rule keeps it from doing so, and only as long as the rule stands.",
		limits: []string{
			"Lock rules can be lifted at any time by every Cloudflare user and token that may edit R2's configuration: nothing here holds against an administrator. Keep a second copy elsewhere.",
			"There is no token that may create and not delete, and none that is held to a prefix.",
			"There are no versions: without the rule an overwrite destroys.",
			"The rule is indefinite on purpose: once a rule by age has run out, the writer's own token may delete.",
		},
		checked: unchecked,
	},
	Wasabi: {
		title: "Wasabi", strength: LockedBeneath, check: checkBucket(bucketName), build: dialects[Wasabi].build,
		words:   "The credential can't delete a version or shorten a lock. It may lay another version over a name; the locked original stays beneath.",
		limits:  []string{overwriting, "The older compliance setting of a bucket is another feature, which Wasabi's support can lift: use Object Lock.", "Objects that are removed early are billed for 90 days all the same."},
		checked: unchecked,
	},
	MinIO: {
		title: "MinIO", strength: LockedBeneath, check: checkBucket(bucketName), build: dialects[MinIO].build,
		words:   "The credential can't delete a version or shorten a lock. It may lay another version over a name; the locked original stays beneath.",
		limits:  []string{overwriting, "Whoever has the server's disks has everything: its operator must be another than the source's.", "MinIO refuses the condition s3:if-none-match in a policy, so it is left out."},
		checked: "The project's tests load every document into a MinIO server and try each attack with it: no version is deleted and no lock shortened, and the original stays readable beneath.",
	},
	Ceph: {
		title: "Ceph Object Gateway", strength: LockedBeneath, check: checkBucket(bucketName), build: dialects[Ceph].build,
		words:   "The credential can't delete a version or shorten a lock. It may lay another version over a name; the locked original stays beneath.",
		limits:  []string{overwriting, "Whoever runs the cluster can remove everything beneath the gateway: its operator must be another than the source's."},
		checked: unchecked,
	},
	Scaleway: {
		title: "Scaleway Object Storage", strength: LockedBeneath, check: checkBucket(bucketName), build: dialects[Scaleway].build,
		words: "The credential can't delete a version or shorten a lock. It may lay another version over a name; the locked original stays beneath.",
		limits: []string{overwriting, "The permission set ObjectStorageObjectsWrite is too strong: it may change locks and ACLs. Give the application no permission set, and let the bucket's policy grant what it needs.",
			"The organization's owner can always replace the bucket's policy."},
		checked: unchecked,
	},
	OVH: {
		title: "OVHcloud Object Storage", strength: LockedBeneath, fixed: true, check: checkBucket(bucketName), build: dialects[OVH].build,
		words: "The credential can't delete. It may lay another version over a name; where the bucket has Object Lock, the locked original stays beneath.",
		limits: []string{"No condition of its policies can demand create-only writes: the writer may lay another version over a name.",
			"A user's policy knows ten actions, and none for versions, locks or settings: with such a credential farshore sees neither what lies beneath nor its lock, so the probe can't prove the vault protected, and after an attack a restore needs the project's own credential.",
			"There is no action to extend locks: that needs the project's own credential."},
		checked: unchecked,
	},
	Hetzner: {
		title: "Hetzner Object Storage", strength: LockedBeneath, check: checkBucket(bucketName), build: dialects[Hetzner].build,
		words: "A key of another project can't delete a version or shorten a lock in the vault's bucket. It may lay another version over a name; the locked original stays beneath.",
		limits: []string{overwriting, "Every key of the bucket's own project may do everything in it: make the roles' keys in another project, and none in the vault's.",
			"Object Lock can only be switched on when the bucket is made. Members of the project can delete what is not locked."},
		checked: unchecked,
	},
	IDrive: {
		title: "IDrive e2", strength: LockedBeneath, whole: true, check: checkBucket(looseBucket), build: buildIDrive,
		words: "A key with the delete switches off can't delete. It may lay another version over a name; the locked original stays beneath.",
		limits: []string{overwriting, noPerRoom, "The class \"Upload only\" is not enough for the agent, which must read commits/ and meta/.",
			"A key that may delete objects can bypass GOVERNANCE: use COMPLIANCE."},
		checked: unchecked,
	},
	Storj: {
		title: "Storj", strength: LockedBeneath, fixed: true, whole: true, check: checkBucket(bucketName), build: buildStorj,
		words: "A grant without deletes can't delete a version. What it may lay over a name leaves the locked original beneath.",
		limits: []string{"An access grant that is not restricted may bypass GOVERNANCE and set locks: hand out restricted grants only.", noPerRoom,
			"Whether a grant without deletes may upload over a name depends on the bucket's versions: the probe says what happens."},
		checked: unchecked,
	},
	Versity: {
		title: "Versity S3 Gateway", strength: LockedBeneath, check: checkBucket(bucketName), build: dialects[Versity].build,
		words: "The credential can't delete a version or shorten a lock. It may lay another version over a name; the locked original stays beneath.",
		limits: []string{overwriting, "In version 1.8.0 a lock that comes from the bucket's default can be cut short by whoever may set locks: no role but the steward may, and that credential must not be at work on the agent's host.",
			"Whoever has the server's disks has everything."},
		checked: "The project's tests load the documents of writer, auditor, restorer and owner into a server and try each attack with them.",
	},
	DigitalOcean: {
		title: "DigitalOcean Spaces", strength: Nothing, fixed: true, whole: true, check: checkBucket(bucketName), build: buildDigitalOcean,
		words: "DigitalOcean Spaces can't carry a vault's property: a key that may write may delete, and there is no Object Lock.",
		limits: []string{"A key is \"read\", \"readwrite\" or \"fullaccess\" for a whole bucket. Whoever steals the agent's key can delete every version.",
			noLockNoKeep, "Use Spaces only as a second copy beside a vault at a provider that can keep it."},
		checked: unchecked,
	},
	SFTP: {
		title: "SFTP", strength: Nothing, fixed: true, whole: true, check: checkDirectory, build: buildSFTP,
		words: "SFTP can't carry a vault's property: who may create a file may also open and truncate it. Snapshots of the file system, by another account, can.",
		limits: []string{"The server can be told to refuse removing and renaming, not truncating: a thief can empty every file of the writer's.",
			"What protects are snapshots of the file system that the writer's account can't reach, at the moments when they were taken."},
		checked: "The lines for the server were tried on none: `farshore probe` with the credential shows what it may do.",
	},
	File: {
		title: "A directory", strength: Nothing, fixed: true, whole: true, check: checkDirectory, build: buildFile,
		words:   "A directory can't carry a vault's property: whoever owns the files can remove them. Snapshots of the file system, by another account, can.",
		limits:  []string{"Root on the agent's host can remove everything that is mounted there.", "What protects are snapshots of the file system that the agent's account can't reach, at the moments when they were taken."},
		checked: "There is nothing to try: who owns a directory can remove what is in it.",
	},
	REST: {
		title: "restic's rest-server", strength: Nothing, fixed: true, check: func(Vault) error { return nil }, build: func(*builder) {},
		words:   "farshore does not speak the protocol of rest-server, so no policy for it can be of use: its append-only mode can't hold a vault.",
		limits:  []string{"Everything: put the vault into a bucket of one of the other providers."},
		checked: "There is nothing to try.",
	},
}

// builder collects what a provider is to be told.
type builder struct {
	Request
	store    *store
	docs     []Document
	settings []Setting
	steps    []step
	blocks   []*block
	notes    []string
}

// step is a part of the script: commands, and why.
type step struct {
	why   string
	lines []string
}

func newBuilder(r Request, s *store) *builder {
	if r.Provider != SFTP && r.Provider != File {
		r.Vault = r.Vault.inBucket()
	}
	return &builder{Request: r, store: s}
}

// doc adds a document.
func (b *builder) doc(name, what string, body any) Raw {
	raw := encode(body)
	b.docs = append(b.docs, Document{Name: name, What: what, Body: raw})
	return raw
}

// setting adds a setting of the bucket.
func (b *builder) setting(name, value, why string) {
	b.settings = append(b.settings, Setting{name, value, why})
}

// step adds commands to the script.
func (b *builder) step(why string, lines ...string) { b.steps = append(b.steps, step{why, lines}) }

// hcl adds blocks.
func (b *builder) hcl(blocks ...*block) { b.blocks = append(b.blocks, blocks...) }

// note adds what else the reader must know.
func (b *builder) note(format string, args ...any) {
	b.notes = append(b.notes, fmt.Sprintf(format, args...))
}

// user is the name that a role's credential gets at the provider.
func (b *builder) user(r Role) string { return "farshore-" + string(r) }

// purpose says what a role's credential is for, as a comment of the script.
func (b *builder) purpose(r Role) string {
	if b.store.whole {
		return title(r) + " (what it needs, not all that it can be held to): " + r.sentence(b.ReadBack) + "."
	}
	return title(r) + ", " + r.sentence(b.ReadBack) + "."
}

// policyName is a role's policy at the provider, where an account may hold more than one vault.
func (b *builder) policyName(r Role) string { return "farshore-" + string(r) + "-" + b.Vault.Bucket }

// powers are those of a role of this request.
func (b *builder) powers(r Role) powers { return r.powers(b.ReadBack) }

// roleNotes adds what a role's policy leaves out on purpose.
func (b *builder) roleNotes() {
	for _, r := range b.Roles {
		switch {
		case r == Writer && !b.ReadBack && !b.store.whole && b.Provider != REST:
			b.note("The writer may not read packs/: a thief of its credential can't run up the bill for egress. Then what it stored can't be read back and compared before a commit, an upload whose answer was lost " +
				"ends the pass when it finds its own name taken (the next pass goes on), and packs of an interrupted run can't be adopted. Add --read-back to allow it: packs are sealed to the recovery keys, so their contents stay closed either way.")
		case r == Steward && b.store.fixed:
			b.note("There is nothing for a steward to extend here: its credential only reads.")
		case r == Steward:
			b.note("The steward extends locks, up to %d days ahead where the provider has a ceiling, and never deletes: pruning needs another credential.", b.CeilingDays)
		case r == Owner:
			b.note("The owner's credential places statements and is not needed daily: keep it away from the agent's host.")
		}
	}
	if b.store.strength != Nothing {
		b.note("Give each role's credential to its own host, and prove the writer's with `farshore probe` on the agent's.")
	}
}

// result is what was collected.
func (b *builder) result() *Result {
	r := &Result{
		Provider: b.Provider, Roles: b.Roles, Bucket: b.Vault.Bucket, Prefix: b.Vault.Prefix, Strength: b.store.strength, Words: b.store.words, Checked: b.store.checked,
		Documents: b.docs, Settings: b.settings, Limits: b.store.limits, Notes: b.notes,
	}
	if r.Documents == nil {
		r.Documents = []Document{}
	}
	if r.Settings == nil {
		r.Settings = []Setting{}
	}
	r.CLI, r.Terraform = b.script(), b.module()
	return r
}

// remarks are the comments at the head of a script or module.
func (b *builder) remarks() []string {
	out := []string{b.store.words, "", "What this provider can't enforce:"}
	for _, l := range b.store.limits {
		out = append(out, "- "+l)
	}
	out = append(out, "", "Note:")
	for _, n := range b.notes {
		out = append(out, "- "+n)
	}
	return append(out, "- "+b.store.checked)
}

// comment writes lines as comments.
func comment(w *strings.Builder, lines ...string) {
	for _, l := range lines {
		w.WriteString(strings.TrimRight("# "+l, " ") + "\n")
	}
}

// script is the whole of it as a script for sh.
func (b *builder) script() string {
	var w strings.Builder
	w.WriteString("#!/bin/sh\n")
	comment(&w, b.remarks()...)
	if len(b.steps) == 0 {
		comment(&w, "", "There are no commands for this.")
		return w.String()
	}
	w.WriteString("\nset -eu\n")
	for _, s := range b.steps {
		w.WriteString("\n")
		comment(&w, s.why)
		for _, l := range s.lines {
			w.WriteString(l + "\n")
		}
	}
	return w.String()
}

// module is the whole of it as Terraform.
func (b *builder) module() string {
	var w strings.Builder
	comment(&w, b.remarks()...)
	if len(b.blocks) == 0 {
		comment(&w, "", "There are no resources for this: see the commands.")
	}
	for _, blk := range b.blocks {
		w.WriteString("\n")
		blk.write(&w, "")
	}
	return w.String()
}

// resource begins a resource of Terraform. The name is the package's own.
func resource(kind, name string) *block {
	return newBlock(fmt.Sprintf("resource %q %q", kind, notIdentifier.ReplaceAllString(name, "_")))
}

var notIdentifier = regexp.MustCompile(`[^A-Za-z0-9_]`)

// hclVariable declares a variable of the module.
func hclVariable(name, what string) *block {
	return newBlock(fmt.Sprintf("variable %q", name)).set("type", expression("string"), "description", what)
}

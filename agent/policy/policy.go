// Package policy writes the smallest credential of each role of a vault, in the words of the provider that is to enforce it: the policy documents, the
// bucket's settings, the provider's own commands, and Terraform. It says as plainly what the provider can't enforce.
//
// It is pure: it reads nothing but the Request, asks no store and changes nothing. What it writes is a claim about a provider; only the
// probe, run with the credential, shows whether the claim holds.
//
// A role is a small table of what it may do in which room (model.go). Each provider turns that one table into its own words; no role of
// any provider is written by hand, so that a role is the same everywhere, as far as the provider has the words for it.
package policy

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Provider is a store's provider, by the name that people give it on the command line.
type Provider string

// Providers.
const (
	AWS          Provider = "aws"
	GCS          Provider = "gcs"
	Azure        Provider = "azure"
	B2           Provider = "b2"
	R2           Provider = "r2"
	Wasabi       Provider = "wasabi"
	MinIO        Provider = "minio"
	Ceph         Provider = "ceph"
	Scaleway     Provider = "scaleway"
	OVH          Provider = "ovh"
	Hetzner      Provider = "hetzner"
	IDrive       Provider = "idrive"
	Storj        Provider = "storj"
	Versity      Provider = "versity"
	DigitalOcean Provider = "digitalocean"
	SFTP         Provider = "sftp"
	File         Provider = "file"
	REST         Provider = "rest"
)

// Strength is how a provider keeps what the writer stored from the writer's own credential.
type Strength string

// Strengths, the strongest first.
const (
	// CreateOnly: the store refuses this credential to replace or remove anything.
	CreateOnly Strength = "create-only"
	// LockedBeneath: the credential may lay another version over a name; the locked original stays beneath it, and can be read.
	LockedBeneath Strength = "locked-beneath"
	// WhileRule: the credential can do nothing as long as a rule of the bucket stands, which an administrator can lift.
	WhileRule Strength = "while-the-rule-stands"
	// Nothing: the provider can't keep this credential from destroying.
	Nothing Strength = "none"
)

// Request is what is asked for.
type Request struct {
	Provider Provider
	// Roles are in the order in which their documents come. A store whose bucket has one policy for all needs all of them at once.
	Roles []Role
	Vault Vault
	// ReadBack lets the writer read packs/.
	ReadBack bool
	// RetentionDays is how long each object is locked when it is stored; 0 for DefaultRetentionDays.
	RetentionDays int
	// CeilingDays is how far ahead the steward may lock at most; 0 for the greater of DefaultCeilingDays and twice RetentionDays.
	CeilingDays int
	// Admins are the ARNs of the AWS roles or users that may still administer the bucket; with none, AWS's settings are not closed by the bucket's policy.
	Admins []string
	// Principals name the roles' credentials to a store that grants in the bucket's policy, by role; where there is none, a placeholder stands in its place.
	Principals map[Role]string
}

// DefaultRetentionDays leaves time to notice an intruder and to extend what is still needed.
const DefaultRetentionDays = 45

// DefaultCeilingDays bounds what a thief of the steward's credential can make the owner pay for.
const DefaultCeilingDays = 120

// maxDays is the longest default retention that S3 takes: 100 years.
const maxDays = 36500

// Result is what a provider is to be told.
type Result struct {
	Provider Provider `json:"provider"`
	Roles    []Role   `json:"roles"`
	Bucket   string   `json:"bucket"`
	Prefix   string   `json:"prefix"`
	Strength Strength `json:"strength"`
	// Words say the strength in one sentence.
	Words string `json:"words"`
	// Checked says what was tried on a real server, and what was not.
	Checked   string     `json:"checked"`
	Documents []Document `json:"documents"`
	Settings  []Setting  `json:"settings"`
	// CLI is a script for sh, Terraform a fragment of a module. Both hold the documents, and comments with the limits.
	CLI       string `json:"cli"`
	Terraform string `json:"terraform"`
	// Limits are what the provider can't enforce. Notes are what else the reader must know or do.
	Limits []string `json:"limits"`
	Notes  []string `json:"notes"`
}

// Document is one policy document.
type Document struct {
	// Name is a file's name: "writer.json".
	Name string `json:"name"`
	// What it is and where it goes.
	What string `json:"what"`
	// Body is the document itself, valid JSON.
	Body Raw `json:"body"`
}

// Setting is a setting of the bucket.
type Setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	// Why it is needed.
	Why string `json:"why"`
}

// Make writes what the request asks for. Its errors are about the request.
func Make(r Request) (*Result, error) {
	s, ok := stores[r.Provider]
	if !ok {
		return nil, fmt.Errorf("no provider is called %q: known are %s", r.Provider, strings.Join(Names(), ", "))
	}
	if err := r.complete(); err != nil {
		return nil, err
	}
	b := newBuilder(r, s)
	if err := errors.Join(s.check(b.Vault), r.fits()); err != nil {
		return nil, err
	}
	s.build(b)
	b.roleNotes()
	return b.result(), nil
}

// Names lists the providers in order.
func Names() []string {
	var names []string
	for p := range stores {
		names = append(names, string(p))
	}
	slices.Sort(names)
	return names
}

// complete checks the request and puts the defaults in.
func (r *Request) complete() error {
	if len(r.Roles) == 0 {
		return errors.New("no role is named: " + roleNames())
	}
	for i, role := range r.Roles {
		if !slices.Contains(Roles(), role) {
			return fmt.Errorf("no role is called %q: there are %s", role, roleNames())
		}
		if slices.Contains(r.Roles[:i], role) {
			return fmt.Errorf("role %s is named twice", role)
		}
	}
	if err := r.days(); err != nil {
		return err
	}
	for _, a := range r.Admins {
		if !adminARN.MatchString(a) {
			return fmt.Errorf("%q is no ARN of a role or user of IAM: write arn:aws:iam::123456789012:role/NAME, without wildcards", a)
		}
	}
	for role, p := range r.Principals {
		if !slices.Contains(r.Roles, role) {
			return fmt.Errorf("a principal is named for the role %q, which is not asked for", role)
		}
		if !principalName.MatchString(p) {
			return fmt.Errorf("%q can't be a principal: only letters, digits and _ + = , . @ : / - are understood", p)
		}
	}
	if len(r.Admins) > 0 && r.Provider != AWS {
		return fmt.Errorf("administrators by ARN are AWS's: %s has no use for them", r.Provider)
	}
	return r.Vault.check()
}

// fits refuses an address that is surely another provider's.
func (r *Request) fits() error {
	v := r.Vault
	guess, sure := v.Guess()
	switch {
	case r.Provider == REST:
		return nil
	case v.scheme == "gs" && r.Provider != GCS:
		return fmt.Errorf("the vault's address is a bucket of Google Cloud Storage, not of %s", r.Provider)
	case v.scheme == "s3" && (r.Provider == GCS || r.Provider == Azure):
		return fmt.Errorf("farshore does not speak S3 to %s: write gs://bucket/prefix for Google Cloud Storage, rclone:REMOTE:CONTAINER/prefix for Azure", r.Provider)
	// Without an endpoint the environment may still name one.
	case sure && guess != r.Provider && (v.Endpoint != "" || v.backend != ""):
		return fmt.Errorf("the vault's address is one of %s, not of %s", guess, r.Provider)
	}
	return nil
}

// days checks the periods.
func (r *Request) days() error {
	if r.RetentionDays == 0 {
		r.RetentionDays = DefaultRetentionDays
	}
	if r.CeilingDays == 0 {
		r.CeilingDays = min(max(DefaultCeilingDays, 2*r.RetentionDays), maxDays)
	}
	switch {
	case r.RetentionDays < 1 || r.RetentionDays > maxDays:
		return fmt.Errorf("a retention of %d days is not between 1 and %d", r.RetentionDays, maxDays)
	case r.CeilingDays < r.RetentionDays || r.CeilingDays > maxDays:
		return fmt.Errorf("a ceiling of %d days is not between the retention, %d, and %d", r.CeilingDays, r.RetentionDays, maxDays)
	}
	return nil
}

// adminARN is exact on purpose: in ArnNotLike a wildcard would let others through.
var adminARN = regexp.MustCompile(`^arn:aws[a-z-]*:iam::[0-9]{12}:(role|user)/[A-Za-z0-9_+=,.@/-]{1,512}$`)

// principalName has nothing that a policy takes for a pattern or a variable.
var principalName = regexp.MustCompile(`^[A-Za-z0-9_+=,.@:/-]{1,256}$`)

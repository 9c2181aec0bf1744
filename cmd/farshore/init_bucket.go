package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"farshore/agent/config"
	"farshore/providers"
	"farshore/providers/s3/s3bucket"
	"farshore/providers/s3/s3client"
)

// bucketOptions are what init was asked for about the vault's bucket.
type bucketOptions struct {
	create    bool
	retention string
	spec      s3bucket.Spec
	made      *s3bucket.Made
}

// defaultRetention is long enough for a quarter's leave and a month's notice that nobody read, and short enough that what a thief adds does not stay for ever.
const defaultRetention = "45d"

func (o *bucketOptions) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&o.create, "create-bucket", false, "make the vault's S3 bucket, with Object Lock, by an administrator's credential")
	cmd.Flags().StringVar(&o.retention, "retention", "", "for how long the new bucket locks each object (COMPLIANCE): `DAYS`, such as 45d (default "+defaultRetention+")")
}

// check holds the flags to what making a bucket needs.
func (o *bucketOptions) check(vault string) error {
	if !o.create {
		if o.retention != "" {
			return usagef("--retention is for --create-bucket: the retention of a bucket that exists is never changed")
		}
		return nil
	}
	if !strings.HasPrefix(vault, "s3:") {
		return usagef("--create-bucket makes S3 buckets only").with("`farshore policy` prints the settings and commands for other providers")
	}
	if _, err := s3client.Parse(vault); err != nil {
		return usagef("--vault: %w", err)
	}
	d, err := config.ParseDays(or(o.retention, defaultRetention))
	if err != nil {
		return usagef("--retention: %w", err)
	}
	const day = 24 * time.Hour
	if d < day || d%day != 0 || d > s3bucket.MaxRetention {
		return usagef("--retention: %s is not from 1d to %s, in whole days", config.FormatDays(d), config.FormatDays(s3bucket.MaxRetention))
	}
	o.spec.Retention = d
	return nil
}

// make makes the bucket where that was asked for.
func (o *bucketOptions) make(ctx context.Context, vault string) (err error) {
	if !o.create {
		return nil
	}
	o.made, err = s3bucket.Create(ctx, vault, s3client.Options{UserAgent: userAgent()}, o.spec)
	var partial *s3bucket.PartialError
	switch {
	case errors.Is(err, s3bucket.ErrExists):
		return usagef("--create-bucket: %w", err).with("leave --create-bucket out to make the vault in it, after a look at what it has; or choose another name")
	case errors.As(err, &partial):
		return incompletef("%w", err).with("no vault was made. Set what is missing with the provider's own tools (`farshore policy` prints the commands) and run init again without --create-bucket; " +
			"or remove the bucket, which is empty, and run this again with a credential that may do all of it. A bucket without what is missing is only as safe as the credential that writes to it")
	case err != nil:
		return fmt.Errorf("--create-bucket: %w", err)
	}
	return nil
}

// look asks how the store keeps what is written. A bucket that was just made must have what was asked for.
func (o *bucketOptions) look(ctx context.Context, b *providers.Bucket) (*keepsResult, error) {
	s, err := b.Settings(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask how the vault's store keeps objects: %w", err)
	}
	r := keepsOf(s)
	if o.made == nil {
		return r, nil
	}
	r.Made = o.made
	if s.Mode != providers.Compliance || s.Retention != o.spec.Retention || s.Versioning != "on" {
		return nil, incompletef("the bucket %s was made, and does not show what it was made with: %s", o.made.Bucket, strings.Join(r.Means, "; ")).
			with("no vault was made and nothing was removed: look at the bucket with the provider's own tools")
	}
	return r, nil
}

// keepsResult says how a store keeps what is written to it, as it tells itself.
type keepsResult struct {
	// Made is the bucket that init made; null where it was there.
	Made       *s3bucket.Made `json:"made"`
	Versioning string         `json:"versioning,omitempty"`
	ObjectLock bool           `json:"object_lock"`
	Mode       string         `json:"mode,omitempty"`
	// Retention is in days where it is whole ones: "45d".
	Retention string            `json:"retention,omitempty"`
	Rules     []providers.Rule  `json:"rules,omitempty"`
	Unknown   map[string]string `json:"unknown,omitempty"`
	// Means says in plain words what this comes to.
	Means []string `json:"means"`
}

func keepsOf(s providers.Settings) *keepsResult {
	r := &keepsResult{Versioning: s.Versioning, ObjectLock: s.Lock, Mode: string(s.Mode), Rules: s.Rules, Unknown: s.Unknown}
	if s.Retention > 0 {
		r.Retention = config.FormatDays(s.Retention)
	}
	r.Means = append([]string{lockMeans(s)}, historyMeans(s)...)
	return r
}

// credentialAlone is what remains where no lock binds.
const credentialAlone = "what keeps the vault is the credential alone"

// lockMeans says what the lock comes to.
func lockMeans(s providers.Settings) string {
	days := config.FormatDays(s.Retention)
	switch why := or(s.Unknown["lock"], s.Unknown["all"]); {
	case why != "":
		return "whether objects are locked could not be read (" + why + "): as far as is known, " + credentialAlone
	case s.Mode.Binding() && s.Retention > 0:
		return fmt.Sprintf("each new object is locked for %s: nobody can remove it before, not the account's owner either (%s)", days, s.Mode)
	case s.Mode != providers.LockNone && s.Retention > 0:
		return fmt.Sprintf("each new object is locked for %s, in mode %s, which can be lifted: against whoever may do that, %s", days, s.Mode, credentialAlone)
	case s.Lock:
		return "Object Lock is enabled, and gives new objects no lock: " + credentialAlone
	}
	return "no Object Lock: " + credentialAlone
}

// historyMeans says what versioning and lifecycle come to.
func historyMeans(s providers.Settings) []string {
	var out []string
	switch s.Versioning {
	case "on":
		out = append(out, "versioning is on: what is overwritten or hidden stays beneath, until somebody removes versions who may and whom no lock hinders")
	case "suspended", "off":
		out = append(out, "versioning is "+s.Versioning+": what is overwritten or deleted is gone")
	}
	for _, rule := range s.Rules {
		out = append(out, ruleMeans(rule))
	}
	if why := s.Unknown["rules"]; why != "" {
		out = append(out, "whether the store itself removes objects (lifecycle) could not be read: "+why)
	}
	if why := s.Unknown["versioning"]; why != "" {
		out = append(out, "whether versioning is on could not be read: "+why)
	}
	return out
}

// ruleMeans says what a lifecycle rule removes.
func ruleMeans(r providers.Rule) string {
	var what []string
	if r.Expire != nil {
		what = append(what, "objects "+config.FormatDays(*r.Expire)+" after they were written")
	}
	if r.Noncurrent != nil {
		what = append(what, "what was overwritten or hidden "+config.FormatDays(*r.Noncurrent)+" later")
	}
	if len(what) == 0 {
		what = append(what, "objects")
	}
	where := "everywhere"
	if r.Prefix != "" {
		where = "below " + r.Prefix
	}
	tagged := ""
	if r.Tagged {
		tagged = ", where a tag or other condition fits"
	}
	return fmt.Sprintf("lifecycle rule %q removes %s, %s%s: it must go, unless it spares the vault", r.ID, strings.Join(what, " and "), where, tagged)
}

func (r *keepsResult) text(p *printer) {
	if r == nil {
		return
	}
	if r.Made != nil {
		p.line("The bucket %s was made. Public access: %s. Ownership of objects by the bucket's owner: %s.", r.Made.Bucket, r.Made.PublicAccess, r.Made.Ownership)
	}
	p.line("How the store keeps what is written, as it says itself:")
	for _, m := range r.Means {
		p.line("  %s", m)
	}
	if r.Made != nil {
		p.line("The administrator's credential that made the bucket must not stay on this machine: give the agent one that can only add. `farshore policy --role writer` prints it.")
	}
}

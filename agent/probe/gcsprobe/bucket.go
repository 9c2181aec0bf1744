package gcsprobe

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"cloud.google.com/go/storage"

	"farshore/agent/probe"
)

// permissions are what the store is asked about. Those on objects support what the probes of objects show: a grant whose condition looks at objects' names does not show
// here. Those on the bucket are decided here, since no condition on objects can hide them.
var permissions = []struct {
	name     string
	property probe.Property
	harm     probe.Harm
}{
	{"storage.objects.delete", probe.NoDestroy, probe.Destroys},
	{"storage.objects.move", probe.NoDestroy, probe.Destroys},
	{"storage.objects.update", probe.NoShorten, probe.Loosens},
	{"storage.objects.setRetention", probe.NoShorten, probe.Loosens},
	{"storage.objects.overrideUnlockedRetention", probe.NoShorten, probe.Loosens},
	{"storage.objects.setIamPolicy", probe.NoDestroy, probe.Loosens},
	{"storage.buckets.update", probe.NoShorten, probe.Loosens},
	{"storage.buckets.setIamPolicy", probe.NoDestroy, probe.Loosens},
	{"storage.buckets.delete", probe.NoDestroy, probe.Destroys},
	{"storage.folders.rename", probe.NoDestroy, probe.Destroys},             // a room as a whole, where the bucket has folders
	{"storage.managedFolders.setIamPolicy", probe.NoDestroy, probe.Loosens}, // rights on all that lies in a folder
}

// Bucket returns the probes of the bucket.
func (a *Attacker) Bucket() []probe.BucketProbe {
	probes := []probe.BucketProbe{{
		Kind: probe.Kind{Probe: "update-bucket", Property: probe.NoShorten, Harm: probe.Loosens, Grant: "storage.buckets.update"},
		Try:  a.updateBucket,
	}}
	for _, p := range permissions {
		probes = append(probes, probe.BucketProbe{
			Kind: probe.Kind{Probe: "permission " + p.name, Property: p.property, Harm: p.harm, Grant: p.name},
			Try:  func(ctx context.Context) probe.Result { return a.has(ctx, p.name) },
		})
	}
	return probes
}

// has asks the store whether this credential has the permission. The question needs no right and changes nothing.
func (a *Attacker) has(ctx context.Context, permission string) probe.Result {
	held, err := a.bucket.IAM().TestPermissions(ctx, []string{permission})
	r := answer(err)
	switch {
	case status(err) == http.StatusBadRequest && strings.Contains(r.Text, permission):
		return probe.Result{Answer: probe.Unknown, Absent: true, Code: r.Code, Text: "the store does not know this permission of a bucket, so that nobody can have it: " + r.Text}
	case err != nil:
		// A refusal of the question is no refusal of what was asked about.
		r.Answer, r.Text = probe.Unknown, "the store does not say whether this credential has "+permission+": "+r.Text
		return r
	case slices.Contains(held, permission):
		return probe.Result{Answer: probe.Permitted, Code: r.Code, Text: "the store says that this credential has " + permission}
	}
	return probe.Result{Answer: probe.Denied, Code: r.Code, Text: "the store says that this credential does not have " + permission + " on the bucket"}
}

// updateBucket asks for a change of the bucket that is none, under a condition that can't be met. It says of the bucket what the bucket says of itself, so that a store which ignores
// the condition has nothing to change. Where the bucket can't be read, nothing at all is said.
func (a *Attacker) updateBucket(ctx context.Context) probe.Result {
	var same storage.BucketAttrsToUpdate
	attrs, err := a.bucket.Attrs(ctx)
	switch {
	case err == nil:
		same.VersioningEnabled, same.DefaultEventBasedHold = attrs.VersioningEnabled, attrs.DefaultEventBasedHold
	case status(err) != http.StatusForbidden:
		r := refused(fmt.Errorf("the bucket's settings can't be read: %w", err))
		r.Temporary = temporary(err)
		return r
	}
	_, err = a.bucket.If(storage.BucketConditions{MetagenerationMatch: impossible}).Update(ctx, same)
	return answer(err)
}

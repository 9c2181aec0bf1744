package s3probe

import (
	"context"
	"errors"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"farshore/agent/probe"
	"farshore/providers/s3/s3client"
)

// bogus is a value that no service knows, where it asks for one of a few.
const bogus = "farshore-probe"

// call sends one request, as that client.
type call func(ctx context.Context, c *s3.Client) error

// Bucket are the probes of the bucket as a whole. Each sends what can't be carried out: a setting with a value that does not exist, a policy
// that is not JSON. A service that checks the credential first, as all known ones do, denies it or says that it does not understand.
func (a *Attacker) Bucket() []probe.BucketProbe {
	return []probe.BucketProbe{
		a.ask("set-lifecycle", "s3:PutLifecycleConfiguration", probe.NoDestroy, probe.Destroys, a.setLifecycle, a.readLifecycle),
		{Kind: probe.Kind{Probe: "set-versioning", Property: probe.NoShorten, Harm: probe.Loosens, Grant: "s3:PutBucketVersioning"}, Try: a.versioning},
		a.ask("set-default-lock", "s3:PutBucketObjectLockConfiguration", probe.NoShorten, probe.Loosens, a.setLock, a.readLock),
		a.ask("set-policy", "s3:PutBucketPolicy", probe.NoShorten, probe.Loosens, a.setPolicy, a.readPolicy),
		a.ask("set-bucket-acl", "s3:PutBucketAcl", probe.NoShorten, probe.Loosens, a.setACL, a.readACL),
		a.ask("set-ownership", "s3:PutBucketOwnershipControls", probe.NoShorten, probe.Loosens, a.setOwnership, a.readOwnership),
		a.ask("set-encryption", "s3:PutEncryptionConfiguration", probe.NoDestroy, probe.Loosens, a.setEncryption, a.readEncryption),
		a.ask("set-replication", "s3:PutReplicationConfiguration", probe.NoDestroy, probe.Excess, a.setReplication, a.readReplication),
	}
}

func (a *Attacker) ask(name, grant string, property probe.Property, harm probe.Harm, set, read call) probe.BucketProbe {
	return probe.BucketProbe{
		Kind: probe.Kind{Probe: name, Property: property, Harm: harm, Grant: grant},
		Try:  func(ctx context.Context) probe.Result { return a.weigh(ctx, set, read) },
	}
}

// weigh sends a request that can't be carried out, and finds out what a refusal for its content means.
func (a *Attacker) weigh(ctx context.Context, set, read call) probe.Result {
	err := set(ctx, a.client)
	r := withoutACL(classify(err), err)
	bad := s3client.Status(err) == http.StatusBadRequest
	if err == nil && errors.Is(read(ctx, a.client), errAnswersElse) {
		return probe.Result{Answer: probe.Unknown, Absent: true, Code: r.Code, Text: "the store does not know the setting and took the request for another"}
	}
	if r.Answer != probe.Unknown || r.Absent || !bad && !unknownHere(err) {
		return r
	}
	// Does the service look at the content before it asks who sends it? It does not, where it denies the same request to nobody in particular.
	if bad && classify(set(ctx, a.nobody)).Answer == probe.Denied {
		r.Answer = probe.Permitted
		r.Text = "the store refused the content, and not the credential as it does without one: " + r.Text
		return r
	}
	if unknownHere(read(ctx, a.client)) {
		r.Absent, r.Temporary, r.Text = true, false, "the store has no such setting, it can't be read either: "+r.Text
	}
	return r
}

// errAnswersElse is what reading a setting comes to where the service answers with something else.
var errAnswersElse = errors.New("the answer is not what was asked for")

// unknownHere reports whether the service showed that it does not have what was asked for.
func unknownHere(err error) bool {
	status := s3client.Status(err)
	code, _ := codeOf(err)
	return status == http.StatusNotImplemented || status == http.StatusMethodNotAllowed || errors.Is(err, errAnswersElse) ||
		code == "BucketAlreadyOwnedByYou" || code == "BucketAlreadyExists" // it took the request for the creation of a bucket
}

// setLifecycle sends one rule with a status that does not exist and a number of days that is none, for names that no vault has.
func (a *Attacker) setLifecycle(ctx context.Context, c *s3.Client) error {
	_, err := c.PutBucketLifecycleConfiguration(ctx, &s3.PutBucketLifecycleConfigurationInput{Bucket: a.bucket(), LifecycleConfiguration: &types.BucketLifecycleConfiguration{
		Rules: []types.LifecycleRule{{
			ID: aws.String(bogus), Status: bogus, Filter: &types.LifecycleRuleFilter{Prefix: aws.String(a.prefix + "meta/canary/" + bogus)},
			Expiration: &types.LifecycleExpiration{Days: aws.Int32(-1)},
		}},
	}})
	return err
}

func (a *Attacker) readLifecycle(ctx context.Context, c *s3.Client) error {
	_, err := c.GetBucketLifecycleConfiguration(ctx, &s3.GetBucketLifecycleConfigurationInput{Bucket: a.bucket()})
	return err
}

// versioning asks for a status that does not exist. A service that took it all the same might have suspended versioning: then it is put back at once.
// Where the answer says nothing and versioning is on, it is asked to be on, which changes nothing even where it takes effect.
func (a *Attacker) versioning(ctx context.Context) probe.Result {
	before := a.versioningNow(ctx)
	r := a.weigh(ctx, func(ctx context.Context, c *s3.Client) error { return a.setVersioning(ctx, c, bogus) }, a.readVersioning)
	on := before == types.BucketVersioningStatusEnabled
	switch {
	case r.Answer == probe.Unknown && !r.Absent && on:
		second := classify(a.setVersioning(ctx, a.client, types.BucketVersioningStatusEnabled))
		if second.Answer != probe.Unknown {
			return second
		}
	case r.Answer == probe.Permitted && on && a.versioningNow(ctx) != before:
		if err := a.setVersioning(ctx, a.client, types.BucketVersioningStatusEnabled); err != nil {
			r.Text = join(r.Text, "the store took a status that does not exist and is no longer versioning: switch it on again: "+err.Error())
		}
	}
	return r
}

func (a *Attacker) setVersioning(ctx context.Context, c *s3.Client, status types.BucketVersioningStatus) error {
	_, err := c.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{Bucket: a.bucket(), VersioningConfiguration: &types.VersioningConfiguration{Status: status}})
	return err
}

// versioningNow returns the bucket's status; "" where it has none or it can't be read.
func (a *Attacker) versioningNow(ctx context.Context) types.BucketVersioningStatus {
	out, err := a.client.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: a.bucket()})
	if err != nil {
		return ""
	}
	return out.Status
}

func (a *Attacker) readVersioning(ctx context.Context, c *s3.Client) error {
	_, err := c.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: a.bucket()})
	return err
}

func (a *Attacker) setLock(ctx context.Context, c *s3.Client) error {
	_, err := c.PutObjectLockConfiguration(ctx, &s3.PutObjectLockConfigurationInput{Bucket: a.bucket(), ObjectLockConfiguration: &types.ObjectLockConfiguration{
		ObjectLockEnabled: bogus, Rule: &types.ObjectLockRule{DefaultRetention: &types.DefaultRetention{Mode: bogus, Days: aws.Int32(-1)}},
	}})
	return err
}

func (a *Attacker) readLock(ctx context.Context, c *s3.Client) error {
	_, err := c.GetObjectLockConfiguration(ctx, &s3.GetObjectLockConfigurationInput{Bucket: a.bucket()})
	return err
}

// setPolicy sends the beginning of a JSON object.
func (a *Attacker) setPolicy(ctx context.Context, c *s3.Client) error {
	_, err := c.PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{Bucket: a.bucket(), Policy: aws.String(`{"` + bogus + `":`)})
	return err
}

func (a *Attacker) readPolicy(ctx context.Context, c *s3.Client) error {
	_, err := c.GetBucketPolicy(ctx, &s3.GetBucketPolicyInput{Bucket: a.bucket()})
	return err
}

func (a *Attacker) setACL(ctx context.Context, c *s3.Client) error {
	_, err := c.PutBucketAcl(ctx, &s3.PutBucketAclInput{Bucket: a.bucket(), ACL: bogus})
	return err
}

func (a *Attacker) readACL(ctx context.Context, c *s3.Client) error {
	_, err := c.GetBucketAcl(ctx, &s3.GetBucketAclInput{Bucket: a.bucket()})
	return err
}

func (a *Attacker) setOwnership(ctx context.Context, c *s3.Client) error {
	_, err := c.PutBucketOwnershipControls(ctx, &s3.PutBucketOwnershipControlsInput{Bucket: a.bucket(), OwnershipControls: &types.OwnershipControls{
		Rules: []types.OwnershipControlsRule{{ObjectOwnership: bogus}},
	}})
	return err
}

func (a *Attacker) readOwnership(ctx context.Context, c *s3.Client) error {
	out, err := c.GetBucketOwnershipControls(ctx, &s3.GetBucketOwnershipControlsInput{Bucket: a.bucket()})
	if err == nil && (out.OwnershipControls == nil || len(out.OwnershipControls.Rules) == 0) {
		return errAnswersElse // a list of objects: the service does not know what was asked for, and takes it for something else
	}
	return err
}

func (a *Attacker) setEncryption(ctx context.Context, c *s3.Client) error {
	_, err := c.PutBucketEncryption(ctx, &s3.PutBucketEncryptionInput{Bucket: a.bucket(), ServerSideEncryptionConfiguration: &types.ServerSideEncryptionConfiguration{
		Rules: []types.ServerSideEncryptionRule{{ApplyServerSideEncryptionByDefault: &types.ServerSideEncryptionByDefault{SSEAlgorithm: bogus}}},
	}})
	return err
}

func (a *Attacker) readEncryption(ctx context.Context, c *s3.Client) error {
	_, err := c.GetBucketEncryption(ctx, &s3.GetBucketEncryptionInput{Bucket: a.bucket()})
	return err
}

func (a *Attacker) setReplication(ctx context.Context, c *s3.Client) error {
	_, err := c.PutBucketReplication(ctx, &s3.PutBucketReplicationInput{Bucket: a.bucket(), ReplicationConfiguration: &types.ReplicationConfiguration{
		Role: aws.String(bogus), Rules: []types.ReplicationRule{{Status: bogus, Destination: &types.Destination{Bucket: aws.String(bogus)}}},
	}})
	return err
}

func (a *Attacker) readReplication(ctx context.Context, c *s3.Client) error {
	_, err := c.GetBucketReplication(ctx, &s3.GetBucketReplicationInput{Bucket: a.bucket()})
	return err
}

package s3probe

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"farshore/agent/probe"
	"farshore/providers/s3/s3client"
)

// The permissions, in S3's words, that allow what is tried.
const (
	grantPut       = "s3:PutObject without the condition s3:if-none-match"
	grantRetention = "s3:PutObjectRetention"
	grantBypass    = "s3:BypassGovernanceRetention"
	grantHold      = "s3:PutObjectLegalHold"
	grantTags      = "s3:PutObjectTagging"
	grantOldTags   = "s3:PutObjectVersionTagging"
	grantACL       = "s3:PutObjectAcl"
	grantOldACL    = "s3:PutObjectVersionAcl"
	grantDelete    = "s3:DeleteObject"
	grantVersion   = "s3:DeleteObjectVersion"
)

// nullVersion is the id that S3 gives to versions from before versioning. A bucket that can lock has versioning from its beginning, so that its canaries have no such
// version: a request for it can't meet a lock, and a refusal is the credential's. Where there is no versioning it is the canary itself.
const nullVersion = "null"

// short is how long the locks are that are asked for: whatever they land on is a canary.
const short = time.Minute

// laidOver is what overwrites carry. It has another length than a canary, by which a listing tells them apart.
var laidOver = []byte("laid over a canary by farshore's append-only probe\n")

// Object are the probes of one object, the ones that may destroy it last. All of them are real requests: they take effect where the credential allows it, on a
// canary.
func (a *Attacker) Object() []probe.ObjectProbe {
	lays := func(name, grant string, property probe.Property, try func(context.Context, *string, probe.Canary) probe.Result) probe.ObjectProbe {
		return a.probe(name, grant, property, probe.Hides, try)
	}
	return []probe.ObjectProbe{
		lays("overwrite", grantPut, probe.CreateOnly, a.overwrite),
		lays("overwrite-if-match", grantPut, probe.CreateOnly, a.overwriteIfMatch),
		lays("overwrite-if-other", grantPut, probe.CreateOnly, a.overwriteIfOther),
		lays("copy-onto", grantPut, probe.CreateOnly, a.copyOnto),
		lays("multipart-onto", grantPut, probe.CreateOnly, a.multipartOnto),
		a.probe("create-with-lock", grantRetention, probe.NoShorten, probe.Excess, a.createWithLock),
		a.probe("shorten", grantRetention, probe.NoShorten, probe.Loosens, a.shorten(false)),
		a.probe("shorten-bypass", grantBypass, probe.NoShorten, probe.Loosens, a.shorten(true)),
		a.probe("lift-legal-hold", grantHold, probe.NoShorten, probe.Loosens, a.liftHold),
		a.probe("tag", grantTags, probe.NoDestroy, probe.Loosens, a.tag(false)),
		a.probe("tag-version", grantOldTags, probe.NoDestroy, probe.Loosens, a.tag(true)),
		a.probe("acl", grantACL, probe.NoDestroy, probe.Loosens, a.acl(false)),
		a.probe("acl-version", grantOldACL, probe.NoDestroy, probe.Loosens, a.acl(true)),
		lays("delete", grantDelete, probe.NoDestroy, a.deleteLast),
		lays("multi-delete", grantDelete, probe.NoDestroy, a.multiDelete),
		a.probe("delete-version", grantVersion, probe.NoDestroy, probe.Destroys, a.deleteVersion(false)),
		a.probe("delete-version-bypass", grantBypass, probe.NoDestroy, probe.Destroys, a.deleteVersion(true)),
		a.probe("multi-delete-version", grantVersion, probe.NoDestroy, probe.Destroys, a.multiDeleteVersion),
	}
}

// probe puts a probe together. What is tried gets the canary's key, and does not run where there is none.
func (a *Attacker) probe(name, grant string, property probe.Property, harm probe.Harm, try func(context.Context, *string, probe.Canary) probe.Result) probe.ObjectProbe {
	return probe.ObjectProbe{
		Kind:  probe.Kind{Probe: name, Property: property, Harm: harm, Grant: grant},
		Fresh: true,
		Try: func(ctx context.Context, c probe.Canary) probe.Result {
			key, err := a.key(c.Name)
			if err != nil {
				return refused(err)
			}
			return try(ctx, key, c)
		},
	}
}

func (a *Attacker) overwrite(ctx context.Context, key *string, _ probe.Canary) probe.Result {
	_, err := a.client.PutObject(ctx, a.put(key, laidOver))
	return classify(err)
}

// overwriteIfMatch overwrites under a condition that holds. Where it does not hold, because the canary is not there or was changed, the service
// has looked at the condition instead of refusing the credential.
func (a *Attacker) overwriteIfMatch(ctx context.Context, key *string, c probe.Canary) probe.Result {
	in := a.put(key, laidOver)
	in.IfMatch = aws.String(`"00000000000000000000000000000000"`)
	if etag := a.etags[c.Name]; etag != "" {
		in.IfMatch = aws.String(etag)
	}
	_, err := a.client.PutObject(ctx, in)
	return byCondition(err)
}

// overwriteIfOther overwrites under a condition with the header that a policy may demand, but another value: it holds, since the canary has another ETag. S3
// itself knows only the value *, and says so: then there is nothing to permit.
func (a *Attacker) overwriteIfOther(ctx context.Context, key *string, _ probe.Canary) probe.Result {
	in := a.put(key, laidOver)
	in.IfNoneMatch = aws.String(`"00000000000000000000000000000000"`)
	_, err := a.client.PutObject(ctx, in)
	return byCondition(err)
}

// byCondition is classify for an overwrite under a condition. That without one is a probe of its own, so that nothing hangs on a condition which the store does
// not know.
func byCondition(err error) probe.Result {
	r := classify(err)
	switch s3client.Status(err) {
	case http.StatusPreconditionFailed:
		r.Answer, r.Text = probe.Permitted, "the store looked at the condition instead of refusing the credential: "+r.Text
	case http.StatusNotImplemented:
		r.Absent, r.Text = true, "the store knows no such condition: "+r.Text
	}
	return r
}

// unlessAbsent is classify for what some services do not have at all: those say so to reading it too.
func unlessAbsent(err error, read func() error) probe.Result {
	r := withoutACL(classify(err), err)
	if r.Answer == probe.Unknown && !r.Absent && unknownHere(err) && unknownHere(read()) {
		r.Absent, r.Text = true, "the store has no such thing, it can't be read either: "+r.Text
	}
	return r
}

// copyOnto copies an object onto the canary. A service denies it too where the source may not be read, so that only a copy from what may be read proves anything.
func (a *Attacker) copyOnto(ctx context.Context, key *string, c probe.Canary) probe.Result {
	source := a.source(ctx, c)
	if source == "" {
		return probe.Result{Answer: probe.Unknown, Text: "not tried: the credential may read no canary to copy from, and a denial could mean that"}
	}
	_, err := a.client.CopyObject(ctx, &s3.CopyObjectInput{
		Bucket: a.bucket(), Key: key, CopySource: aws.String(a.at.Bucket + "/" + escape(source)), MetadataDirective: types.MetadataDirectiveReplace,
	})
	return classify(err)
}

// source returns the key of a canary that the credential may read.
func (a *Attacker) source(ctx context.Context, c probe.Canary) string {
	names := []string{c.Name}
	for _, room := range []string{"meta", "commits", "reports", "packs", "vault"} {
		names = append(names, a.sources[room])
	}
	if a.readable != "" && a.reads(ctx, a.readable) {
		return a.readable
	}
	a.readable = ""
	for _, name := range names {
		if key, err := a.key(name); err == nil && a.reads(ctx, *key) {
			a.readable = *key
			break
		}
	}
	return a.readable
}

func (a *Attacker) reads(ctx context.Context, key string) bool {
	_, err := a.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: a.bucket(), Key: &key})
	return err == nil
}

// escape is how a key stands in the header of a copy.
func escape(key string) string {
	parts := strings.Split(key, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return strings.Join(parts, "/")
}

// multipartOnto uploads one part and completes it onto the canary. An upload that is not completed is given up; where that is not allowed it stays, a few bytes
// that no listing of objects shows.
func (a *Attacker) multipartOnto(ctx context.Context, key *string, _ probe.Canary) probe.Result {
	up, err := a.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: a.bucket(), Key: key, ChecksumAlgorithm: types.ChecksumAlgorithmCrc32})
	if err != nil {
		return classify(err)
	}
	part, err := a.client.UploadPart(ctx, &s3.UploadPartInput{
		Bucket: a.bucket(), Key: key, UploadId: up.UploadId, PartNumber: aws.Int32(1), Body: bytes.NewReader(laidOver), ContentLength: aws.Int64(int64(len(laidOver))),
		ChecksumAlgorithm: types.ChecksumAlgorithmCrc32,
	})
	if err == nil {
		_, err = a.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
			Bucket: a.bucket(), Key: key, UploadId: up.UploadId,
			MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{{ETag: part.ETag, PartNumber: aws.Int32(1), ChecksumCRC32: part.ChecksumCRC32}}},
		})
	}
	r := classify(err)
	if err != nil {
		// Best effort: what came back above is the answer.
		_, _ = a.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: a.bucket(), Key: key, UploadId: up.UploadId})
	}
	return r
}

// createWithLock makes another canary, with a lock of its own choice in place of the bucket's default.
func (a *Attacker) createWithLock(ctx context.Context, _ *string, c probe.Canary) probe.Result {
	key, err := a.key(c.Name + "-lock")
	if err != nil {
		return refused(err)
	}
	in := a.put(key, laidOver)
	in.IfNoneMatch = aws.String("*")
	in.ObjectLockMode, in.ObjectLockRetainUntilDate = types.ObjectLockModeCompliance, aws.Time(time.Now().Add(short))
	_, err = a.client.PutObject(ctx, in)
	return classify(err)
}

// shorten asks for a lock on the canary that ends in a minute. A refusal may be the lock's and look like the credential's, so the same is asked of a version
// that can't have a lock: only where that is denied too it is the credential's.
//
// A store may look at the lock before it asks about the credential. Then to extend the lock by an hour, which takes the same permission and which no lock
// refuses, shows what the credential may.
func (a *Attacker) shorten(bypass bool) func(context.Context, *string, probe.Canary) probe.Result {
	return func(ctx context.Context, key *string, c probe.Canary) probe.Result {
		mode, kept := a.defaultLock(ctx)
		ask := func(version string, until time.Duration) probe.Result {
			in := &s3.PutObjectRetentionInput{Bucket: a.bucket(), Key: key, VersionId: aws.String(version), Retention: &types.ObjectLockRetention{
				Mode: mode, RetainUntilDate: aws.Time(time.Now().Add(until)),
			}}
			if bypass {
				in.BypassGovernanceRetention = aws.Bool(true)
			}
			_, err := a.client.PutObjectRetention(ctx, in)
			return unlessAbsent(err, func() error {
				_, err := a.client.GetObjectRetention(ctx, &s3.GetObjectRetentionInput{Bucket: a.bucket(), Key: key})
				return err
			})
		}
		if c.Version == "" || c.Version == nullVersion {
			r := ask(nullVersion, short)
			r.Held = r.Held || !c.Exists && notThere(r)
			return r
		}
		r := both(ask(nullVersion, short), ask(c.Version, short))
		if r.Answer != probe.Unknown || kept == 0 {
			return r
		}
		switch longer := ask(c.Version, kept+time.Hour); longer.Answer {
		case probe.Denied:
			longer.Text = "the lock refused before the credential was asked; to extend it, which takes the same permission, was denied: " + longer.Text
			return longer
		case probe.Permitted:
			r.Held = false
			r.Text = join(r.Text, "the credential may change retention, it could extend the lock")
		}
		return r
	}
}

// notThere reports whether the store looked for the object first and did not find it.
func notThere(r probe.Result) bool {
	return strings.HasPrefix(r.Code, "NoSuchVersion ") || strings.HasPrefix(r.Code, "NoSuchKey ")
}

// defaultLock returns how new objects of the bucket are locked, and for how long; 0 where that can't be read or they are not.
func (a *Attacker) defaultLock(ctx context.Context) (types.ObjectLockRetentionMode, time.Duration) {
	out, err := a.client.GetObjectLockConfiguration(ctx, &s3.GetObjectLockConfigurationInput{Bucket: a.bucket()})
	if err != nil || out.ObjectLockConfiguration == nil || out.ObjectLockConfiguration.Rule == nil || out.ObjectLockConfiguration.Rule.DefaultRetention == nil {
		return types.ObjectLockRetentionModeCompliance, 0
	}
	d := out.ObjectLockConfiguration.Rule.DefaultRetention
	return d.Mode, (time.Duration(aws.ToInt32(d.Days)) + 366*time.Duration(aws.ToInt32(d.Years))) * 24 * time.Hour
}

func (a *Attacker) liftHold(ctx context.Context, key *string, c probe.Canary) probe.Result {
	_, err := a.client.PutObjectLegalHold(ctx, &s3.PutObjectLegalHoldInput{
		Bucket: a.bucket(), Key: key, LegalHold: &types.ObjectLockLegalHold{Status: types.ObjectLockLegalHoldStatusOff},
	})
	return unlessAbsent(err, func() error {
		_, err := a.client.GetObjectLegalHold(ctx, &s3.GetObjectLegalHoldInput{Bucket: a.bucket(), Key: key})
		return err
	})
}

// tag gives the canary a tag, by which a lifecycle rule could remove it. Naming the version takes another permission, and only then may a rule for versions be met.
func (a *Attacker) tag(version bool) func(context.Context, *string, probe.Canary) probe.Result {
	return func(ctx context.Context, key *string, c probe.Canary) probe.Result {
		id := versionOf(c, version)
		_, err := a.client.PutObjectTagging(ctx, &s3.PutObjectTaggingInput{
			Bucket: a.bucket(), Key: key, VersionId: id, Tagging: &types.Tagging{TagSet: []types.Tag{{Key: aws.String("farshore"), Value: aws.String("canary")}}},
		})
		return unlessAbsent(err, func() error {
			_, err := a.client.GetObjectTagging(ctx, &s3.GetObjectTaggingInput{Bucket: a.bucket(), Key: key, VersionId: id})
			return err
		})
	}
}

// acl sets the access list that objects have by default. Where the bucket has access lists switched off, there is nothing to permit.
func (a *Attacker) acl(version bool) func(context.Context, *string, probe.Canary) probe.Result {
	return func(ctx context.Context, key *string, c probe.Canary) probe.Result {
		id := versionOf(c, version)
		_, err := a.client.PutObjectAcl(ctx, &s3.PutObjectAclInput{Bucket: a.bucket(), Key: key, VersionId: id, ACL: types.ObjectCannedACLPrivate})
		return unlessAbsent(err, func() error {
			_, err := a.client.GetObjectAcl(ctx, &s3.GetObjectAclInput{Bucket: a.bucket(), Key: key, VersionId: id})
			return err
		})
	}
}

// versionOf is the version that a probe names: none, the canary's own, or where it has none the one that S3 gives what has none.
func versionOf(c probe.Canary, named bool) *string {
	switch {
	case !named:
		return nil
	case c.Version == "":
		return aws.String(nullVersion)
	}
	return &c.Version
}

func withoutACL(r probe.Result, err error) probe.Result {
	if code, _ := codeOf(err); code == "AccessControlListNotSupported" {
		r.Absent, r.Text = true, "access lists are switched off: "+r.Text
	}
	return r
}

// deleteLast deletes without a version: a marker, or where there is no versioning the end.
func (a *Attacker) deleteLast(ctx context.Context, key *string, _ probe.Canary) probe.Result {
	_, err := a.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: a.bucket(), Key: key})
	return classify(err)
}

// deleteVersion deletes the version that the canary was created as, and before it the one that can't have a lock: see shorten.
func (a *Attacker) deleteVersion(bypass bool) func(context.Context, *string, probe.Canary) probe.Result {
	return func(ctx context.Context, key *string, c probe.Canary) probe.Result {
		ask := func(ctx context.Context, key *string, version string) probe.Result {
			in := &s3.DeleteObjectInput{Bucket: a.bucket(), Key: key, VersionId: aws.String(version)}
			if bypass {
				in.BypassGovernanceRetention = aws.Bool(true)
			}
			_, err := a.client.DeleteObject(ctx, in)
			return classify(err)
		}
		if c.Version == "" || c.Version == nullVersion {
			return ask(ctx, key, nullVersion)
		}
		unlocked := ask(ctx, key, nullVersion)
		r := both(unlocked, ask(ctx, key, c.Version))
		if r.Answer == probe.Permitted && unlocked.Answer == probe.Permitted {
			r.Text = join(r.Text, "versions may be deleted as soon as no lock holds them")
		}
		return a.unheld(ctx, c, r, func(ctx context.Context, key *string) probe.Result { return ask(ctx, key, nullVersion) })
	}
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}

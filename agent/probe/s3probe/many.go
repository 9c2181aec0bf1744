package s3probe

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"farshore/agent/probe"
)

// unheld finds out what the credential may where a lock held and said nothing of it: the same is asked of a name that nothing has, of which no lock can be. Only where that is
// permitted it says something: the lock is all that keeps the credential from deleting, and locks end.
func (a *Attacker) unheld(ctx context.Context, c probe.Canary, r probe.Result, ask func(ctx context.Context, key *string) probe.Result) probe.Result {
	if !r.Held {
		return r
	}
	key, err := a.key(c.Name + "-none")
	if err != nil {
		return r
	}
	if free := ask(ctx, key); free.Answer == probe.Permitted {
		free.Text = "the lock alone kept this version from being deleted: where nothing is, and so no lock, it was permitted"
		return free
	}
	return r
}

func (a *Attacker) multiDelete(ctx context.Context, key *string, _ probe.Canary) probe.Result {
	return a.deleteMany(ctx, types.ObjectIdentifier{Key: key})
}

func (a *Attacker) multiDeleteVersion(ctx context.Context, key *string, c probe.Canary) probe.Result {
	r := a.deleteMany(ctx, types.ObjectIdentifier{Key: key, VersionId: aws.String(nullVersion)})
	if c.Version == "" || c.Version == nullVersion {
		return r
	}
	r = both(r, a.deleteMany(ctx, types.ObjectIdentifier{Key: key, VersionId: aws.String(c.Version)}))
	return a.unheld(ctx, c, r, func(ctx context.Context, key *string) probe.Result {
		return a.deleteMany(ctx, types.ObjectIdentifier{Key: key, VersionId: aws.String(nullVersion)})
	})
}

// deleteMany sends one key through the request for many. Its answer is in the body, for each key.
func (a *Attacker) deleteMany(ctx context.Context, id types.ObjectIdentifier) probe.Result {
	out, err := a.client.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: a.bucket(), Delete: &types.Delete{Objects: []types.ObjectIdentifier{id}}})
	if err != nil {
		return classify(err)
	}
	switch {
	case len(out.Errors) > 0:
		code, message := aws.ToString(out.Errors[0].Code), aws.ToString(out.Errors[0].Message)
		r := probe.Result{Answer: probe.Unknown, Code: code, Text: message}
		switch {
		case lockRefused(code, message):
			r.Held, r.Text = true, "refused by the lock, not by the credential: "+message
		case code == "AccessDenied":
			r.Answer = probe.Denied
		case temporary(code, 0):
			r.Temporary = true
		}
		return r
	case len(out.Deleted) > 0:
		return accepted("Deleted")
	}
	return classify(errors.New("the store named the object neither among the deleted nor among the errors"))
}

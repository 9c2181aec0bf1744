package probe

import "context"

// Attacker tries at one kind of store what a thief would, on canaries only: every implementation makes the names that it sends in one place, and refuses there
// whatever record.IsCanary does not accept. Its methods are called one after the other.
type Attacker interface {
	// Principal tells whom the credential belongs to, without secrets: the same for all session keys of one principal.
	Principal(ctx context.Context) (string, error)
	// Create writes a canary as the agent writes its objects, create-only. It is the positive control: Permitted is what is hoped for. version is the store's id
	// of what was written, "" where it has none.
	Create(ctx context.Context, name string, body []byte) (version string, r Result)
	// Object are the probes of one object, for every room; Bucket those of the bucket as a whole, once a run.
	Object() []ObjectProbe
	Bucket() []BucketProbe
	// Notes say what this store can't be asked, or can't enforce.
	Notes() []string
}

// Result is what came back.
type Result struct {
	Answer Answer
	Code   string
	Text   string
	// Temporary is true for a disturbance that a later attempt may not meet: the engine tries again a few times, and then it is Unknown.
	Temporary bool
	// Absent is true, with Unknown, where the store was seen not to have the function at all, so that there is nothing to permit: the answer proves nothing
	// about the credential, and does not matter.
	Absent bool
	// Held is true, with Unknown, where the reason lies in the object, and the store did not get to asking about the credential: a lock held, or there was nothing.
	// It does not matter for what would shorten a lock, where locks are seen to bind everybody and the same is denied in another room.
	Held bool
}

// Kind describes a probe.
type Kind struct {
	Probe    string
	Property Property
	Harm     Harm
	Grant    string
}

// Canary is an object that the run has created, or, in a room where it may not create, a name that nothing has.
type Canary struct {
	Name    string
	Version string
	// Exists is false for a name that nothing has.
	Exists bool
}

// ObjectProbe tries one thing on a canary. Try may leave the canary overwritten, hidden, or gone: the probes of a room run in the order in which Object gives them, those that may
// destroy last. Where Fresh is set it gets a canary that nothing has been done to: one of its own, or one on which every earlier attempt was Denied.
type ObjectProbe struct {
	Kind
	Fresh bool
	Try   func(ctx context.Context, c Canary) Result
}

// BucketProbe tries one thing on the bucket, with a request that can't take effect. Check, where there is one, tells whether it did: settings before and after are also compared by the engine.
type BucketProbe struct {
	Kind
	Try func(ctx context.Context) Result
}

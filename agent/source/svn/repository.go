package svn

import (
	"context"
	"io"

	"farshore/agent/record"
	"farshore/agent/repo/svndump"
)

// facts are what a repository says of itself.
type facts struct {
	uuid     string
	youngest int64
	// instance changes when the repository's files are replaced by others, which a copy or a loaded dump does; empty where it is not known.
	instance string
	// attrs are kept in the record as they are.
	attrs record.Attrs
}

// repository is what a capture reads from.
type repository interface {
	// facts looks at the repository. Errors are those of source.Source's Capture.
	facts(ctx context.Context) (facts, error)
	// look returns the attributes that a listing gives for the kind.
	look(ctx context.Context, kind string) (record.Attrs, error)
	// sound returns the last revision of from to to before which all is well, from-1 when there is none, and what is wrong with the next one.
	sound(ctx context.Context, from, to int64) (good int64, wrong string, err error)
	// dump gives the revisions from to to, with deltas against what comes before. It ends with io.EOF only when it is whole.
	dump(ctx context.Context, from, to int64) (io.ReadCloser, error)
	// revprops calls each with the properties of the revisions from to to, in order.
	revprops(ctx context.Context, from, to int64, each func(int64, []svndump.Property) error) error
	// locks returns the locks as lines; false when the repository does not tell.
	locks(ctx context.Context) ([]byte, bool, error)
	// explain makes the error of a program one of those of source.Source's Capture.
	explain(error) error
}

// Attributes of records of kind svn, beside record.AttrOmitted.
const (
	attrUUID          = "uuid"
	attrYoungest      = "youngest"       // last revision that was captured
	attrDigest        = "digest"         // of that revision, as in its digests part
	attrCaptured      = "captured"       // when, RFC 3339
	attrFormat        = "format"         // number of the back end's format
	attrFSType        = "fs-type"        // back end
	attrInstance      = "instance"       // id of the repository's set of files
	attrFidelity      = "fidelity"       // "reduced" for what a server shows
	attrLost          = "lost"           // what is not captured then
	attrRewritten     = "rewritten"      // when and why a new chain was begun
	attrRevpropsStamp = "revprops-stamp" // digest of when revision properties were written to
	attrLocksStamp    = "locks-stamp"    // digest of when locks were written to
	attrStamp         = "stamp"          // of records of kind sidecar: digest of names, sizes and times
)

// Attributes of parts.
const (
	attrFrom = "from" // first revision
	attrTo   = "to"   // last revision
)

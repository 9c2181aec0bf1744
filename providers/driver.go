// Package providers stores and reads sealed bytes at a second cloud provider.
//
// Bucket is what the rest of farshore uses: it adds retries, deadlines, limits and classified errors to a Driver, the small
// interface that each kind of store implements. Neither has a delete or an overwrite: what the type cannot say, no bug can do. The
// package and its drivers only ever see sealed or public bytes, and import neither agent nor crypto.
package providers

import (
	"context"
	"io"
	"time"
)

// MaxObject is the largest object that a vault holds, in bytes (docs/format.md, section 1).
const MaxObject = 64 << 20

// Info describes one stored object.
type Info struct {
	// Name is the object's name below the vault's prefix, with slashes: "packs/ab/ab12…".
	Name string
	// Size is the number of stored bytes.
	Size int64
	// Modified is the store's own time of the last write; zero where the store does not tell.
	Modified time.Time
}

// Traits says what a store does for the vault. They are facts about the protocol and the driver, not about the credential.
type Traits struct {
	// Kind is the driver's scheme: "file", "mem", "s3", "gs", "rclone".
	Kind string
	// Place is the vault's address without secrets, for people.
	Place string
	// CreateOnly says who refuses a second write to a name.
	CreateOnly CreateOnly
	// Checksum names the strongest checksum of an upload that the store itself validates, for people: "SHA-256", "CRC32C", "MD5" or "".
	Checksum string
	// Local is true for stores on this machine, whose latency is small.
	Local bool
}

// CreateOnly says how strong Create's promise is.
type CreateOnly int

const (
	// CreateOnlyNone means that the driver looks first and then writes: two racing writers can both succeed.
	CreateOnlyNone CreateOnly = iota
	// CreateOnlyStore means that the store itself refuses the second write, atomically.
	CreateOnlyStore
)

// Driver is what a kind of store implements. All methods may be called concurrently, must honour the context's end, and return
// errors that errors.As finds as *Error, with the kind that fits. A driver does not retry: the Bucket does.
type Driver interface {
	// Create stores size(body) bytes under name, unless the name exists already: then it fails with kind Exists and changes nothing,
	// as far as Traits().CreateOnly goes. Success means that the bytes are durable. sum is the SHA-256 of the body, for stores that
	// check it. The body may be read more than once, from its start.
	Create(ctx context.Context, name string, body *io.SectionReader, sum [32]byte) (Info, error)
	// Open reads n bytes from offset off, or to the end where n < 0. The caller closes the reader. A range that reaches
	// beyond the end yields what there is. A missing object is kind NotFound.
	Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error)
	// Stat describes one object, or fails with kind NotFound.
	Stat(ctx context.Context, name string) (Info, error)
	// List returns objects whose names begin with prefix and are greater than after, in ascending order of bytes, at least one and at
	// most limit (which is at least 1) of them where there are any, and whether more may follow. A prefix that nothing has is no error.
	List(ctx context.Context, prefix, after string, limit int) (page []Info, more bool, err error)
	// Traits says what kind of store this is.
	Traits() Traits
}

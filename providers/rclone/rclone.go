// Package rclone keeps a vault in any store that rclone speaks to, with rclone as a library and the user's rclone.conf.
//
// # Which stores
//
// The backends local, sftp, webdav, azureblob, b2 and s3 are linked in. The build tag rclone_all links all the others as well, and
// makes the program some 30 MB larger. Where farshore has a driver of its own (file, s3, gs), that one is the better choice: it
// states and enforces more.
//
// # What is promised
//
// rclone has no create-only write on any backend. Create looks for the name first and then writes, so of two writers that race
// for a name both can succeed: a vault kept through rclone has one agent for each chain, and what makes it append-only is the credential, not
// this package. What a store can do for that:
//
//   - azureblob: a SAS or role that may create, read and list, and neither write nor delete, makes the store refuse a second write.
//     rclone needs no more: containers are never looked for or created here.
//   - b2: a second write of a name adds a version and hides the first. A key without deleteFiles and a bucket with Object Lock keep the first; versions, what
//     hides them, and locks are read over B2's own interface.
//   - s3: versioning with a default Object Lock. The s3 driver also writes create-only, which rclone's does not.
//   - sftp, webdav, local: nothing but what the server adds. Whoever may write may replace and delete.
//
// # How an object is written
//
// Each object is one request to an object store, under its final name; there a failed request leaves nothing. In a
// store of files (local, sftp, webdav, and any other that is not made of buckets and can move) half an object can be seen
// under its name, and rclone deletes a name whose upload failed: so the object is uploaded to a random name below `.tmp/`, checked there,
// and moved. What an interrupted upload leaves below `.tmp/` is never listed and may be deleted at any time. A store of files that can't move
// (with the tag rclone_all only) gets the object under its final name, whatever it makes of a failure. The rights to move and delete are not
// needed on object stores. No final name is ever deleted by this package; rclone's own move deletes the target first on SFTP servers without
// posix-rename, so the name is looked up once more before the move.
//
// After the upload the size is compared, and a hash where the store has one. rclone does not fsync: with local and sftp, an object that was
// stored in the last seconds before a power cut at the other end may be lost.
//
// # One process, one rclone
//
// rclone keeps its configuration and its log in variables of the process. This package sets them when a remote is opened and never prints
// or asks: an rclone.conf with a password needs RCLONE_CONFIG_PASS. Its retries are off, since the Bucket retries.
package rclone

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"

	"github.com/rclone/rclone/fs"
	"github.com/rclone/rclone/fs/accounting"

	"farshore/providers"
)

// Scheme is the scheme of the driver's addresses.
const Scheme = "rclone"

// Options are what an address does not say.
type Options struct {
	// ConfigPath is the rclone.conf to read. Empty means RCLONE_CONFIG, and where that is not set what rclone itself would read:
	// usually ~/.config/rclone/rclone.conf. A file that is named and missing is an error; the usual one may be missing. A process has one
	// rclone.conf: opening with another path replaces it for what is opened from then on.
	ConfigPath string
	// Log receives what rclone has to say at level notice and above; nil keeps what was set before, and drops it where nothing was.
	Log *slog.Logger
}

// Driver stores objects below one path of one remote. It may be used concurrently.
type Driver struct {
	fs      fs.Fs
	backend string // the remote's type: "sftp"
	place   string
	group   string // of rclone's statistics, in which it counts errors of listings that it does not return
	pages   pageCache
	b2      *backblaze // nil: the backend is another
}

var _ providers.Driver = (*Driver)(nil)

// Open returns the driver for rclone:REMOTE:PATH. REMOTE is a section of the rclone.conf, or a remote described on the spot as rclone understands
// it: rclone::local:/path, rclone::sftp,host=example.com,user=backup:vault. Open connects as far as the backend does, and checks
// that a bucket or container exists; a directory may be missing. Close it after use.
func Open(ctx context.Context, spec string, o Options) (*Driver, error) {
	r, f, err := connect(ctx, spec, o)
	if r.info == nil {
		return nil, err
	}
	if err == fs.ErrorIsFile {
		return nil, fmt.Errorf("open %s: this is a file, and a vault needs a directory: correct the path", r.place)
	}
	if err != nil {
		return nil, fail("open", r.place, err)
	}
	d := &Driver{fs: f, backend: r.info.Name, place: r.place, group: "farshore-" + rand.Text()}
	if d.backend == "b2" {
		if d.b2, err = newB2(ctx, r.config, r.path); err != nil {
			return nil, errors.Join(fail("open", r.place, err), d.Close())
		}
	}
	if err := d.checkBucket(ctx); err != nil {
		return nil, errors.Join(fail("open", r.place, err), d.Close())
	}
	return d, nil
}

// connect finds the remote and makes its fs.Fs, which reads what rclone's configuration says of it: until that is done, no other Open may replace the
// configuration. The remote has no info where it was not found.
func connect(ctx context.Context, spec string, o Options) (remote, fs.Fs, error) {
	process.mu.Lock()
	defer process.mu.Unlock()
	r, err := resolve(spec, o)
	if err != nil {
		return remote{}, nil, err
	}
	f, err := r.info.NewFs(settings(ctx), r.name, r.path, r.config)
	return r, f, err
}

// checkBucket fails where the remote is made of buckets and the vault's is not there. rclone would create it on some backends.
func (d *Driver) checkBucket(ctx context.Context) error {
	if !d.fs.Features().BucketBased {
		return nil
	}
	if d.fs.Root() == "" {
		return errors.New("the path must begin with a bucket or container")
	}
	_, err := d.readDir(d.context(ctx), "")
	return err
}

// Close ends the remote's connections where it keeps any. Nothing may be in progress.
func (d *Driver) Close() error {
	if shutdown := d.fs.Features().Shutdown; shutdown != nil {
		return shutdown(settings(context.Background()))
	}
	return nil
}

// checksums are the checksums that a backend sends with an upload and that its store compares. Azure keeps the MD5 that it is sent
// without looking at it.
var checksums = map[string]string{"s3": "MD5", "b2": "SHA-1"}

// Traits says what kind of store this is.
func (d *Driver) Traits() providers.Traits {
	return providers.Traits{
		Kind:       Scheme,
		Place:      d.place,
		CreateOnly: providers.CreateOnlyNone,
		Checksum:   checksums[d.backend],
		Local:      d.fs.Features().IsLocal,
	}
}

// context returns the context under which rclone's calls run.
func (d *Driver) context(ctx context.Context) context.Context {
	return accounting.WithStatsGroup(settings(ctx), d.group)
}

// settings returns a context with rclone's settings in it, which is where rclone looks for them.
func settings(ctx context.Context) context.Context {
	ctx, c := fs.AddConfig(ctx)
	c.LowLevelRetries = 1 // attempts in all
	c.AskPassword = false
	c.UseServerModTime = true // else some backends ask for each listed object once more
	c.NoGzip = true           // sealed bytes do not compress
	c.Metadata = false
	return ctx
}

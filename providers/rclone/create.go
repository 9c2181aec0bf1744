package rclone

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/rclone/rclone/fs"
	"github.com/rclone/rclone/fs/hash"
	"github.com/rclone/rclone/fs/object"

	"farshore/providers"
)

// staging is the directory of uploads that are not whole yet, in stores of files.
const staging = ".tmp"

// discardTime bounds the deletion of a failed upload, which goes on after the caller's context has ended.
const discardTime = 30 * time.Second

// Create looks for name and stores the body under it where it is not there. Two creates of one name at the same time can both succeed.
func (d *Driver) Create(ctx context.Context, name string, body *io.SectionReader, sum [32]byte) (providers.Info, error) {
	defer d.pages.forget()
	ctx = d.context(ctx)
	info, err := d.create(ctx, name, body, sum)
	if err != nil {
		return providers.Info{}, fail("create", name, err)
	}
	return info, nil
}

func (d *Driver) create(ctx context.Context, name string, body *io.SectionReader, sum [32]byte) (providers.Info, error) {
	if err := d.absent(ctx, name); err != nil {
		return providers.Info{}, err
	}
	want, err := d.expect(body, sum)
	if err != nil {
		return providers.Info{}, err
	}
	features := d.fs.Features()
	if features.BucketBased || features.Move == nil {
		return d.createDirect(ctx, name, want)
	}
	return d.createStaged(ctx, name, want)
}

// createDirect uploads under the final name. A store may refuse a credential that can't replace only because the name was taken since Create looked.
func (d *Driver) createDirect(ctx context.Context, name string, want expected) (providers.Info, error) {
	o, err := d.put(ctx, name, want)
	if kindOf("create", err) == providers.Denied && errors.Is(d.absent(ctx, name), errExists) {
		err = fmt.Errorf("%w: %w", errExists, err)
	}
	if err != nil {
		return providers.Info{}, err
	}
	return d.info(ctx, name, o), nil
}

// errExists says that a name is taken.
var errExists = errors.New("the name is taken")

// absent fails where name exists.
func (d *Driver) absent(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	_, err := d.fs.NewObject(ctx, name)
	switch {
	case err == nil:
		return errExists
	case kindOf("stat", err) == providers.NotFound:
		return nil
	}
	return err
}

// expected is a body and what the store should say of it once it is stored.
type expected struct {
	body *io.SectionReader
	hash hash.Type // hash.None where the store has none
	sum  string
}

// expect picks the hash that the store knows, best first, and computes it unless it is the one that is given.
func (d *Driver) expect(body *io.SectionReader, sum [32]byte) (expected, error) {
	e := expected{body: body, hash: hash.None}
	known := d.fs.Hashes()
	for _, t := range []hash.Type{hash.SHA256, hash.SHA1, hash.MD5, known.GetOne()} {
		if t != hash.None && known.Contains(t) {
			e.hash = t
			break
		}
	}
	switch e.hash {
	case hash.None:
		return e, nil
	case hash.SHA256:
		e.sum = hex.EncodeToString(sum[:])
		return e, nil
	}
	h, err := hash.NewMultiHasherTypes(hash.NewHashSet(e.hash))
	if err != nil {
		return e, err
	}
	if _, err := io.Copy(h, e.reader()); err != nil {
		return e, err
	}
	e.sum, err = h.SumString(e.hash, false)
	return e, err
}

// reader returns a reader of the whole body that leaves the body's own position alone.
func (e expected) reader() *io.SectionReader { return io.NewSectionReader(e.body, 0, e.body.Size()) }

// put uploads the body under name and compares what the store then says of it.
func (d *Driver) put(ctx context.Context, name string, want expected) (fs.Object, error) {
	var hashes map[hash.Type]string
	if want.hash != hash.None {
		hashes = map[hash.Type]string{want.hash: want.sum}
	}
	src := object.NewStaticObjectInfo(name, time.Now(), want.body.Size(), true, hashes, nil)
	o, err := d.fs.Put(ctx, &contextReader{ctx: ctx, r: want.reader()}, src)
	if err != nil {
		return nil, err
	}
	return o, verify(ctx, o, want)
}

// errDamaged says that the store has other bytes than were sent.
var errDamaged = errors.New("what was stored is not what was sent")

// verify compares the stored size, and the hash where there is one.
func verify(ctx context.Context, o fs.Object, want expected) error {
	if o.Size() != want.body.Size() {
		return fmt.Errorf("%w: %d bytes in place of %d", errDamaged, o.Size(), want.body.Size())
	}
	if want.hash == hash.None {
		return nil
	}
	got, err := o.Hash(ctx, want.hash)
	if errors.Is(err, hash.ErrUnsupported) || err == nil && got == "" {
		return nil // the store has no hash for this object: one encrypted with a key of its own, for example
	}
	if err == nil && got != want.sum {
		err = fmt.Errorf("%w: %s %s in place of %s", errDamaged, want.hash, got, want.sum)
	}
	return err
}

// createStaged uploads below the staging directory and moves the object to its name when it is whole and checked.
func (d *Driver) createStaged(ctx context.Context, name string, want expected) (providers.Info, error) {
	id := rand.Text()
	o, err := d.put(ctx, staging+"/"+id, want)
	if err == nil {
		err = d.absent(ctx, name)
	}
	if err == nil {
		o, err = d.fs.Features().Move(ctx, o, name)
	}
	if err != nil {
		if left := d.discard(ctx, id); left != nil {
			err = fmt.Errorf("%w; %w", err, left)
		}
		return providers.Info{}, err
	}
	if o.Size() != want.body.Size() {
		return providers.Info{}, fmt.Errorf("%w: %d bytes in place of %d after the move", errDamaged, o.Size(), want.body.Size())
	}
	return d.info(ctx, name, o), nil
}

// discard deletes what a failed create left in the staging directory, if anything. It can't reach a final name.
func (d *Driver) discard(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), discardTime)
	defer cancel()
	o, err := d.fs.NewObject(ctx, staging+"/"+id)
	if err == nil {
		err = o.Remove(ctx)
	}
	if err == nil || kindOf("stat", err) == providers.NotFound {
		return nil
	}
	return fmt.Errorf("%s/%s is left behind and can be deleted: %w", staging, id, err)
}

// contextReader ends with its context, for backends that do not look at it.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c *contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

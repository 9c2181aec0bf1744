package rcloneprobe

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"github.com/rclone/rclone/fs"
	"github.com/rclone/rclone/fs/object"

	"farshore/agent/probe"
)

// words are what would allow a probe, in the provider's own words.
type words struct{ write, remove, rename, attributes string }

var grants = map[string]words{
	"azureblob": {write: "blobs/write (SAS permission w)", remove: "blobs/delete (SAS permission d)", attributes: "blobs/write (SAS permission w)"},
	// B2 has no capability to create without being able to replace: nothing can be taken away, and a lock has to keep what is hidden.
	"b2":    {remove: "deleteFiles"},
	"s3":    {write: "s3:PutObject without s3:if-none-match", remove: "s3:DeleteObject"},
	"sftp":  {write: "open for writing on files that exist", remove: "remove", rename: "rename", attributes: "setstat"},
	"local": {write: "write permission on the files", remove: "write permission on the folders", rename: "write permission on the folders", attributes: "ownership of the files"},
}

func (a *Attacker) words() words {
	if w, ok := grants[a.kind]; ok {
		return w
	}
	return words{"overwriting", "removing", "moving", "changing attributes"}
}

// Object returns the probes of an object: those that the store has a function for, the ones that remove last.
func (a *Attacker) Object() []probe.ObjectProbe {
	w, features := a.words(), a.fs.Features()
	// B2 keeps what a second upload or a hide lies over. Elsewhere nothing is known to be left.
	over := probe.Destroys
	if a.kind == "b2" {
		over = probe.Hides
	}
	var probes []probe.ObjectProbe
	if w.attributes != "" && a.keepsTimes() {
		probes = append(probes, a.probe("set-attributes", probe.NoShorten, probe.Loosens, w.attributes, a.setAttributes))
	}
	probes = append(probes, a.probe("overwrite", probe.CreateOnly, over, w.write, a.overwrite))
	if features.BucketBased && features.Copy != nil {
		probes = append(probes, a.probe("copy-onto", probe.CreateOnly, over, w.write, a.copyOnto))
	}
	if features.Move != nil {
		probes = append(probes, a.probe("rename", probe.NoDestroy, probe.Destroys, w.rename, a.rename))
	}
	if a.kind == "b2" {
		return append(probes, a.probe("hide", probe.NoDestroy, probe.Hides, "", a.remove(a.fs)),
			a.probe("delete-version", probe.NoDestroy, probe.Destroys, w.remove, a.remove(a.hard)))
	}
	return append(probes, a.probe("remove", probe.NoDestroy, probe.Destroys, w.remove, a.remove(a.fs)))
}

// keepsTimes reports whether setting a time is a request to the store. For others rclone answers by itself, or copies.
func (a *Attacker) keepsTimes() bool {
	return a.kind == "azureblob" || a.kind == "sftp" || a.kind == "local"
}

// try is what is done to a canary that exists.
type try func(ctx context.Context, c probe.Canary) error

// probe makes a probe. A denial counts where the canary is as it was: rclone needs several requests for some of this, and the last may be refused after the first has done the
// damage, or an answer may have been lost.
func (a *Attacker) probe(name string, p probe.Property, h probe.Harm, grant string, do try) probe.ObjectProbe {
	return probe.ObjectProbe{
		Kind:  probe.Kind{Probe: name, Property: p, Harm: h, Grant: grant},
		Fresh: true,
		Try: func(ctx context.Context, c probe.Canary) probe.Result {
			if _, err := a.path(c.Name); err != nil {
				return refused(err)
			}
			if !c.Exists {
				return a.onNothing(ctx, name, c)
			}
			r := answer(a.bounded(ctx, func(ctx context.Context) error { return do(ctx, c) }))
			if r.Answer != probe.Permitted {
				r = a.confirm(ctx, c, r)
			}
			return r
		},
	}
}

// onNothing tries on a name that nothing has: a plain upload, which does not look whether something is there. The other probes need something to be tried on.
func (a *Attacker) onNothing(ctx context.Context, name string, c probe.Canary) probe.Result {
	if name != "overwrite" {
		return refused(errors.New("the credential could not create a canary here, and rclone can do this only to an object that it finds"))
	}
	return answer(a.bounded(ctx, func(ctx context.Context) error {
		_, err := a.fs.Put(ctx, strings.NewReader(over), about(c.Name))
		return err
	}))
}

// confirm looks whether the canary is as it was after something was not done.
func (a *Attacker) confirm(ctx context.Context, c probe.Canary, r probe.Result) probe.Result {
	want, known := a.bodies[c.Name]
	if !known {
		return refused(fmt.Errorf("the canary %s is not one of this run", c.Name))
	}
	got, err := a.read(ctx, c.Name, len(want))
	switch {
	case err == nil && bytes.Equal(got, want):
	case err == nil, answer(err).Code == "not found":
		return probe.Result{Answer: probe.Permitted, Code: r.Code, Text: "the store said no, but the canary is changed or gone: " + r.Text}
	case r.Answer == probe.Denied && !a.fs.Features().BucketBased:
		// At a bucket each probe is one request that changes something. At a file server it may be several.
		r.Answer, r.Text = probe.Unknown, "whether it was done before it was denied can't be seen: "+line(err.Error())
	}
	return r
}

// read returns the canary's bytes, one more than expected at most.
func (a *Attacker) read(ctx context.Context, name string, expected int) (got []byte, err error) {
	var body []byte
	err = a.bounded(ctx, func(ctx context.Context) error {
		o, err := a.fs.NewObject(ctx, name)
		if err != nil {
			return err
		}
		r, err := o.Open(ctx)
		if err != nil {
			return err
		}
		defer r.Close()
		body, err = io.ReadAll(io.LimitReader(r, int64(expected)+1))
		return err
	})
	if err != nil {
		return nil, err // and body may still be written to
	}
	return body, nil
}

// over is what canaries are overwritten with.
const over = "overwritten"

// about describes what is put in a canary's place.
func about(name string) fs.ObjectInfo {
	return object.NewStaticObjectInfo(name, time.Now(), int64(len(over)), true, nil, nil)
}

// overwrite stores other bytes under the canary's name. Where the credential may not look at what is there, it uploads all the same.
func (a *Attacker) overwrite(ctx context.Context, c probe.Canary) error {
	o, err := a.fs.NewObject(ctx, c.Name)
	if err != nil {
		_, err = a.fs.Put(ctx, strings.NewReader(over), about(c.Name))
		return err
	}
	return o.Update(ctx, strings.NewReader(over), about(c.Name))
}

// copyOnto has the store copy the newest canary, or the canary itself, onto the canary.
func (a *Attacker) copyOnto(ctx context.Context, c probe.Canary) error {
	name, err := a.path(a.newest)
	if err != nil {
		return err
	}
	source, err := a.fs.NewObject(ctx, name)
	if err != nil {
		return err
	}
	_, err = a.fs.Features().Copy(ctx, source, c.Name)
	return err
}

// rename moves the canary to the name of another one, drawn at random.
func (a *Attacker) rename(ctx context.Context, c probe.Canary) error {
	to, err := a.path(path.Dir(c.Name) + "/" + strings.ToLower(rand.Text()))
	if err != nil {
		return err
	}
	o, err := a.fs.NewObject(ctx, c.Name)
	if err != nil {
		return err
	}
	_, err = a.fs.Features().Move(ctx, o, to)
	return err
}

// setAttributes gives the canary a time of change: on file servers the request that can also cut a file off, on Azure the one that sets metadata.
func (a *Attacker) setAttributes(ctx context.Context, c probe.Canary) error {
	o, err := a.fs.NewObject(ctx, c.Name)
	if err != nil {
		return err
	}
	return o.SetModTime(ctx, time.Now())
}

// remove removes the canary. On B2 it hides the name or deletes the version that was found, as the remote is set.
func (a *Attacker) remove(f fs.Fs) try {
	return func(ctx context.Context, c probe.Canary) error {
		o, err := f.NewObject(ctx, c.Name)
		if err != nil {
			return err
		}
		return o.Remove(ctx)
	}
}

// Package rcloneprobe tries, on canaries only, what a thief would do to a vault in a store that rclone speaks to: write over an object, copy over it, move it, remove it,
// change its attributes. Where the kind of store lets a credential be read, it is read too: the text of an Azure SAS, the capabilities of a B2 key.
//
// Nothing here purges, removes a folder, or makes or removes a bucket. The names that are used are canaries', and come from one function that refuses every other.
package rcloneprobe

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/rclone/rclone/fs"
	"github.com/rclone/rclone/fs/config/configmap"
	"github.com/rclone/rclone/fs/fspath"

	"farshore/agent/probe"
	"farshore/agent/record"
	"farshore/providers/rclone"
)

// Attacker tries at a vault in one path of one remote. It is not for concurrent use.
type Attacker struct {
	driver *rclone.Driver // creates as the agent does
	kind   string         // the remote's type: "sftp"
	config configmap.Simple
	name   string
	fs     fs.Fs
	hard   fs.Fs // B2 alone: removes a version where fs hides a name; else nil
	// bodies are those of the canaries that were made, so that a denial can be told from one that came after the deed.
	bodies map[string][]byte
	// newest is the canary that was made last, from which copies are made.
	newest  string
	running sync.WaitGroup
	client  *http.Client
}

var _ probe.Attacker = (*Attacker)(nil)

// pinned are settings that the probes depend on, whatever the rclone.conf says: one request an object, no bucket looked for or created, no names that stand for versions, and a
// removal that hides. They are those of the driver.
var pinned = map[string]configmap.Simple{
	"azureblob": {"no_check_container": "true", "chunk_size": "64Mi", "directory_markers": "false", "archive_tier_delete": "false"},
	"b2":        {"upload_cutoff": "200Mi", "versions": "false", "hard_delete": "false"},
	"s3":        {"no_check_bucket": "true", "upload_cutoff": "200Mi", "directory_markers": "false", "versions": "false", "no_head": "false", "decompress": "false"},
	"sftp":      {"set_modtime": "true"},
	"local":     {"no_set_modtime": "false"},
}

// New returns the attacker for rclone:REMOTE:PATH, with the configuration that rclone.Open reads. It connects as far as rclone's backend does. The caller closes it. While New
// runs, nothing else in the process may be opened with another rclone.conf: rclone has one, and reads it without a lock.
func New(ctx context.Context, spec string, o rclone.Options) (*Attacker, error) {
	d, err := rclone.Open(ctx, spec, o)
	if err != nil {
		return nil, err
	}
	a := &Attacker{driver: d, bodies: map[string][]byte{}, client: b2Client()}
	if err := a.connect(ctx, strings.TrimPrefix(spec, rclone.Scheme+":")); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s for the probe: %w", d.Traits().Place, err), d.Close())
	}
	return a, nil
}

// connect makes the remote a second time, with what the probes need. The driver's opening has read the rclone.conf and checked the address.
func (a *Attacker) connect(ctx context.Context, remote string) error {
	p, err := fspath.Parse(remote)
	if err != nil {
		return errors.New("the address can't be read") // and may hold a password
	}
	kind, described := strings.CutPrefix(p.Name, ":")
	if !described {
		kind, _ = fs.ConfigMap("", nil, p.Name, p.Config).Get("type")
	}
	info, err := fs.Find(kind)
	if err != nil {
		return err
	}
	set := func(more configmap.Simple) *configmap.Map {
		s := configmap.Simple{}
		for _, m := range []configmap.Simple{p.Config, pinned[info.Name], more} {
			maps.Copy(s, m)
		}
		return fs.ConfigMap(info.Prefix, info.Options, p.Name, s)
	}
	at := p.Path
	if info.Name == "s3" || info.Name == "webdav" {
		at = strings.TrimSuffix(at, "/") + "/" // a folder: saves asking whether it is a file
	}
	config := set(nil)
	a.kind, a.name, a.config = info.Name, strings.TrimPrefix(p.Name, ":"), values(info, config)
	if a.fs, err = info.NewFs(settings(ctx), p.Name, at, config); err != nil || a.kind != "b2" {
		return err
	}
	// B2's backend would make a bucket that it has not seen. A listing of the vault's rooms shows it that it is there.
	if _, err := a.fs.List(settings(ctx), ""); err != nil && !errors.Is(err, fs.ErrorDirNotFound) {
		return err
	}
	a.hard, err = info.NewFs(settings(ctx), p.Name, at, set(configmap.Simple{"hard_delete": "true"}))
	return err
}

// values are the remote's settings as they are now, so that the rclone.conf is not read again.
func values(info *fs.RegInfo, m *configmap.Map) configmap.Simple {
	v := configmap.Simple{}
	for _, o := range info.Options {
		if value, ok := m.Get(o.Name); ok {
			v[o.Name] = value
		}
	}
	return v
}

// settings returns a context with rclone's settings in it: one attempt, and no questions.
func settings(ctx context.Context) context.Context {
	ctx, c := fs.AddConfig(ctx)
	c.LowLevelRetries = 1
	c.AskPassword = false
	c.UseServerModTime = true
	c.NoGzip = true
	c.Metadata = false
	return ctx
}

// closeTime bounds the wait for requests that outlived their deadline.
const closeTime = 5 * time.Second

// Close ends the connections, and waits for what a store may still be doing.
func (a *Attacker) Close() error {
	var errs []error
	for _, f := range []fs.Fs{a.fs, a.hard} {
		if f != nil && f.Features().Shutdown != nil {
			errs = append(errs, f.Features().Shutdown(settings(context.Background())))
		}
	}
	done := make(chan struct{})
	go func() { // ends with the last of what it waits for
		a.running.Wait()
		close(done)
	}()
	timer := time.NewTimer(closeTime)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		errs = append(errs, errors.New("close the probe: the store has still not answered a request that was given up"))
	}
	return errors.Join(append(errs, a.driver.Close())...)
}

// bounded does something that may not heed its context, as backends of file servers, and gives it up when the context ends.
func (a *Attacker) bounded(ctx context.Context, do func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	done := make(chan error, 1)
	a.running.Go(func() { done <- do(settings(ctx)) })
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// path is where every name that is used comes from. It refuses what is no canary's name.
func (a *Attacker) path(name string) (string, error) {
	if !record.IsCanary(name) {
		return "", fmt.Errorf("%q is not a canary's name, and the probe touches nothing else", name)
	}
	return name, nil
}

// Create writes a canary as the agent writes an object. The version is the store's id, on B2.
func (a *Attacker) Create(ctx context.Context, name string, body []byte) (string, probe.Result) {
	if _, err := a.path(name); err != nil {
		return "", refused(err)
	}
	err := a.bounded(ctx, func(ctx context.Context) error {
		_, err := a.driver.Create(ctx, name, io.NewSectionReader(bytes.NewReader(body), 0, int64(len(body))), sha256.Sum256(body))
		return err
	})
	if err != nil {
		return "", answer(err)
	}
	a.bodies[name], a.newest = bytes.Clone(body), name
	return a.version(ctx, name), answer(nil)
}

// version is the store's id of what was just written, where it has one; "" where it can't be had.
func (a *Attacker) version(ctx context.Context, name string) string {
	if a.kind != "b2" {
		return ""
	}
	var id string
	err := a.bounded(ctx, func(ctx context.Context) error {
		o, err := a.fs.NewObject(ctx, name)
		if ider, ok := o.(fs.IDer); ok && err == nil {
			id = ider.ID()
		}
		return err
	})
	if err != nil {
		return ""
	}
	return id
}

// refused is the result of a probe that was not made.
func refused(err error) probe.Result {
	return probe.Result{Answer: probe.Unknown, Code: "not tried", Text: line(err.Error())}
}

// setting is one of the remote's, "" where it has none.
func (a *Attacker) setting(key string) string { return a.config[key] }

package rclone

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/rclone/rclone/fs"
	"github.com/rclone/rclone/fs/config"
	"github.com/rclone/rclone/fs/config/configfile"
	"github.com/rclone/rclone/fs/config/configmap"
	"github.com/rclone/rclone/fs/fspath"

	"farshore/providers"
)

// process guards what rclone has one of in a process: which rclone.conf is read, and where the log goes.
var process struct {
	mu       sync.Mutex
	ready    bool
	usual    string // the rclone.conf that rclone itself would read
	path     string // the one that is read now
	loggedTo atomic.Pointer[slog.Logger]
}

// pinned are settings that a vault depends on, whatever the rclone.conf says: one request an object, no bucket looked for or created, no
// deletion, no names that stand for versions.
var pinned = map[string]configmap.Simple{
	"azureblob": {"no_check_container": "true", "chunk_size": "64Mi", "directory_markers": "false", "archive_tier_delete": "false"},
	"b2":        {"upload_cutoff": "200Mi", "versions": "false", "hard_delete": "false"},
	"s3":        {"no_check_bucket": "true", "upload_cutoff": "200Mi", "directory_markers": "false", "versions": "false", "no_head": "false", "decompress": "false"},
}

// remote is one remote as the rclone.conf and the address describe it.
type remote struct {
	info   *fs.RegInfo
	name   string
	path   string
	config *configmap.Map
	place  string
}

// resolve finds the remote that spec names. process.mu is held.
func resolve(spec string, o Options) (remote, error) {
	rest, ok := strings.CutPrefix(spec, Scheme+":")
	if !ok {
		return remote{}, errors.New("the vault's address is not rclone's: want rclone:REMOTE:PATH")
	}
	p, err := fspath.Parse(rest)
	if err != nil || p.Name == "" {
		// The address itself is not repeated: it may hold a password.
		return remote{}, errors.New("the vault's address can't be read: want rclone:REMOTE:PATH, or rclone::TYPE,setting=value:PATH")
	}
	if err := install(o); err != nil {
		return remote{}, err
	}
	return find(p)
}

// find looks the remote up. process.mu is held.
func find(p fspath.Parsed) (remote, error) {
	r := remote{name: p.Name, path: p.Path, place: Scheme + ":" + p.Name + ":" + p.Path}
	kind, ok := strings.CutPrefix(p.Name, ":")
	if !ok {
		if kind, ok = fs.ConfigMap("", nil, p.Name, p.Config).Get("type"); !ok {
			return r, fmt.Errorf("open %s: there is no remote %q in %s: add it with `rclone config`, or correct the name", r.place, p.Name, readFrom())
		}
	}
	var err error
	if r.info, err = fs.Find(kind); err != nil {
		return r, &providers.Error{Kind: providers.Unsupported, Op: "open", Name: r.place,
			Err: fmt.Errorf("remotes of type %q are not linked into this program: build it with `-tags rclone_all`, or correct the type", kind)}
	}
	set := configmap.Simple{}
	maps.Copy(set, p.Config)
	maps.Copy(set, pinned[r.info.Name])
	r.config = fs.ConfigMap(r.info.Prefix, r.info.Options, p.Name, set)
	if ask, _ := r.config.Get("ask_password"); ask == "true" {
		return r, fmt.Errorf("open %s: the remote is set to ask for its password (ask_password), and nobody may be there to answer: give it a password or a key file", r.place)
	}
	if r.info.Name == "s3" || r.info.Name == "webdav" {
		// The slash says that this is a directory, which saves asking whether it is a file.
		r.path = strings.TrimSuffix(r.path, "/") + "/"
	}
	return r, nil
}

// readFrom names the rclone.conf for people.
func readFrom() string {
	if process.path == "" {
		return "rclone's configuration (no file is read)"
	}
	return process.path
}

// install points rclone at its configuration and its log. process.mu is held.
func install(o Options) error {
	if o.Log != nil {
		process.loggedTo.Store(o.Log)
	}
	if !process.ready {
		fs.SetLogger(logHandler{})
		fs.GetConfig(context.Background()).AskPassword = false
		process.usual = config.GetConfigPath()
		process.ready = true
	}
	path, named := o.ConfigPath, true
	if path == "" {
		path = os.Getenv("RCLONE_CONFIG")
	}
	if path == "" {
		path, named = process.usual, false
	}
	return load(path, named)
}

// load reads the rclone.conf at path, unless it is the one that is read already; rclone notices by itself when that changes.
// rclone ends the process over a file that it can't read, so it is tried here first. process.mu is held.
func load(path string, named bool) error {
	if path == process.path && path != "" {
		return nil
	}
	// rclone takes a new configuration only while it has a path, and the new path may be none (/dev/null): so once before and once after.
	configfile.Install()
	if err := config.SetConfigPath(path); err != nil {
		return fmt.Errorf("rclone.conf %s: %w", path, err)
	}
	configfile.Install()
	err := new(configfile.Storage).Load()
	switch {
	case errors.Is(err, config.ErrorConfigFileNotFound) && !named:
	case errors.Is(err, config.ErrorConfigFileNotFound) && path == os.DevNull:
	case err != nil:
		// What was read before stays unread, so that nothing is opened with half a configuration.
		process.path = ""
		if err := config.SetConfigPath(""); err != nil {
			return err
		}
		return fmt.Errorf("rclone.conf %s can't be read: %w", path, err)
	}
	process.path = path
	return nil
}

// logHandler hands what rclone logs to the logger of the last Open that gave one, and drops it where none did.
type logHandler struct{ attrs []slog.Attr }

// Enabled reports whether the record would be kept. rclone itself leaves out what is below its level notice.
func (h logHandler) Enabled(ctx context.Context, level slog.Level) bool {
	l := process.loggedTo.Load()
	return l != nil && l.Enabled(ctx, level)
}

// Handle passes a record on. rclone's levels above error are errors here.
func (h logHandler) Handle(ctx context.Context, r slog.Record) error {
	l := process.loggedTo.Load()
	if l == nil {
		return nil
	}
	out := slog.NewRecord(r.Time, min(r.Level, slog.LevelError), "rclone: "+r.Message, r.PC)
	out.AddAttrs(h.attrs...)
	r.Attrs(func(a slog.Attr) bool { out.AddAttrs(a); return true })
	return l.Handler().Handle(ctx, out)
}

// WithAttrs returns a handler that adds attrs to every record.
func (h logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return logHandler{attrs: append(h.attrs[:len(h.attrs):len(h.attrs)], attrs...)}
}

// WithGroup returns the handler itself: rclone uses no groups.
func (h logHandler) WithGroup(string) slog.Handler { return h }

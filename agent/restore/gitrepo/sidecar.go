package gitrepo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"farshore/agent/record"
)

// sidecarFolder is the folder in a repository for what has no effect until somebody puts it in place.
const sidecarFolder = "farshore-sidecar"

// maxConfig bounds the configuration that is put in place.
const maxConfig = 4 << 20

// sidecarFile is one file or link to be written.
type sidecarFile struct {
	part *record.Part
	name string // as captured
	to   string // relative to the repository
	mode fs.FileMode
	link string
}

// sidecars writes the captured files. Links come last, so that no file is written through one.
func (b *builder) sidecars(ctx context.Context) error {
	if b.set.Sidecar == nil {
		return nil
	}
	var links []sidecarFile
	for i := range b.set.Sidecar.Parts {
		p := &b.set.Sidecar.Parts[i]
		if p.Kind != record.PartFile {
			continue
		}
		f, err := b.sidecarFile(p)
		if err != nil {
			b.problems.add("%v", err)
			continue
		}
		if f.link != "" {
			links = append(links, f)
			continue
		}
		if err := b.sidecar(ctx, f, func() error { return b.writeSidecar(ctx, f) }); err != nil {
			return err
		}
	}
	for _, f := range links {
		if err := b.sidecar(ctx, f, func() error { return b.linkSidecar(f) }); err != nil {
			return err
		}
	}
	return b.explain()
}

// sidecar writes one and counts it. One that can't be written is named.
func (b *builder) sidecar(ctx context.Context, f sidecarFile, write func() error) error {
	err := write()
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case err == nil:
		b.report.Sidecars++
		if strings.HasPrefix(f.to, sidecarFolder+"/") {
			b.report.SidecarsOff++
		}
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case damaged(err):
		b.report.Damaged++
		b.problems.add("file %q beside the repository: %v", f.name, err)
		return nil
	case unreadable(err):
		return failed(ctx, b.set.Sidecar, "file "+strconv.Quote(f.name), err)
	case errors.As(err, &path), errors.As(err, &link), errors.Is(err, errConfig):
		b.problems.add("file %q beside the repository: %v", f.name, err)
		return nil
	}
	return failed(ctx, b.set.Sidecar, "file "+strconv.Quote(f.name), err)
}

// sidecarFile says where a captured file goes, and refuses names that lead elsewhere.
func (b *builder) sidecarFile(p *record.Part) (sidecarFile, error) {
	f := sidecarFile{part: p, name: p.Attrs["name"], link: p.Attrs["link"], mode: 0o644}
	if !fs.ValidPath(strings.ToValidUTF8(f.name, "_")) || f.name == "." || strings.ContainsAny(f.name, "\x00\\") {
		return f, fmt.Errorf("file %q beside the repository: its name leads elsewhere, or is none; it is not restored", f.name)
	}
	if m, err := strconv.ParseUint(p.Attrs["mode"], 8, 32); err == nil {
		f.mode = fs.FileMode(m) & 0o777
	}
	f.to = f.name
	if b.inert(f) {
		f.to = sidecarFolder + "/" + f.name
		f.mode = f.mode&^0o111 | 0o400
	}
	return f, nil
}

// inert reports whether a file must not have its own place. A description is only text. Which commits have which parents, and where objects are, is never up to
// a captured file.
func (b *builder) inert(f sidecarFile) bool {
	if f.name == "description" && f.link == "" {
		return false
	}
	first, rest, below := strings.Cut(f.name, "/")
	switch {
	case !b.o.Hooks:
		return true
	case first == "hooks" || first == "custom_hooks":
		return false
	case first == "info" && below:
		return rest == "grafts" || rest == "refs"
	case f.name == "config" && f.link == "":
		return false
	}
	return true
}

func (b *builder) writeSidecar(ctx context.Context, f sidecarFile) error {
	if f.to == "config" {
		return b.mergeConfig(ctx, f)
	}
	path, err := b.sidecarPath(f)
	if err != nil {
		return err
	}
	return writeFile(path, f.mode, func(w io.Writer) error { return b.parts.Copy(ctx, w, f.part) })
}

func (b *builder) linkSidecar(f sidecarFile) error {
	path, err := b.sidecarPath(f)
	if err != nil {
		return err
	}
	return os.Symlink(f.link, path)
}

// sidecarPath makes the folders above a file and returns its path. None of them is a link, since links come last.
func (b *builder) sidecarPath(f sidecarFile) (string, error) {
	path := filepath.Join(b.dir, f.to)
	root, err := os.OpenRoot(b.dir)
	if err != nil {
		return "", err
	}
	defer root.Close()
	at := ""
	for part := range strings.SplitSeq(filepath.Dir(f.to), "/") {
		at = filepath.Join(at, part)
		if err := root.Mkdir(at, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return "", err
		}
		fi, err := root.Lstat(at)
		if err != nil {
			return "", err
		}
		if !fi.IsDir() {
			return "", &fs.PathError{Op: "mkdir", Path: at, Err: errors.New("a file or a link of that name is there")}
		}
	}
	return path, nil
}

// errConfig says that a captured configuration can't be put in place.
var errConfig = errors.New("it is not in effect, and lies in " + sidecarFolder)

// mergeConfig puts the captured configuration in place: all but what says in which form the repository itself is kept, which is up to the new one.
func (b *builder) mergeConfig(ctx context.Context, f sidecarFile) error {
	var captured bytes.Buffer
	if f.part.Size > maxConfig {
		return fmt.Errorf("it has %d bytes, and %d are the most: %w", f.part.Size, maxConfig, errConfig)
	}
	if err := b.parts.Copy(ctx, &captured, f.part); err != nil {
		return err
	}
	own := filepath.Join(b.dir, "config")
	merged := filepath.Join(b.dir, "config.farshore")
	err := b.merge(ctx, captured.Bytes(), own, merged)
	if err == nil {
		return os.Rename(merged, own)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if machine(err) {
		return err
	}
	f.to = sidecarFolder + "/config"
	path, e := b.sidecarPath(f)
	if e == nil {
		e = writeFile(path, 0o644, func(w io.Writer) error { _, err := w.Write(captured.Bytes()); return err })
	}
	if e = errors.Join(e, os.RemoveAll(merged), os.RemoveAll(merged+".lock")); e != nil {
		return e
	}
	b.report.Sidecars++
	b.report.SidecarsOff++
	return fmt.Errorf("%w: %w", err, errConfig)
}

// merge writes to merged the captured configuration with the form of own.
func (b *builder) merge(ctx context.Context, captured []byte, own, merged string) error {
	if err := os.WriteFile(merged, captured, 0o644); err != nil {
		return err
	}
	names, err := b.config(ctx, merged, "--null", "--name-only", "--list")
	if err != nil {
		return err
	}
	bare, err := b.config(ctx, own, "--get", "core.bare")
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for name := range strings.SplitSeq(strings.TrimSuffix(names, "\x00"), "\x00") {
		if seen[name] || !formOf(name, strings.TrimSpace(bare) == "true") {
			continue
		}
		seen[name] = true
		if _, err := b.config(ctx, merged, "--unset-all", name); err != nil {
			return err
		}
	}
	form, err := b.config(ctx, own, "--null", "--list")
	if err != nil {
		return err
	}
	for setting := range strings.SplitSeq(strings.TrimSuffix(form, "\x00"), "\x00") {
		name, value, _ := strings.Cut(setting, "\n")
		if !formOf(name, true) {
			continue
		}
		if _, err := b.config(ctx, merged, "--add", name, value); err != nil {
			return err
		}
	}
	return nil
}

// formOf reports whether a setting says in which form the repository is kept. Where its working copy is matters only to one that is not bare, and in a bare one
// git refuses it.
func formOf(name string, bare bool) bool {
	switch name {
	case "core.repositoryformatversion", "core.bare":
		return true
	case "core.worktree":
		return bare
	}
	return strings.HasPrefix(name, "extensions.")
}

func (b *builder) config(ctx context.Context, file string, args ...string) (string, error) {
	out, err := b.git.Output(ctx, nil, append([]string{"config", "--file", file, "--no-includes"}, args...)...)
	return string(out), err
}

// explain writes the README beside what has no effect.
func (b *builder) explain() error {
	if b.report.SidecarsOff == 0 {
		return nil
	}
	for _, name := range []string{"README", "README.farshore"} {
		err := writeFile(filepath.Join(b.dir, sidecarFolder, name), 0o644, func(w io.Writer) error {
			_, err := io.WriteString(w, readme)
			return err
		})
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

const readme = `These files lay beside the repository when it was captured: its configuration, its hooks, and the like.
Here they have no effect: git does not look into this folder, and the hooks can't be executed.

Configuration and hooks can make git run any program. Read them before you put them into effect:

  hooks           copy hooks/NAME to ../hooks/NAME, and make it executable (chmod +x)
  configuration   copy what you want of config to ../config; leave core.repositoryformatversion, core.bare
                  and all of [extensions] in ../config as they are
  info            copy info/exclude, info/attributes, … to ../info
  large files     are not here but in ../lfs

A restore that is asked to restore hooks puts all of them in place by itself.
`

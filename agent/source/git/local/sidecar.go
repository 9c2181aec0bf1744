package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"farshore/agent/record"
	"farshore/agent/source"
)

// File is a file beside a repository's objects and refs.
type File struct {
	// Name is relative to the git directory, with slashes, in bytes as the file system has them.
	Name string
	// Link is the target of a symbolic link, which has no content and is never followed.
	Link string
	// Mode are the permission bits.
	Mode fs.FileMode
	// Size is in bytes, as it was when the file was found.
	Size int64
	// Open opens the content, until the repository is closed; nil for a symbolic link. The caller closes it.
	Open func() (io.ReadCloser, error)
}

// Bounds of sidecars.
const (
	maxSidecar      = 16 << 20 // bytes of a file
	maxSidecars     = 4096     // files
	maxSidecarBytes = 64 << 20 // of all files
	maxSidecarLink  = 1024     // bytes of a symbolic link's target
	maxSidecarNames = 2 << 20  // bytes of all names and targets: the record, which has to fit into a line of 16 MiB, may have six for one
	maxFolders      = 32       // deep
)

// sidecars are the files and folders that are captured: those that configure a repository, describe it, or run for it, with git and the servers that are
// built on it.
var sidecars = []string{"cloneurl", "config", "config.worktree", "custom_hooks", "description", "git-daemon-export-ok", "gitweb.conf", "hooks", "info", "owner", "README.html"}

// derived are files among them that git makes of the rest.
var derived = []string{"info/refs", "info/commit-graphs", "info/shallow"}

// Sidecars returns the repository's configuration, description, hooks and the like, sorted by name; samples of hooks, and what git derives, are left out.
// Files over 16 MiB, what is beyond 64 MiB in all or 4,096 files, symbolic links to more than 1,024 bytes, what is neither, and what can't be read is named by Omitted.
func (r *Repository) Sidecars(ctx context.Context) ([]File, error) {
	s := &sidecarList{r: r, ctx: ctx}
	names := sidecars
	if r.options.Reflogs {
		names = append(slices.Clone(names), "logs")
	}
	for _, name := range names {
		if err := r.walkFiles(name, s.add); errors.Is(err, errFull) {
			break
		} else if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(s.files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	slices.Sort(s.omitted)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.omittedSidecar = s.omitted
	return s.files, nil
}

type sidecarList struct {
	r       *Repository
	ctx     context.Context
	files   []File
	size    int64 // bytes of files
	names   int   // bytes of names and targets
	omitted []string
}

// errFull ends a walk that found as much as a record takes.
var errFull = errors.New("there are more files than are captured")

func (s *sidecarList) add(name string, info fs.FileInfo) error {
	if slices.Contains(derived, name) || strings.HasPrefix(name, "hooks/") && strings.HasSuffix(name, ".sample") {
		return s.ctx.Err()
	}
	f := File{Name: name, Mode: info.Mode().Perm(), Size: info.Size()}
	switch {
	case len(s.files) >= maxSidecars || s.names+len(name) > maxSidecarNames:
		s.omit(name, fmt.Sprintf("it, and what comes after it, is more than %d files of hooks and configuration, or %d MiB of their names", maxSidecars, maxSidecarNames>>20))
		return errFull
	case info.Mode().Type() == fs.ModeSymlink:
		target, err := s.r.root.Readlink(name)
		if err != nil {
			s.omit(name, err.Error())
			return s.ctx.Err()
		}
		if len(target) > maxSidecarLink {
			s.omit(name, fmt.Sprintf("it is a symbolic link to %d bytes, more than %d", len(target), maxSidecarLink))
			return s.ctx.Err()
		}
		f.Link, f.Size, f.Mode = target, 0, 0o777
	case !info.Mode().IsRegular():
		s.omit(name, "it is neither a file nor a symbolic link")
		return s.ctx.Err()
	case info.Size() > maxSidecar:
		s.omit(name, fmt.Sprintf("it has %d bytes, more than %d", info.Size(), maxSidecar))
		return s.ctx.Err()
	case s.size+info.Size() > maxSidecarBytes:
		s.omit(name, fmt.Sprintf("with its %d bytes there are more than %d MiB of hooks and configuration", info.Size(), maxSidecarBytes>>20))
		return s.ctx.Err()
	default:
		f.Open = func() (io.ReadCloser, error) { return s.r.openFile(name) }
		if !s.readable(name) {
			return s.ctx.Err()
		}
	}
	s.files, s.size, s.names = append(s.files, f), s.size+f.Size, s.names+len(name)+len(f.Link)
	return s.ctx.Err()
}

func (s *sidecarList) omit(what, why string) { s.omitted = appendOmitted(s.omitted, what, why) }

// readable reports whether the file can be opened, and names it where it can't.
func (s *sidecarList) readable(name string) bool {
	f, err := s.r.openFile(name)
	if gone(err) {
		return false // gone meanwhile
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		s.omit(name, err.Error())
	}
	return err == nil
}

// openFile opens a regular file of the git directory, and nothing that lies outside of it.
func (r *Repository) openFile(name string) (*os.File, error) {
	f, err := r.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(fmt.Errorf("%s: no regular file", name), err, f.Close())
	}
	return f, nil
}

// walkFiles calls do with all that is not a folder at name or below it, relative to the git directory. What is not there is nothing. A folder that can't be
// read is an error.
func (r *Repository) walkFiles(name string, do func(name string, info fs.FileInfo) error) error {
	info, err := r.root.Lstat(name)
	if gone(err) {
		return nil
	}
	if err != nil {
		return r.access(err)
	}
	if !info.IsDir() {
		return do(name, info)
	}
	if strings.Count(name, "/") > maxFolders {
		return &source.Unreadable{Reason: record.ReasonUnsupported, Detail: fmt.Sprintf("%s: %s lies in more than %d folders", r.dir, name, maxFolders)}
	}
	names, err := r.folder(name)
	if err != nil {
		return r.access(err)
	}
	for _, n := range names {
		if err := r.walkFiles(path.Join(name, n), do); err != nil {
			return err
		}
	}
	return nil
}

func (r *Repository) folder(name string) ([]string, error) {
	f, err := r.root.Open(name)
	if gone(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	names, err := f.Readdirnames(-1)
	slices.Sort(names)
	return names, errors.Join(err, f.Close())
}

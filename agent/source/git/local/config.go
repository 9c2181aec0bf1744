package local

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"farshore/agent/repo/gitcmd"
	"farshore/agent/repo/refs"
)

// extensions are what git may demand of whoever reads a repository, and what reading objects and refs can do with.
var extensions = []string{"noop", "noop-v1", "partialclone", "preciousobjects", "worktreeconfig",
	"objectformat", "compatobjectformat", "refstorage", "relativeworktrees"}

// readConfig learns the object format, whether the repository is a partial clone, and where its large files are. Nothing that the file includes is read.
func (r *Repository) readConfig(ctx context.Context) error {
	r.format, r.config = refs.SHA1, map[string]string{}
	file := filepath.Join(r.dir, "config")
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return nil // git itself takes what is usual then
	} else if err != nil {
		return r.access(err)
	}
	g := &gitcmd.Git{Dir: r.scratch.Path}
	var out []byte
	err := r.soon(ctx, func(ctx context.Context) (err error) {
		out, err = g.Output(ctx, nil, "config", "--file", file, "--no-includes", "--list", "--null")
		return err
	})
	if err != nil {
		return r.failure(err)
	}
	for entry := range bytes.SplitSeq(bytes.TrimSuffix(out, []byte{0}), []byte{0}) {
		key, value, given := strings.Cut(string(entry), "\n")
		if !given {
			value = "true"
		}
		r.config[key] = value
	}
	return r.checkConfig()
}

func (r *Repository) checkConfig() error {
	for key, value := range r.config {
		name, ok := strings.CutPrefix(key, "extensions.")
		switch {
		case ok && !slices.Contains(extensions, name):
			return unsupported("%s has the extension %q, which is not known: a newer farshore may know it", r.dir, name)
		case strings.HasPrefix(key, "remote.") && strings.HasSuffix(key, ".promisor") && isTrue(value):
			r.promisor = true
		}
	}
	if r.config["extensions.partialclone"] != "" {
		r.promisor = true
	}
	if format := strings.ToLower(r.config["extensions.objectformat"]); format != "" {
		if format != refs.SHA1 && format != refs.SHA256 {
			return unsupported("%s names its objects by %q, neither sha1 nor sha256: a newer farshore may know it", r.dir, format)
		}
		r.format = format
	}
	return nil
}

// isTrue reads a boolean of git's configuration.
func isTrue(value string) bool {
	switch strings.ToLower(value) {
	case "true", "yes", "on", "1":
		return true
	}
	return false
}

// Bounds of alternates; git gives up deeper than five.
const (
	maxAlternateDepth = 6
	maxAlternates     = 1000
)

// findAlternates finds the object directories that the repository borrows from. A relative one is meant from the object directory that names it. All lie where this
// repository may share files: git would read those of another just as well.
func (r *Repository) findAlternates() error {
	objects, err := filepath.EvalSymlinks(r.objects())
	if err != nil {
		return r.access(err)
	}
	return r.addAlternates(objects, 0)
}

func (r *Repository) addAlternates(objects string, depth int) error {
	names, err := alternateNames(objects)
	if err != nil {
		return err
	}
	for _, dir := range names {
		switch {
		case slices.Contains(r.alternates, dir):
			continue
		case !r.within(dir):
			return unsupported("%s borrows objects from %.300q, outside of the source's directory: add that directory to the source, or run git repack -a -d in it", objects, dir)
		case !isDir(dir):
			return broken("%s borrows objects from %.300q, which is not there: bring it back, or run git repack -a -d where both are there", objects, dir)
		case depth == maxAlternateDepth || len(r.alternates) == maxAlternates:
			return unsupported("%s borrows objects through more than %d repositories in a row or %d in all: run git repack -a -d in it", objects, maxAlternateDepth, maxAlternates)
		}
		r.alternates = append(r.alternates, dir)
		if err := r.checkObjects(dir); err != nil {
			return err
		}
		if err := r.addAlternates(dir, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func alternateNames(objects string) ([]string, error) {
	text, err := readSmall(filepath.Join(objects, "info", "alternates"))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case errors.Is(err, errNotRegular):
		return nil, unsupported("%v, which is not followed: put the file itself there, or run git repack -a -d in the repository", err)
	case err != nil:
		return nil, broken("%s: %v", objects, err)
	}
	var names []string
	for s := bufio.NewScanner(bytes.NewReader(text)); s.Scan(); {
		line := s.Text()
		if line == "" || line[0] == '#' {
			continue
		}
		if line[0] == '"' { // as git quotes names in C's manner
			if plain, err := strconv.Unquote(line); err == nil {
				line = plain
			}
		}
		if !filepath.IsAbs(line) {
			line = filepath.Join(objects, line)
		}
		if real, err := filepath.EvalSymlinks(line); err == nil {
			line = real // one directory has one name
		}
		names = append(names, filepath.Clean(line))
	}
	return names, nil
}

func trim(b []byte) string { return strings.TrimSpace(string(b)) }

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"runtime/debug"
)

// demo is the stage: a directory, the primary cloud, and what its bucket should have.
//
//	primary/   repositories of the primary cloud, whose bucket is in memory
//	clone/     a user's clone of the git repository
//	vault/     the second cloud
//	agent/     the machine with the agent: configuration, keys, local cache
//	kit/       the recovery kit
//	bare/      a machine with a copy of recovery.key alone, and what is restored there
//	aws/       credentials, in the form of the AWS tools
type demo struct {
	e     *env
	dir   string
	keep  bool
	cloud *demoCloud
	// now and nowRepositories are what the primary should have; snapshots are what it had at each pass.
	now             demoObjects
	nowRepositories demoRepositoryStates
	repositories    demoRepositories
	snapshots       []demoSnapshot
	sum             *demoResult
	// memory is the runtime's limit as it was: that of the program's own work would be too low for a cloud in memory.
	memory int64
}

// demoSnapshot is what a pass found, and the numbers of its commits by source.
type demoSnapshot struct {
	numbers map[string]int64
	objects demoObjects
	demoRepositoryStates
}

// newDemo sets the stage. The caller closes it.
func newDemo(e *env, o demoOptions) (*demo, error) {
	dir, err := demoDir(o.keep)
	if err != nil {
		return nil, err
	}
	d := &demo{e: e, dir: dir, keep: o.keep != "", sum: &demoResult{Commands: []demoRun{}}, memory: debug.SetMemoryLimit(math.MaxInt64)}
	if d.keep {
		d.sum.Kept = dir
	}
	if err := d.build(); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

// demoDir makes the directory.
func demoDir(keep string) (string, error) {
	if keep == "" {
		return os.MkdirTemp("", "farshore-demo-")
	}
	dir, err := filepath.Abs(keep)
	if err != nil {
		return "", err
	}
	if entries, err := os.ReadDir(dir); err == nil && len(entries) == 0 {
		return dir, nil
	}
	err = os.Mkdir(dir, 0o700)
	if errors.Is(err, fs.ErrExist) {
		return "", usagef("%s exists already, and is left as it is", dir).with("name a directory that does not exist, or is empty")
	}
	return dir, err
}

// build makes the directories, starts the primary cloud, and writes its credentials as the AWS tools have them.
func (d *demo) build() error {
	for _, name := range []string{"vault", "agent", "bare", "aws", "primary", "primary/git", "primary/svn"} {
		if err := os.Mkdir(d.path(name), 0o700); err != nil {
			return err
		}
	}
	var err error
	if d.cloud, err = startDemoCloud(); err != nil {
		return fmt.Errorf("start the primary cloud: %w", err)
	}
	if err := createFile(d.path("aws", "credentials"), d.cloud.credentials()); err != nil {
		return err
	}
	return createFile(d.path("aws", "config"), "")
}

// close stops the server and removes the directory, unless it is to be kept.
func (d *demo) close() error {
	var err error
	debug.SetMemoryLimit(d.memory)
	if d.cloud != nil {
		err = d.cloud.close()
	}
	if d.keep {
		return err
	}
	return errors.Join(err, os.RemoveAll(d.dir))
}

func (d *demo) path(names ...string) string {
	return filepath.Join(append([]string{d.dir}, names...)...)
}

// vaultURL is the vault's address.
func (d *demo) vaultURL() string {
	return (&url.URL{Scheme: "file", Path: d.path("vault")}).String()
}

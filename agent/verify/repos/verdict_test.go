package repos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"farshore/agent/repo/gitcmd"
	"farshore/agent/repo/process"
	"farshore/agent/repo/svncmd"
	"farshore/agent/restore/gitrepo"
	"farshore/agent/vault"
	"farshore/providers"
)

// TestJudge tells what is said of a repository from what is said of this machine, of the vault and of the run.
func TestJudge(t *testing.T) {
	ended := func(script string) error {
		return process.Run(t.Context(), process.Spec{Program: "/bin/sh", Args: []string{"-c", script}}, io.Discard)
	}
	complaint := &gitcmd.Error{Args: []string{"index-pack"}, Err: ended("echo fatal >&2; exit 128")}
	_, missing := os.Open(filepath.Join(t.TempDir(), "none"))
	lost := &vault.DamageError{Object: "packs/x", Err: &providers.Error{Kind: providers.NotFound, Err: missing}}
	denied := &providers.Error{Kind: providers.Denied, Err: errors.New("no")}
	for what, c := range map[string]struct {
		err, failure error
		want         verdict
	}{
		"nothing":                                {nil, nil, fine},
		"git complains of a part":                {&gitrepo.PartError{Part: "refs", Err: complaint}, nil, wrong},
		"git complains of something else":        {complaint, nil, unchecked},
		"git was killed":                         {fmt.Errorf("x: %w", &gitcmd.Error{Err: ended("kill -9 $$")}), nil, unchecked},
		"git had no memory":                      {&gitcmd.Error{Err: ended("echo 'fatal: Out of memory' >&2; exit 128")}, nil, unchecked},
		"Subversion complains":                   {&svncmd.Error{Err: ended("echo 'svnadmin: E160004: x' >&2; exit 1")}, nil, wrong},
		"Subversion was killed":                  {fmt.Errorf("the dumps can't be loaded: %w", &svncmd.Error{Err: ended("kill -9 $$")}), nil, unchecked},
		"Subversion had no room":                 {&svncmd.Error{Err: ended("echo 'svnadmin: E000028: x' >&2; exit 1")}, nil, unchecked},
		"Subversion is missing":                  {fmt.Errorf("x: %w", svncmd.ErrMissing), nil, unchecked},
		"the scratch place is gone":              {missing, nil, unchecked},
		"no handles":                             {&fs.PathError{Op: "open", Path: "x", Err: syscall.EMFILE}, nil, unchecked},
		"a read-only disk":                       {&os.LinkError{Op: "rename", Err: syscall.EROFS}, nil, unchecked},
		"a system call":                          {fmt.Errorf("flush: %w", syscall.EIO), nil, unchecked},
		"what was restored is something else":    {errors.New("revisions up to 1 in place of 2"), nil, wrong},
		"the vault lost it":                      {&gitrepo.PartError{Part: "pack 1 of 1", Err: lost}, lost, wrong},
		"the vault lost what was done without":   {nil, lost, wrong},
		"the vault has other bytes":              {errors.New("input ended"), vault.ErrContent, wrong},
		"no key":                                 {vault.ErrLocked, vault.ErrLocked, locked},
		"no key, and it was done without":        {nil, vault.ErrLocked, locked},
		"the vault refused":                      {denied, denied, failed},
		"the vault refused, and git was ended":   {ended("kill -9 $$"), denied, failed},
		"the vault refused, it was done without": {nil, denied, failed},
	} {
		if got := judge(t.Context(), c.err, c.failure); got != c.want {
			t.Errorf("%s: %v, %v: %d, want %d", what, c.err, c.failure, got, c.want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := judge(ctx, missing, nil); got != failed {
		t.Errorf("cancelled: %d", got)
	}
}

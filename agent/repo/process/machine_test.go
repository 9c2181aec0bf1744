package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestMachine tells the machine's failures from the programs' own.
func TestMachine(t *testing.T) {
	run := func(script string, idle time.Duration) error {
		return Run(t.Context(), Spec{Program: "/bin/sh", Args: []string{"-c", script}, Idle: idle}, io.Discard)
	}
	_, notThere := os.Open(filepath.Join(t.TempDir(), "none"))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for what, tt := range map[string]struct {
		err              error
		machine, without bool // without room
	}{
		"none":                    {err: nil},
		"the program's own":       {err: run("echo 'fatal: bad object' >&2; exit 128", 0)},
		"usage":                   {err: run("exit 129", 0)},
		"killed":                  {err: run("kill -9 $$", 0), machine: true},
		"killed below":            {err: run("sh -c 'kill -9 $$'; exit $?", 0), machine: true},
		"out of memory":           {err: fmt.Errorf("x: %w", run("echo 'fatal: Out of memory, malloc failed' >&2; exit 128", 0)), machine: true},
		"Subversion without room": {err: run("echo 'svnadmin: E000028: Can not write' >&2; exit 1", 0), machine: true, without: true},
		"git without room":        {err: run("echo 'fatal: write error: No space left on device' >&2; exit 128", 0), machine: true, without: true},
		"stalled":                 {err: run("sleep 20", 50*time.Millisecond), machine: true},
		"not there":               {err: Run(t.Context(), Spec{Program: "no-such-program-here"}, io.Discard), machine: true},
		"no room here":            {err: &os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}, machine: true, without: true},
		"no handles":              {err: &os.PathError{Op: "open", Path: "x", Err: syscall.EMFILE}, machine: true},
		"a file that is missing":  {err: notThere},
		"cancelled":               {err: ended.Err()},
		"words of ours":           {err: errors.New("Out of memory")},
	} {
		if tt.err != nil && errors.Is(tt.err, os.ErrPermission) {
			t.Fatal(tt.err)
		}
		if Machine(tt.err) != tt.machine || NoRoom(tt.err) != tt.without {
			t.Errorf("%s: %v: machine %v, no room %v", what, tt.err, Machine(tt.err), NoRoom(tt.err))
		}
	}
}

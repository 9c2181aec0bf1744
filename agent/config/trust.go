package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// readTrusted reads a configuration that nobody may change but root and whoever runs this. One that others may change is a *Problems.
func readTrusted(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	if text := distrust(path, info, os.Geteuid()); text != "" {
		return nil, &Problems{List: []Problem{{path, 1, 1, text}}, Untrusted: true}
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return data, nil
}

// distrust says why a configuration is not trusted by the user uid, "" where it is. info is of the open file, so that it can't be exchanged in between.
//
// Nobody but its owner and group may write to the file; its owner is root or the user himself; and its directory, where a file can be put in its place, is not open to
// everybody. That holds for root, too: a configuration that another user wrote says where root's files are written.
func distrust(path string, info fs.FileInfo, uid int) string {
	mode := info.Mode()
	stat, known := info.Sys().(*syscall.Stat_t)
	switch {
	case !mode.IsRegular():
		return "" // a pipe of this process's own, or what reading refuses
	case mode.Perm()&0o002 != 0:
		return fmt.Sprintf("everybody may change this file (mode %04o), and who may decides what the agent trusts: look at what it says, then run chmod o-w %s", mode.Perm(), path)
	case known && stat.Uid != 0 && int(stat.Uid) != uid:
		return fmt.Sprintf("this file belongs to another user (uid %d), who decides what the agent trusts: run this as that user (sudo -u '#%d'), or after looking at what it says chown %d %s", stat.Uid, stat.Uid, uid, path)
	}
	return distrustPlaces(path, readOnly)
}

// distrustPlaces looks at the directory of the path, and of the file that a symbolic link there leads to. Nobody puts anything in one that is readOnly.
func distrustPlaces(path string, readOnly func(dir string) bool) string {
	places := []string{filepath.Dir(path)}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		places = append(places, filepath.Dir(real))
	}
	for _, dir := range places {
		info, err := os.Stat(dir)
		if err != nil || info.Mode().Perm()&0o002 == 0 || info.Mode()&fs.ModeSticky != 0 || readOnly(dir) {
			continue
		}
		return fmt.Sprintf("everybody may put another file in this one's place (mode %04o of %s), and who may decides what the agent trusts: run chmod o-w %s", info.Mode().Perm(), dir, dir)
	}
	return ""
}

// readOnly reports whether nothing can be written to the directory's file system, as where a container is given its configuration.
func readOnly(dir string) bool {
	return errors.Is(unix.Access(dir, unix.W_OK), unix.EROFS)
}

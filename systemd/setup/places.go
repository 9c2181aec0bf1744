package setup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"farshore/systemd"
)

// place is a folder or file with the mode and owner that the units need, as the file for systemd-tmpfiles has it.
type place struct {
	path        string
	folder      bool
	mode        fs.FileMode
	user, group string
}

// placeSteps makes the role's folders, and gives what lies in them to whom it should belong. It does by itself what systemd-tmpfiles does with the same lines at each start of the
// machine, so that it can say what it did.
func placeSteps(m *Machine, l *layout) ([]Step, error) {
	var steps []Step
	for line := range strings.Lines(systemd.Tmpfiles(l.role)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		p, err := parsePlace(line)
		if err != nil {
			return nil, err
		}
		if p.folder {
			steps = append(steps, placeStep(m, p))
			continue
		}
		found, err := filepath.Glob(m.path(p.path))
		if err != nil {
			return nil, err
		}
		for _, path := range found {
			one := p
			one.path = "/" + strings.TrimPrefix(strings.TrimPrefix(path, filepath.Clean("/"+m.Root)), "/")
			steps = append(steps, placeStep(m, one))
		}
	}
	return steps, nil
}

// parsePlace reads a line of ours for systemd-tmpfiles.
func parsePlace(line string) (place, error) {
	f := strings.Fields(line)
	if len(f) != 5 || f[0] != "d" && f[0] != "z" {
		return place{}, fmt.Errorf("%q is no line that is understood here", line)
	}
	mode, err := strconv.ParseUint(f[2], 8, 9)
	return place{path: f[1], folder: f[0] == "d", mode: fs.FileMode(mode), user: f[3], group: f[4]}, err
}

// placeStep holds one folder or file to its mode and owner.
func placeStep(m *Machine, p place) Step {
	return Step{
		What: fmt.Sprintf("%s (%s:%s, %04o)", p.path, p.user, p.group, p.mode),
		Done: func(ctx context.Context) (bool, error) {
			info, err := os.Lstat(m.path(p.path))
			if errors.Is(err, fs.ErrNotExist) {
				return false, nil
			}
			if err != nil {
				return false, err
			}
			if info.IsDir() != p.folder || !info.IsDir() && !info.Mode().IsRegular() {
				return false, p.strange(info)
			}
			uid, gid, err := m.owner(ctx, p.user, p.group)
			return err == nil && info.Mode().Perm() == p.mode && owned(info, uid, gid), err
		},
		Do: func(ctx context.Context) error {
			if p.folder {
				if err := os.Mkdir(m.path(p.path), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
					return err
				}
			}
			return m.give(ctx, p)
		},
	}
}

// strange says why a thing can't be what it stands for. Nothing is done to it.
func (p place) strange(info fs.FileInfo) error {
	if p.folder {
		return fmt.Errorf("%s is no folder (%s): move it away", p.path, info.Mode().Type())
	}
	return &Kept{"it is no regular file, and so nothing that systemd could hand to the service"}
}

// fits reports why an open thing is not what its mode and owner are for: it was exchanged since it was looked at, or has another name elsewhere, whose owner may want it otherwise.
func (p place) fits(info fs.FileInfo) error {
	if info.IsDir() != p.folder || !info.IsDir() && !info.Mode().IsRegular() {
		return p.strange(info)
	}
	if linked(info) {
		return &Kept{"it has another name elsewhere (a hard link): put a file of its own there"}
	}
	return nil
}

// linked reports whether a file has more than one name.
func linked(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && !info.IsDir() && st.Nlink > 1
}

// give changes mode and owner of what is there. The mode is never wider than either while it does.
func (m *Machine) give(ctx context.Context, p place) error {
	uid, gid, err := m.owner(ctx, p.user, p.group)
	if err != nil {
		return err
	}
	f, err := m.open(p.path)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil {
		err = p.fits(info)
	}
	if err == nil {
		err = f.Chmod(info.Mode().Perm() & p.mode)
	}
	if err == nil && os.Geteuid() == 0 {
		err = f.Chown(uid, gid)
	}
	if err == nil {
		err = f.Chmod(p.mode)
	}
	return errors.Join(err, f.Close())
}

// owner returns the numbers of user and group; -1, which means as it is, only for one that is not there below Root.
func (m *Machine) owner(ctx context.Context, user, group string) (uid, gid int, err error) {
	if uid, err = m.lookup(ctx, "passwd", user); err != nil {
		return 0, 0, err
	}
	if gid, err = m.lookup(ctx, "group", group); err != nil {
		return 0, 0, err
	}
	if m.real() && (uid < 0 || gid < 0) {
		return 0, 0, fmt.Errorf("there is no user %s, or no group %s", user, group)
	}
	return uid, gid, nil
}

// owned reports whether a file belongs to user and group; -1 is anybody. Who is not root can give nothing away, so that it does not matter to him.
func owned(info fs.FileInfo, uid, gid int) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return os.Geteuid() != 0 || ok && (uid < 0 || int(st.Uid) == uid) && (gid < 0 || int(st.Gid) == gid)
}

// stateStep gives what is in the local state to the service's user: a command that root ran may have left files that the service can't use. systemd makes the folder itself.
func stateStep(m *Machine, l *layout, remove bool) Step {
	s := treeStep(m, l.stateDir(), remove)
	s.What = l.stateDir() + " (all of it " + string(l.role) + "'s)"
	s.Done = func(ctx context.Context) (bool, error) {
		n, err := m.each(ctx, l, false)
		return n == 0, err
	}
	s.Do = func(ctx context.Context) error {
		_, err := m.each(ctx, l, true)
		return err
	}
	return s
}

// each counts what in the state belongs to somebody else than the role's user, and with mend gives it to him. It leaves the folder by no link: whoever owns the folder may be an
// intruder, and this is run by root.
func (m *Machine) each(ctx context.Context, l *layout, mend bool) (n int, err error) {
	uid, gid, err := m.stateOwner(ctx, l)
	if err != nil || uid < 0 || gid < 0 || os.Geteuid() != 0 {
		return 0, err
	}
	info, err := os.Lstat(m.path(l.stateDir()))
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir() {
		return 0, nil // systemd makes it, or the owner of the machine put it elsewhere
	}
	if err != nil {
		return 0, err
	}
	root, err := os.OpenRoot(m.path(l.stateDir()))
	if err != nil {
		return 0, err
	}
	defer root.Close()
	err = fs.WalkDir(root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // the service works in it
		}
		if err != nil {
			return err
		}
		info, err := root.Lstat(path)
		if err != nil || owned(info, uid, gid) {
			return ignore(err, fs.ErrNotExist)
		}
		if linked(info) {
			return foreignLink(path)
		}
		n++
		if mend {
			return ignore(hand(root, path, info, uid, gid), fs.ErrNotExist)
		}
		return ctx.Err()
	})
	return n, err
}

// foreignLink says that a file in the state may be somebody else's.
func foreignLink(path string) error {
	return &Kept{fmt.Sprintf("%s in it has another name elsewhere (a hard link), and belongs to another user: look at it, and remove one", path)}
}

// hand gives a thing in the state to the user. What has contents is opened before it is looked at for the last time, so that nothing can take its place in between.
func hand(root *os.Root, path string, info fs.FileInfo, uid, gid int) error {
	if !info.Mode().IsRegular() {
		return root.Lchown(path, uid, gid)
	}
	f, err := root.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	if info, err = f.Stat(); err == nil && (!info.Mode().IsRegular() || linked(info)) {
		err = foreignLink(path)
	}
	if err == nil {
		err = f.Chown(uid, gid)
	}
	return errors.Join(err, f.Close())
}

// stateOwner is as owner, but that a user who is made by an earlier step is not missed in a dry run.
func (m *Machine) stateOwner(ctx context.Context, l *layout) (uid, gid int, err error) {
	if uid, err = m.lookup(ctx, "passwd", string(l.role)); err != nil {
		return 0, 0, err
	}
	gid, err = m.lookup(ctx, "group", string(l.role))
	return uid, gid, err
}

func ignore(err, known error) error {
	if errors.Is(err, known) {
		return nil
	}
	return err
}

// userStep makes the role's user and group. They are removed only with state and keys both: until then files belong to them.
func userStep(m *Machine, l *layout, o Options) Step {
	name := string(l.role)
	there := func(ctx context.Context) (bool, error) {
		uid, err := m.lookup(ctx, "passwd", name)
		if err != nil || uid < 0 {
			return false, err
		}
		gid, err := m.lookup(ctx, "group", name)
		return gid >= 0, err
	}
	s := Step{What: "user and group " + name}
	if !m.real() {
		return s
	}
	s.Done = there
	s.Do = func(ctx context.Context) error { return m.addUser(ctx, l) }
	if !o.RemoveState || !o.RemoveKeys || l.packaged {
		return s
	}
	s.Gone = func(ctx context.Context) (bool, error) {
		ok, err := there(ctx)
		return !ok, err
	}
	s.Undo = func(ctx context.Context) error {
		_, err := run(ctx, patience, "userdel", name)
		return err
	}
	return s
}

// addUser makes the user by systemd-sysusers, or, where that is missing, by useradd.
func (m *Machine) addUser(ctx context.Context, l *layout) error {
	_, err := run(ctx, patience, "systemd-sysusers", sysusersFile(l))
	if !errors.Is(err, unix.ENOENT) && !notFound(err) {
		return err
	}
	_, err = run(ctx, patience, "useradd", "--system", "--user-group", "--home-dir", l.stateDir(), "--no-create-home", "--shell", "/usr/sbin/nologin", string(l.role))
	return err
}

package rclone

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	iofs "io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rclone/rclone/fs"
	"github.com/rclone/rclone/fs/config/obscure"

	"farshore/providers"
	"farshore/providers/servers"
)

// writeConfig writes an rclone.conf and returns its path.
func writeConfig(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rclone.conf")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// create stores the bytes.
func create(ctx context.Context, d *Driver, name string, body []byte) (providers.Info, error) {
	return d.Create(ctx, name, section(bytes.NewReader(body), len(body)), sha256.Sum256(body))
}

func section(r io.ReaderAt, n int) *io.SectionReader { return io.NewSectionReader(r, 0, int64(n)) }

// files returns the paths of all files below dir.
func files(t *testing.T, dir string) (paths []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e iofs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			path, err = filepath.Rel(dir, path)
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

func TestConfigFile(t *testing.T) {
	dir := t.TempDir()
	path := writeConfig(t, "[offsite]\ntype = local\n")
	tests := map[string]func(t *testing.T) Options{
		"option":      func(t *testing.T) Options { return Options{ConfigPath: path} },
		"environment": func(t *testing.T) Options { t.Setenv("RCLONE_CONFIG", path); return Options{} },
	}
	for name, options := range tests {
		t.Run(name, func(t *testing.T) {
			d, err := Open(t.Context(), "rclone:offsite:"+dir, options(t))
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			if _, err := create(t.Context(), d, "packs/"+name, []byte("x")); err != nil {
				t.Fatal(err)
			}
			if got := files(t, dir); !slices.Contains(got, "packs/"+name) {
				t.Errorf("files %q", got)
			}
			if got := d.Traits(); got.Place != "rclone:offsite:"+dir || got.Kind != "rclone" || got.CreateOnly != providers.CreateOnlyNone || !got.Local {
				t.Errorf("traits %+v", got)
			}
		})
	}
}

// TestNoConfigFile wants nothing of an earlier rclone.conf to be left when none is to be read.
func TestNoConfigFile(t *testing.T) {
	for _, path := range []string{writeConfig(t, "[offsite]\ntype = local\n"), os.DevNull, writeConfig(t, "")} {
		d, err := Open(t.Context(), "rclone:offsite:"+t.TempDir(), Options{ConfigPath: path})
		if err == nil {
			d.Close()
		}
		info, statErr := os.Stat(path)
		if statErr != nil {
			t.Fatal(statErr)
		}
		if known := info.Size() > 0; (err == nil) != known {
			t.Errorf("%s (%d bytes): %v", path, info.Size(), err)
		}
	}
}

// TestOpenErrors wants each mistake to be said with what to do, and no password to be repeated.
func TestOpenErrors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	config := writeConfig(t, "[cloud]\ntype = nosuchcloud\n[asks]\ntype = sftp\nhost = 127.0.0.1\nask_password = true\n")
	tests := []struct {
		name, spec, config, want string
		kind                     providers.Kind
	}{
		{"other scheme", "s3:bucket", config, "want rclone:REMOTE:PATH", providers.Other},
		{"no remote", "rclone:/some/path", config, "want rclone:REMOTE:PATH", providers.Other},
		{"bad parameters", "rclone::sftp,pass=hunter2,:x", config, "can't be read", providers.Other},
		{"unknown remote", "rclone:nowhere:path", config, `there is no remote "nowhere" in ` + config, providers.Other},
		{"unknown remote with password", "rclone:nowhere,pass=hunter2:path", config, `there is no remote "nowhere"`, providers.Other},
		{"type not linked", "rclone:cloud:path", config, "-tags rclone_all", providers.Unsupported},
		{"type not linked, on the spot", "rclone::nosuchcloud,pass=hunter2:path", config, "-tags rclone_all", providers.Unsupported},
		{"file", "rclone::local:" + file, config, "is a file", providers.Other},
		{"would ask", "rclone:asks:path", config, "ask_password", providers.Other},
		{"named configuration missing", "rclone::local:/tmp", config + ".not", "can't be read", providers.Other},
		{"configuration not readable", "rclone::local:/tmp", filepath.Dir(config), "can't be read", providers.Other},
		{"encrypted configuration", "rclone::local:/tmp", writeConfig(t, "RCLONE_ENCRYPT_V0:\n"+strings.Repeat("QUJD", 40)+"\n"), "RCLONE_CONFIG_PASS", providers.Other},
		{"password in clear", "rclone::sftp,host=127.0.0.1,user=u,pass=hunter2:/tmp", config, "is it obscured?", providers.Other},
		{"bucket not named", "rclone::s3,provider=Other,endpoint='http://127.0.0.1:9':", config, "must begin with a bucket", providers.Other},
		{"wrong password", strings.Replace(servers.SFTP(t, nil), "user=backup", "user=thief", 1) + "/tmp", config, "", providers.Unauthenticated},
		{"nobody listens", "rclone::sftp,host=127.0.0.1,port=9,user=u,pass=" + obscure.MustObscure("x") + ":/tmp", config, "", providers.Temporary},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			d, err := Open(ctx, test.spec, Options{ConfigPath: test.config})
			if err == nil {
				d.Close()
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "hunter2") || providers.KindOf(err) != test.kind {
				t.Errorf("%v (kind %q)\nwant kind %q and %q", err, providers.KindOf(err), test.kind, test.want)
			}
		})
	}
}

// TestPlace shows the address without the settings, which may hold secrets.
func TestPlace(t *testing.T) {
	_, d := open(t, servers.SFTP(t, nil)+"/tmp")
	if got := d.Traits().Place; got != "rclone::sftp:/tmp" {
		t.Errorf("place %q", got)
	}
}

// TestFailedUpload ends an upload half-way: nothing may be left, neither under the name nor in the staging directory.
func TestFailedUpload(t *testing.T) {
	dir := t.TempDir()
	for name, spec := range map[string]string{
		"local":  "rclone::local:" + dir,
		"webdav": webdavServer(t, dir),
		"sftp":   servers.SFTP(t, nil) + dir,
	} {
		t.Run(name, func(t *testing.T) {
			_, d := open(t, spec)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			body := make([]byte, 4<<20)
			_, err := d.Create(ctx, "packs/a", section(slowBody{bytes.NewReader(body), 2 << 20, cancel}, len(body)), sha256.Sum256(body))
			if err == nil || providers.Retryable(err) {
				t.Errorf("create: %v", err)
			}
			if got := files(t, dir); len(got) != 0 {
				t.Errorf("left behind: %q", got)
			}
		})
	}
}

// TestLostRace has another writer take the name while the body is uploaded.
func TestLostRace(t *testing.T) {
	dir := t.TempDir()
	ctx, d := open(t, "rclone::local:"+dir)
	body := make([]byte, 1<<20)
	other := func() {
		if err := os.MkdirAll(dir+"/packs", 0o700); err != nil {
			t.Error(err)
		}
		if err := os.WriteFile(dir+"/packs/a", []byte("theirs"), 0o600); err != nil {
			t.Error(err)
		}
	}
	_, err := d.Create(ctx, "packs/a", section(slowBody{bytes.NewReader(body), 1 << 19, other}, len(body)), sha256.Sum256(body))
	if providers.KindOf(err) != providers.Exists {
		t.Errorf("create: %v", err)
	}
	if got, err := os.ReadFile(dir + "/packs/a"); err != nil || string(got) != "theirs" {
		t.Errorf("the other's object: %q, %v", got, err)
	}
	if got := files(t, dir); len(got) != 1 {
		t.Errorf("left behind: %q", got)
	}
}

// TestDamagedUpload gives a body that is not that of the SHA-256: the store's own hash must show it.
func TestDamagedUpload(t *testing.T) {
	dir := t.TempDir()
	ctx, d := open(t, "rclone::local:"+dir)
	_, err := d.Create(ctx, "packs/a", section(strings.NewReader("other"), 5), sha256.Sum256([]byte("these")))
	if providers.KindOf(err) != providers.Corrupt {
		t.Errorf("create: %v", err)
	}
	if got := files(t, dir); len(got) != 0 {
		t.Errorf("left behind: %q", got)
	}
}

// TestStagingIsHidden has an interrupted upload lie there.
func TestStagingIsHidden(t *testing.T) {
	dir := t.TempDir()
	ctx, d := open(t, "rclone::local:"+dir)
	if err := os.MkdirAll(dir+"/.tmp", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/.tmp/half", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := create(ctx, d, "vault/a", []byte("x")); err != nil {
		t.Fatal(err)
	}
	page, more, err := d.List(ctx, "", "", 10)
	if err != nil || more || len(page) != 1 || page[0].Name != "vault/a" {
		t.Errorf("listed %v, %v, %v", page, more, err)
	}
}

// TestIncompleteListing has a directory with an entry that rclone's local backend can't read, logs and leaves out.
func TestIncompleteListing(t *testing.T) {
	dir := t.TempDir()
	ctx, d := open(t, "rclone::local,copy_links:"+dir)
	if _, err := create(ctx, d, "packs/a", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/nowhere", dir+"/packs/b"); err != nil {
		t.Fatal(err)
	}
	if page, _, err := d.List(ctx, "packs/", "", 10); err == nil || !strings.Contains(err.Error(), "not listed to its end") {
		t.Errorf("listed %v, %v", page, err)
	}
}

// countingFs counts the listings of a remote.
type countingFs struct {
	fs.Fs
	lists int
}

func (c *countingFs) List(ctx context.Context, dir string) (fs.DirEntries, error) {
	c.lists++
	return c.Fs.List(ctx, dir)
}

// TestPageCache lists one directory in many pages.
func TestPageCache(t *testing.T) {
	const n = 500
	dir := t.TempDir()
	ctx, d := open(t, "rclone::local:"+dir)
	counting := &countingFs{Fs: d.fs}
	d.fs = counting
	add := func(name string) {
		if err := os.WriteFile(dir+"/"+name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for i := range n {
		add(fmt.Sprintf("%04d", i))
	}
	got := 0
	after, more := "", true
	for more {
		page, m, err := d.List(ctx, "", after, 10)
		if err != nil || len(page) == 0 {
			t.Fatal(page, err)
		}
		got += len(page)
		after, more = page[len(page)-1].Name, m
	}
	if got != n || counting.lists != 1 {
		t.Errorf("%d objects from %d listings, want %d from one", got, counting.lists, n)
	}
	// The end of a listing is asked for anew.
	add("9999")
	if page, _, err := d.List(ctx, "", after, 10); err != nil || len(page) != 1 {
		t.Errorf("behind the end: %v, %v", page, err)
	}
}

// TestPageCacheForgets wants the next page to show what this driver created since, and what anyone did some time ago.
func TestPageCacheForgets(t *testing.T) {
	rest := []entry{{name: "b"}}
	t.Run("create", func(t *testing.T) {
		var c pageCache
		c.keep("", "a", rest, c.state())
		c.forget()
		if _, _, ok := c.take("", "a"); ok {
			t.Error("kept over a create")
		}
	})
	t.Run("create while listing", func(t *testing.T) {
		var c pageCache
		before := c.state()
		c.forget()
		c.keep("", "a", rest, before)
		if _, _, ok := c.take("", "a"); ok {
			t.Error("kept what was listed before a create")
		}
	})
	t.Run("another page", func(t *testing.T) {
		var c pageCache
		c.keep("x/", "x/a", rest, c.state())
		if _, _, ok := c.take("x/", "x/b"); ok {
			t.Error("served another page")
		}
		if _, _, ok := c.take("x/", "x/a"); !ok {
			t.Error("did not serve its page")
		}
		if _, _, ok := c.take("x/", "x/a"); ok {
			t.Error("served its page twice")
		}
	})
	synctest.Test(t, func(t *testing.T) {
		var c pageCache
		c.keep("", "a", rest, c.state())
		time.Sleep(pageAge + 1)
		if _, _, ok := c.take("", "a"); ok {
			t.Error("kept too long")
		}
	})
}

// TestLog wants what rclone says to reach the logger, from notice on.
func TestLog(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	dir := t.TempDir()
	d, err := Open(t.Context(), "rclone::local:"+dir, Options{ConfigPath: writeConfig(t, ""), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	t.Cleanup(func() { process.loggedTo.Store(nil) })
	fs.Logf(d.fs, "notice %d", 1)
	fs.Debugf(d.fs, "debug")
	fs.LogPrintf(fs.LogLevelCritical, nil, "critical")
	got := out.String()
	if !strings.Contains(got, `msg="rclone: notice 1"`) || !strings.Contains(got, `level=ERROR msg="rclone: critical"`) || strings.Contains(got, "debug") {
		t.Errorf("logged:\n%s", got)
	}
}

// TestModified wants times only where they are the store's own.
func TestModified(t *testing.T) {
	for name, test := range map[string]struct {
		spec  string
		known bool
	}{
		"local":  {"rclone::local:" + t.TempDir(), false},
		"webdav": {webdavServer(t, t.TempDir()), true},
		"s3":     {s3Remote(t, "") + "/v", true},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, d := open(t, test.spec)
			created, err := create(ctx, d, "a", []byte("x"))
			if err != nil {
				t.Fatal(err)
			}
			stat, err := d.Stat(ctx, "a")
			if err != nil {
				t.Fatal(err)
			}
			page, _, err := d.List(ctx, "", "", 1)
			if err != nil || len(page) != 1 {
				t.Fatal(page, err)
			}
			for what, got := range map[string]time.Time{"create": created.Modified, "stat": stat.Modified, "list": page[0].Modified} {
				if recent := time.Since(got).Abs() < time.Minute; recent != test.known || got.IsZero() == test.known {
					t.Errorf("%s: %v", what, got)
				}
			}
		})
	}
}

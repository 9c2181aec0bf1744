package booted

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"farshore/providers/servers"
)

// wanted are the files of both packages with their modes; all belong to root. The zsh completion lies where each distribution looks for it. Manual pages and documents are
// checked by themselves.
var wanted = map[string]string{
	"/usr/bin/farshore":                                      "-rwxr-xr-x",
	"/usr/lib/systemd/system/farshore.service":               "-rw-r--r--",
	"/usr/lib/systemd/system/farshore-alert@.service":        "-rw-r--r--",
	"/usr/lib/systemd/system/farshore-verify.service":        "-rw-r--r--",
	"/usr/lib/systemd/system/farshore-verify.timer":          "-rw-r--r--",
	"/usr/lib/systemd/system/farshore-verify-alert@.service": "-rw-r--r--",
	"/usr/lib/sysusers.d/farshore.conf":                      "-rw-r--r--",
	"/usr/lib/tmpfiles.d/farshore.conf":                      "-rw-r--r--",
	"/usr/share/bash-completion/completions/farshore":        "-rw-r--r--",
	"/usr/share/fish/vendor_completions.d/farshore.fish":     "-rw-r--r--",
	"/usr/share/doc/farshore/README.md":                      "-rw-r--r--",
	"/usr/share/doc/farshore/example.yaml":                   "-rw-r--r--",
}

const (
	manDir  = "/usr/share/man/man1/"
	docsDir = "/usr/share/doc/farshore/docs/"
)

// TestPackages holds what is in the packages to the list above.
func TestPackages(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the whole program twice")
	}
	deb, rpm := packages(t)
	t.Run("deb", func(t *testing.T) {
		needs(t, "dpkg-deb", "dpkg")
		files := map[string]string{}
		for line := range strings.Lines(output(t, "dpkg-deb", "-c", deb)) {
			f := strings.Fields(line) // mode owner/group size date time path
			if len(f) != 6 || f[1] != "root/root" {
				t.Errorf("strange: %s", line)
			} else if !strings.HasSuffix(f[5], "/") {
				files[strings.TrimPrefix(f[5], ".")] = f[0]
			}
		}
		checkFiles(t, files, "/usr/share/zsh/vendor-completions/_farshore")
		info := output(t, "dpkg-deb", "-f", deb)
		for _, want := range []string{"Package: farshore\n", "Maintainer: farshore <farshore@example.net>\n", "Depends: systemd, ca-certificates\n", "Recommends: git, subversion\n"} {
			if !strings.Contains(info, want) {
				t.Errorf("no %q in\n%s", want, info)
			}
		}
		if got := output(t, "dpkg-deb", "-I", deb); strings.Contains(got, "conffiles") {
			t.Errorf("there are conffiles:\n%s", got)
		}
	})
	t.Run("rpm", func(t *testing.T) {
		needs(t, "rpm", "rpm")
		files := map[string]string{}
		for line := range strings.Lines(output(t, "rpm", "-qp", "--qf", "[%{FILEMODES:perms} %{FILEUSERNAME} %{FILEGROUPNAME} %{FILENAMES}\n]", rpm)) {
			f := strings.Fields(line)
			if len(f) != 4 || f[1] != "root" || f[2] != "root" {
				t.Errorf("strange: %s", line)
			} else if f[0][0] != 'd' {
				files[f[3]] = f[0]
			}
		}
		checkFiles(t, files, "/usr/share/zsh/site-functions/_farshore")
		info := output(t, "rpm", "-qp", "--qf", "%{NAME} %{BUILDHOST} %{PACKAGER} %{SOURCERPM}\n[%{REQUIRES}\n][%{RECOMMENDS}\n]", rpm)
		for _, want := range []string{"farshore farshore.example.net farshore <farshore@example.net> ", "\nsystemd\n", "\ngit\n"} {
			if !strings.Contains(info, want) {
				t.Errorf("no %q in\n%s", want, info)
			}
		}
	})
}

func checkFiles(t *testing.T, files map[string]string, zsh string) {
	t.Helper()
	want := map[string]string{zsh: "-rw-r--r--"}
	for path, mode := range wanted {
		want[path] = mode
	}
	docs, err := os.ReadDir("../../docs")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range docs {
		want[docsDir+d.Name()] = "-rw-r--r--"
	}
	pages := 0
	for path, mode := range files {
		if strings.HasPrefix(path, manDir+"farshore") && strings.HasSuffix(path, ".1.gz") && mode == "-rw-r--r--" {
			pages++
			continue
		}
		if want[path] != mode {
			t.Errorf("%s is there as %s, not as %q", path, mode, want[path])
		}
		delete(want, path)
	}
	for path := range want {
		t.Errorf("%s is missing", path)
	}
	for _, page := range []string{"farshore", "farshore-replicate", "farshore-source-add", "farshore-man"} {
		if files[manDir+page+".1.gz"] == "" {
			t.Errorf("there is no page %s among %d", page, pages)
		}
	}
}

// TestPackagesReproducible builds them once more, in another directory and in another time zone: they are the same to the byte.
func TestPackagesReproducible(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the whole program twice")
	}
	deb, rpm := packages(t)
	dir, from := t.TempDir(), tree()
	if built.dir == "" {
		from = "../.." // what is named was built from there
	}
	if all, err := run("cp", "-a", "--reflink=auto", from, filepath.Join(dir, "elsewhere")); err != nil {
		t.Fatalf("%v: %s", err, all)
	}
	if all, err := run("env", "TZ=Pacific/Chatham", "LC_ALL=C", "USER=someone", "HOSTNAME=elsewhere", filepath.Join(dir, "elsewhere", "systemd", "package.sh"), dir); err != nil {
		t.Fatalf("%v\n%s", err, all)
	}
	for _, first := range []string{deb, rpm} {
		one, err := os.ReadFile(first)
		if err != nil {
			t.Fatal(err)
		}
		two, err := os.ReadFile(filepath.Join(dir, filepath.Base(first)))
		if err != nil || !bytes.Equal(one, two) {
			t.Errorf("%s differs when it is built again, or %v", filepath.Base(first), err)
		}
	}
}

// TestScripts has the packages' scripts read by shellcheck.
func TestScripts(t *testing.T) {
	needs(t, "shellcheck", "shellcheck")
	scripts, err := filepath.Glob("../package/*.sh")
	if err != nil || len(scripts) != 3 {
		t.Fatalf("%v, %v", scripts, err)
	}
	output(t, "shellcheck", slices.Concat([]string{"../package.sh"}, scripts)...)
}

// needs skips the test where a program is missing, or fails it where none may be.
func needs(t *testing.T, program, from string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		servers.Missing(t, program, "apt-get install "+from)
	}
}

// output runs a program of this host and returns what it writes; one that fails fails the test.
func output(t *testing.T, program string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatal(fmt.Errorf("%s: %w\n%s", program, err, out))
	}
	return string(out)
}

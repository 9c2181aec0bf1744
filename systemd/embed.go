// Package systemd has what farshore gives to systemd: its units, its users and its directories, as packages bring them and as `farshore install` writes them.
package systemd

import (
	"embed"
	"fmt"
	"path"
	"strings"
)

//go:embed *.service *.timer *.conf
var files embed.FS

// PackagedBinary is the path of the program in the units as they are here. They are right for a package.
const PackagedBinary = "/usr/bin/farshore"

// Role is one of the services that a machine can have.
type Role string

// Roles. Each has a user of its name, and directories of its name below /etc and /var/lib.
const (
	Agent    Role = "farshore"
	Verifier Role = "farshore-verify"
)

// Units are the names of a role's units. The first is its service.
func (r Role) Units() []string {
	if r == Verifier {
		return []string{"farshore-verify.service", "farshore-verify.timer", "farshore-verify-alert@.service"}
	}
	return []string{"farshore.service", "farshore-alert@.service"}
}

// Enabled is the unit that is enabled and started: the verifier's is a timer.
func (r Role) Enabled() string {
	if r == Verifier {
		return "farshore-verify.timer"
	}
	return "farshore.service"
}

// Unit returns a unit for a program at an absolute path. For another one than a package's it names no pages of the manual, since only packages bring them.
func Unit(name, binary string) (string, error) {
	data, err := files.ReadFile(name)
	if err != nil {
		return "", fmt.Errorf("there is no unit %s", name)
	}
	text := string(data)
	if binary == PackagedBinary {
		return text, nil
	}
	if !path.IsAbs(binary) || path.Clean(binary) != binary || strings.ContainsFunc(binary, special) {
		return "", fmt.Errorf("a unit can't name the program %q: it must be a plain absolute path", binary)
	}
	return dropLines(strings.ReplaceAll(text, "="+PackagedBinary+" ", "="+binary+" "), "Documentation=man:"), nil
}

// special reports what means something else than itself in a line that names a program.
func special(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`"'\$%;`, r) }

// dropLines removes the lines that begin so.
func dropLines(text, prefix string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, prefix) {
			b.WriteString(line)
		}
	}
	return b.String()
}

// Sysusers and Tmpfiles return what systemd-sysusers and systemd-tmpfiles take, for one role; as they are here, they are for all.
func Sysusers(r Role) string { return ofRole("farshore.sysusers.conf", r) }

// Tmpfiles is documented with Sysusers.
func Tmpfiles(r Role) string { return ofRole("farshore.tmpfiles.conf", r) }

// ofRole leaves out the lines of other roles.
func ofRole(name string, r Role) string {
	data, err := files.ReadFile(name)
	if err != nil {
		panic(err) // it is embedded
	}
	var b strings.Builder
	for line := range strings.Lines(string(data)) {
		if strings.HasPrefix(line, "#") || strings.Contains(line, string(Verifier)) == (r == Verifier) {
			b.WriteString(line)
		}
	}
	return b.String()
}

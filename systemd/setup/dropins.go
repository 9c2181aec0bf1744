package setup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"farshore/systemd"
)

// Paths are what a service may reach beyond what its unit gives it.
type Paths struct {
	// Read and Write are absolute paths, Groups are names of groups.
	Read, Write, Groups []string
}

// homes are what ProtectHome= hides. What lies below one of them has to be brought back.
var homes = [...]string{"/home", "/root", "/run/user"}

// Check reports what no unit can name.
func (p *Paths) Check() error {
	for _, path := range slices.Concat(p.Read, p.Write) {
		switch {
		case !filepath.IsAbs(path) || filepath.Clean(path) != path:
			return fmt.Errorf("%q is no absolute path in its shortest form", path)
		case path == "/" || slices.Contains(homes[:], path):
			return fmt.Errorf("%q is too much: name the folder itself", path)
		case !utf8.ValidString(path) || strings.ContainsFunc(path, func(r rune) bool { return r < ' ' || r == 0x7f || strings.ContainsRune(`"'\:`, r) }):
			return fmt.Errorf("%q has a character that a unit can't name", path)
		}
	}
	for _, g := range p.Groups {
		if g == "" || g[0] == '-' || strings.ContainsFunc(g, func(r rune) bool {
			return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-", r)
		}) {
			return fmt.Errorf("%q is no name of a group", g)
		}
	}
	return nil
}

// empty reports whether there is nothing to say.
func (p *Paths) empty() bool { return len(p.Read)+len(p.Write)+len(p.Groups) == 0 }

// dropIn writes the settings. A path that is not there when the service starts is left out, so that one lost disk does not stop the other sources.
func (p *Paths) dropIn(why string) string {
	if p.empty() {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n[Service]\n", why)
	hidden := false
	line := func(key, bind string, paths []string) {
		for _, path := range paths {
			if belowHome(path) {
				key, hidden = bind, true
			}
			fmt.Fprintf(&b, "%s=%s\n", key, quoted("-"+path))
		}
	}
	for _, path := range p.Read {
		line("ReadOnlyPaths", "BindReadOnlyPaths", []string{path})
	}
	for _, path := range p.Write {
		line("ReadWritePaths", "BindPaths", []string{path})
	}
	for _, g := range p.Groups {
		fmt.Fprintf(&b, "SupplementaryGroups=%s\n", g)
	}
	if hidden {
		b.WriteString("# All homes stay hidden, but for what is bound above.\nProtectHome=tmpfs\n")
	}
	return b.String()
}

func belowHome(path string) bool {
	return slices.ContainsFunc(homes[:], func(h string) bool { return strings.HasPrefix(path, h+"/") })
}

// quoted writes a path such that a unit takes it as it is.
func quoted(path string) string {
	path = strings.ReplaceAll(path, "%", "%%")
	if strings.Contains(path, " ") {
		return `"` + path + `"`
	}
	return path
}

// environment says which variable tells a program where a credential is, for those that ask no farshore for it.
var environment = map[string]string{
	"aws":         "AWS_SHARED_CREDENTIALS_FILE",
	"aws-config":  "AWS_CONFIG_FILE",
	"gcp.json":    "GOOGLE_APPLICATION_CREDENTIALS",
	"rclone.conf": "RCLONE_CONFIG",
}

// encrypted is how the names of credentials end that systemd-creds encrypted.
const encrypted = ".cred"

// credential is a file that systemd hands to a service.
type credential struct {
	name, path string
	encrypted  bool
}

// maxCredentials bounds what is handed to a service.
const maxCredentials = 256

// credentials lists the files of the role's folder, by name. Names that begin with a dot are nobody's.
func credentials(m *Machine, l *layout) ([]credential, error) {
	dir := l.configDir() + "/credentials"
	entries, err := os.ReadDir(m.path(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []credential
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		c := credential{name: e.Name(), path: dir + "/" + e.Name()}
		c.name, c.encrypted = strings.CutSuffix(e.Name(), encrypted)
		switch same := slices.IndexFunc(out, func(o credential) bool { return o.name == c.name }); {
		case !e.Type().IsRegular():
			return nil, fmt.Errorf("%s is no regular file: only files are handed to the service", c.path)
		case !plainName(c.name):
			return nil, fmt.Errorf("%s: the name of a credential has letters, digits, dots, dashes and underscores alone: rename it", c.path)
		case same >= 0:
			return nil, fmt.Errorf("%s and %s are one credential: remove one", out[same].path, c.path)
		case len(out) == maxCredentials:
			return nil, fmt.Errorf("%s has more than %d files", dir, maxCredentials)
		}
		out = append(out, c)
	}
	return out, nil
}

func plainName(s string) bool {
	return s != "" && len(s) <= 200 && !strings.ContainsFunc(s, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-", r)
	})
}

// stores reports whether a credential is for stores, keys or the page: who only tells people that a unit failed does not need it.
func (c credential) stores() bool {
	return environment[c.name] != "" || slices.Contains([]string{"agent.key", "metadata.key", "auditor.key", "web.key", "web.token"}, c.name)
}

// credentialsDropIn writes the settings that hand the files to a service; "" for none.
func credentialsDropIn(all []credential) string {
	if len(all) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("# Hands each file of the folder for credentials to the service. `farshore install` writes it anew; then restart the service.\n[Service]\n")
	for _, c := range all {
		key := "LoadCredential"
		if c.encrypted {
			key = "LoadCredentialEncrypted"
		}
		fmt.Fprintf(&b, "%s=%s:%s\n", key, c.name, c.path)
		if name := environment[c.name]; name != "" {
			fmt.Fprintf(&b, "Environment=%s=%%d/%s\n", name, c.name)
		}
	}
	return b.String()
}

// dropInSteps are what is laid over the units.
func dropInSteps(m *Machine, l *layout, o Options, changed *bool) ([]Step, error) {
	var all []credential
	if !o.removing {
		var err error
		if all, err = credentials(m, l); err != nil {
			return nil, err
		}
	}
	units := l.role.Units()
	service, alert := units[0], units[len(units)-1]
	at := func(unit, name string) string { return unitDir + "/" + unit + ".d/" + name + ".conf" }
	few := slices.DeleteFunc(slices.Clone(all), credential.stores)
	steps := []Step{
		textStep(m, at(service, "credentials"), credentialsDropIn(all), o.Force, changed),
		textStep(m, at(alert, "credentials"), credentialsDropIn(few), o.Force, changed),
	}
	for _, one := range []struct {
		name, why string
		paths     *Paths
	}{
		{"paths", "What `farshore install` was asked for with --read-path, --write-path and --group.", o.Asked},
		{"configuration", "What the configuration needs: its vault or its sources on this machine. `farshore install` writes it anew.", o.Derived},
	} {
		step := textStep(m, at(service, one.name), "", o.Force, changed)
		if one.paths != nil {
			step = textStep(m, at(service, one.name), one.paths.dropIn(one.why), o.Force, changed)
		} else {
			step.Do, step.Done = nil, nil
		}
		steps = append(steps, step)
	}
	return steps, nil
}

// unitSteps are the units and what is laid over them.
func unitSteps(m *Machine, l *layout, o Options, changed *bool) ([]Step, error) {
	var steps []Step
	for _, name := range l.role.Units() {
		text, err := systemd.Unit(name, l.binary)
		if err != nil {
			return nil, err
		}
		steps = append(steps, l.fileStep(m, unitDir+"/"+name, text, o.Force, changed))
	}
	more, err := dropInSteps(m, l, o, changed)
	return append(steps, more...), err
}

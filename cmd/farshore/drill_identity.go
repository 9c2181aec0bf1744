package main

import (
	"strings"

	"filippo.io/age"
	"filippo.io/age/plugin"

	"farshore/crypto/seal"
)

// maxIdentityFile is the most bytes of a file of identities.
const maxIdentityFile = 64 << 10

// recoveryIdentities reads the files of --identity for a drill. A file with identities of plugins (AGE-PLUGIN-…) is taken out of the flags: the vault's pages
// are not opened with it, since each use may take a touch.
func (e *env) recoveryIdentities() ([]age.Identity, error) {
	var ids []age.Identity
	var plain []string
	for _, path := range e.flags.identities {
		lines, err := pluginLines(path)
		if err != nil {
			return nil, err
		}
		if len(lines) == 0 {
			r, err := readIdentity(path)
			if err != nil {
				return nil, &failure{exit: exitUsage, code: codeUsage, err: err}
			}
			ids, plain = append(ids, r.Identities...), append(plain, path)
			continue
		}
		for _, line := range lines {
			id, err := plugin.NewIdentity(line, plugin.NewTerminalUI(e.say, e.warn))
			if err != nil {
				return nil, usagef("%s: an identity of a plugin is damaged: mistyped or cut short", path)
			}
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil, usagef("drill header needs the recovery identity").with("name it with --identity FILE: recovery.key of the recovery kit")
	}
	e.flags.identities = plain
	return ids, nil
}

// pluginLines returns the identities of plugins in a file; none where it has none. A file has plugins' or age's own, not both.
func pluginLines(path string) ([]string, error) {
	content, err := readSmall("identity", path, maxIdentityFile)
	if err != nil {
		return nil, err
	}
	var own, plugins []string
	for _, line := range strings.Split(string(content), "\n") {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#':
		case strings.HasPrefix(line, "AGE-PLUGIN-"):
			plugins = append(plugins, line)
		default:
			own = append(own, line)
		}
	}
	if len(own) > 0 && len(plugins) > 0 {
		return nil, usagef("%s holds identities of plugins beside others", path).with("put them into files of their own: age's own are secrets, and held to stricter rules")
	}
	return plugins, nil
}

// tells reports whether any of the identities tells its recipient: a plugin's does not.
func (a *access) tells() bool {
	for _, id := range a.identities {
		if _, err := seal.RecipientOf(id); err == nil {
			return true
		}
	}
	return false
}

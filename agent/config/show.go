package config

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// redacted stands where a text looks like a secret. No configuration that was parsed has one.
const redacted = "REDACTED"

// Show writes the configuration in force: every key with what holds, whether the file says so or not, in YAML that means the same Config at the same path. Where nothing holds by
// default there is a comment. Secrets stand there as where they are.
func (c *Config) Show(getenv func(string) string) []byte {
	var b strings.Builder
	for _, key := range keys(new(parser).topFields(new(Config))) {
		b.WriteString(c.showKey(key, getenv))
	}
	return []byte(b.String())
}

// Values is what Show writes, for programs: mappings, lists, texts and numbers.
func (c *Config) Values(getenv func(string) string) (map[string]any, error) {
	var out map[string]any
	if err := yaml.Unmarshal(c.Show(getenv), &out); err != nil {
		return nil, fmt.Errorf("show configuration: %w", err)
	}
	return out, nil
}

// showKey writes a key of the file with its value.
func (c *Config) showKey(key string, getenv func(string) string) string {
	dir := filepath.Dir(c.Path)
	switch key {
	case "vault":
		return one(key, redact(c.Vault))
	case "owner":
		return one(key, c.Owner)
	case "recipients":
		return key + ":" + renderList(c.Recipients, 0, "", nil) + "\n"
	case "keys":
		return one(key, from(dir, c.Keys))
	case "state":
		return one(key, from(dir, c.State))
	case "require":
		return one(key, c.Require)
	case "read_back":
		return one(key, c.ReadBack)
	case "min_lock_left":
		return key + ": " + FormatDays(c.MinLockLeft) + "\n"
	case "limits":
		return several(key, limitLines(c.Limits), "none")
	case "commit":
		return several(key, [][2]string{{"every", formatDuration(c.Commit.Every)}, {"bytes", FormatSize(c.Commit.Bytes)}}, "")
	case "max_age":
		return orNothing(key, FormatDays(c.Goals.MaxAge), c.Goals.MaxAge > 0, "nothing was promised")
	case "recovery_time":
		return orNothing(key, FormatDays(c.Goals.RecoveryTime), c.Goals.RecoveryTime > 0, "nothing was promised")
	case "tripwire":
		return several(key, tripwireLines(c.Tripwire), "")
	case "notify":
		return c.showChannels(key)
	case "metrics":
		return several(key, [][2]string{{"textfile", scalar(c.Metrics.Textfile)}}[:count(c.Metrics.Textfile != "")], "none")
	case "sources":
		return c.showSources(key)
	}
	return c.showService(key, getenv)
}

// showService writes a key that is about the daemon.
func (c *Config) showService(key string, getenv func(string) string) string {
	switch key {
	case "schedule":
		return one(key, c.Schedule)
	case "jitter":
		return orNothing(key, c.Jitter, c.Jitter != "", "a twentieth of the schedule's period, at most 5m")
	case "timezone":
		return one(key, c.Timezone)
	case "parallel":
		return key + ": " + strconv.Itoa(c.Parallel) + "\n"
	case "probe":
		return several(key, [][2]string{{"schedule", scalar(c.Probe.Schedule)}}, "")
	case "verify":
		return several(key, verifyLines(c.Verify), "")
	case "socket":
		path, _ := c.SocketPath(getenv)
		return orNothing(key, scalar(c.Socket), c.Socket != "", path)
	case "web":
		return several(key, webLines(c.Web), "")
	}
	return ""
}

func (c *Config) showChannels(key string) string {
	if len(c.Notify) == 0 {
		return orNothing(key, "", false, "nobody")
	}
	var b strings.Builder
	b.WriteString(key + ":\n")
	for _, one := range c.Notify {
		for i, line := range channelLines(one) {
			b.WriteString([]string{"  - ", "    "}[count(i > 0)] + line[0] + ": " + line[1] + "\n")
		}
	}
	return b.String()
}

func (c *Config) showSources(key string) string {
	if len(c.Sources) == 0 {
		return key + ": []\n"
	}
	var b strings.Builder
	b.WriteString(key + ":\n")
	for _, s := range c.Sources {
		s.URL = redact(s.URL)
		b.WriteString(renderSource(s, 2))
	}
	return b.String()
}

// one writes a key with a text.
func one(key, text string) string { return key + ": " + scalar(text) + "\n" }

// several writes a section, or a comment with what holds without one.
func several(key string, lines [][2]string, without string) string {
	if len(lines) == 0 {
		return orNothing(key, "", false, without)
	}
	return key + ":" + renderLines(lines, 0, "", nil) + "\n"
}

// orNothing writes a key with its value, or where there is none a comment with what holds then.
func orNothing(key, value string, there bool, without string) string {
	if there {
		return key + ": " + value + "\n"
	}
	return "# " + key + ": " + strings.Join(strings.Fields(without), " ") + "\n"
}

// count is 1 for true.
func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

// from writes a path as it is seen from a directory, where it is not absolute.
func from(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	if rel, err := filepath.Rel(dir, path); err == nil {
		return rel
	}
	return path
}

// shown is where a secret is; what does not say that is not shown.
func (s Secret) shown() string {
	if s == "" || checkSecret(string(s)) == nil {
		return string(s)
	}
	return redacted
}

// redact is an address without what looks like a secret in it.
func redact(address string) string {
	scheme, rest, _ := strings.Cut(address, ":")
	u, err := url.Parse(address)
	switch {
	case findSecret(address) != nil, scheme == "rclone" && checkRemote(rest, vaults[scheme]) != nil, scheme != "rclone" && err != nil:
		return scheme + ":" + redacted
	case scheme == "rclone":
		return address
	}
	changed := false
	// The name of a user is part of ssh's address.
	if _, password := u.User.Password(); password || u.User != nil && !strings.HasSuffix(scheme, "+ssh") {
		u.User, changed = url.User(redacted), true
	}
	values := u.Query()
	for name, all := range values {
		for i, v := range all {
			if secretName.MatchString(name) || strings.Contains(v, "@") {
				all[i], changed = redacted, true
			}
		}
	}
	if !changed {
		return address
	}
	u.RawQuery = values.Encode()
	return u.String()
}

package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Config is what the file says, with defaults filled in and directories made relative to the file's own.
type Config struct {
	// Path is the file that it was read from.
	Path string
	// Vault is the vault's URL.
	Vault string
	// Owner is the pinned public key of the vault's owner, "ed25519:" and base64.
	Owner string
	// Recipients are the pinned recovery recipients: the agent seals to these and refuses any others.
	Recipients []string
	// Keys is the directory of agent.key and metadata.key.
	Keys string
	// State is the directory of the local cache, which may be lost at any time.
	State string
	// Require is what the vault's store must be proven to hold the agent's credential to: RequireAppendOnly or RequireNone.
	Require string
	// MinLockLeft is for how long the objects that a new snapshot rests on must still be locked; 0 asks for nothing.
	MinLockLeft time.Duration
	// ReadBack is how much of what a commit adds is read back before it: ReadBackAuto, ReadBackOff, or a share such as 10%.
	ReadBack string
	// Limits hold for all sources together.
	Limits Limits
	// Commit says when a long pass commits what it has so far.
	Commit Commit
	// Verify is what `farshore verify` may read.
	Verify Verify
	// Goals are those of every source that has none of its own.
	Goals Goals
	// Tripwire says from which change on a snapshot is suspicious; a source may have its own.
	Tripwire Tripwire
	// Notify are the ways to tell people what came of a pass or an audit, in the order of the file.
	Notify []Channel
	// Metrics says where numbers for a monitoring system are left.
	Metrics Metrics
	// Schedule is when passes are made, of each source that has no schedule of its own; Jitter the most that a run is put off by, "" for a twentieth of its period and at most 5m.
	Schedule, Jitter string
	// Timezone is the time zone of schedules: a name of IANA's, "UTC", or "Local".
	Timezone string
	// Parallel is how many passes a daemon makes at a time.
	Parallel int
	// Probe is what a daemon asks of the agent's credential.
	Probe Probe
	// Socket is the path of a daemon's socket as the file has it, "" for the default: SocketPath resolves it.
	Socket string
	// Web is a daemon's page.
	Web Web
	// Sources are in the order of the file.
	Sources []Source
}

// Values of Config.Require. A vault in a directory of this machine defaults to RequireNone, since its files are whoever's may write there; every other to
// RequireAppendOnly.
const (
	RequireAppendOnly = "append-only"
	RequireNone       = "none"
)

// Local reports whether the vault is a directory of this machine.
func Local(vault string) bool { return strings.HasPrefix(vault, "file:") }

// Limits bound what farshore does to the network and to the stores. Zero is no limit.
type Limits struct {
	// Upload is bytes per second sent to the vault.
	Upload int64
	// Download is bytes per second read from sources, and from the vault when restoring.
	Download int64
	// Requests is requests per second, to each store.
	Requests int
}

// Commit says when a long pass commits: at whichever comes first.
type Commit struct {
	// Every is the longest time between two commits of a pass.
	Every time.Duration
	// Bytes is how many stored bytes one commit adds at most, roughly.
	Bytes int64
}

const (
	// DefaultEvery bounds what an agent that dies loses to work that it must adopt again. A commit costs about five small requests,
	// so that ten minutes keep them below a thousandth of a busy pass.
	DefaultEvery = 10 * time.Minute
	// DefaultBytes bounds the same on fast links: 8 GiB are 256 full packs, which a commit's list and its read-back sample take in one go.
	DefaultBytes = 8 << 30
)

// Source is one protected source.
type Source struct {
	// Name is what people call it; it never changes, since the vault's snapshots bear it.
	Name string
	// URL is its address, without credentials.
	URL string
	// Include and Exclude are patterns of paths (see Filter).
	Include, Exclude []string
	// Accept are the reasons for which items may be unreadable without making a pass incomplete (docs/format.md, section 5.1.2).
	Accept []string
	// Repositories are paths below the address, where that is a server's: without them it is one repository, or all of a forge's owner.
	Repositories []string
	// Username and PasswordFile are the credential for a server of repositories. The file holds a password or token in its first line, and is read anew
	// when it is needed. A relative path is seen from the configuration's directory.
	Username, PasswordFile string
	// Password is the general form of PasswordFile: at most one of the two is there. PasswordOf returns the one that is.
	Password Secret
	// Schedule and Jitter are this source's own, "" for the common ones: ScheduleOf resolves them.
	Schedule, Jitter string
	// Limits hold for this source, within the common ones.
	Limits Limits
	// Goals are this source's own: GoalsOf fills in the common ones.
	Goals Goals
	// Tripwire is what this source has of its own.
	Tripwire Tripwire
	// Ping is the URL of a dead man's switch that each pass over this source calls; "" for none.
	Ping Secret
}

// Source returns the source of that name, or nil.
func (c *Config) Source(name string) *Source {
	for i := range c.Sources {
		if c.Sources[i].Name == name {
			return &c.Sources[i]
		}
	}
	return nil
}

// Check reports all that is wrong with the source, one line each.
func (s *Source) Check() error {
	var all []error
	note := func(key string, err error) {
		if err != nil {
			all = append(all, fmt.Errorf("%s: %w", key, err))
		}
	}
	note("name", checkName(s.Name))
	note("url", checkSource(s.URL))
	for _, p := range s.Include {
		note("include", checkPattern(p))
	}
	for _, p := range s.Exclude {
		note("exclude", checkPattern(p))
	}
	for _, r := range s.Accept {
		note("accept", checkReason(r))
	}
	for _, r := range s.Repositories {
		note("repositories", checkRepository(r))
	}
	if s.Password != "" {
		note("password", checkSecret(string(s.Password)))
	}
	if s.Schedule != "" {
		_, err := parseSchedule(s.Schedule)
		note("schedule", err)
	}
	if s.Jitter != "" {
		_, err := parseJitter(s.Jitter)
		note("jitter", err)
	}
	note("username", s.checkCredential())
	note("repositories", s.checkRepositories())
	return errors.Join(all...)
}

// tidy writes what Check lets pass as the file's reading would return it.
func (s *Source) tidy() {
	if text, err := parseSchedule(s.Schedule); err == nil {
		s.Schedule = text
	}
	if text, err := parseJitter(s.Jitter); err == nil {
		s.Jitter = text
	}
}

// Load reads and checks the file. Mistakes in it are a *Problems, and so is a file that others may change: whoever may decides what the agent trusts.
func Load(path string) (*Config, error) {
	data, err := readTrusted(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, data)
}

// etcDir is where a configuration of the whole machine lies; its state belongs to stateDir then, since /etc may be read-only.
const (
	etcDir   = "/etc/farshore"
	stateDir = "/var/lib/farshore"
)

// place fills in the directories: those that the file names, relative to its own directory, or the defaults.
func (c *Config) place(path string) {
	dir := filepath.Dir(path)
	c.Path = path
	c.Keys = below(dir, c.Keys, "keys")
	if c.Require == "" {
		c.Require = defaultRequire(c.Vault)
	}
	c.fill()
	if c.State == "" && filepath.Clean(dir) == etcDir {
		c.State = stateDir
		return
	}
	c.State = below(dir, c.State, "state")
}

// fill fills in what else holds where the file says nothing.
func (c *Config) fill() {
	c.ReadBack = orText(c.ReadBack, ReadBackAuto)
	c.Schedule = orText(c.Schedule, DefaultSchedule)
	c.Timezone = orText(c.Timezone, DefaultTimezone)
	c.Probe.Schedule = orText(c.Probe.Schedule, DefaultProbeSchedule)
	c.Web.Listen = orText(c.Web.Listen, DefaultListen)
	c.Tripwire.fill()
	if c.Parallel == 0 {
		c.Parallel = DefaultParallel
	}
	if c.Verify.Every == 0 {
		c.Verify.Every = DefaultVerifyEvery
	}
	c.Verify.Schedule = orText(c.Verify.Schedule, intervalText(c.Verify.Every))
}

func defaultRequire(vault string) string {
	if Local(vault) {
		return RequireNone
	}
	return RequireAppendOnly
}

func checkRequire(s string) error {
	if s != RequireAppendOnly && s != RequireNone {
		return fmt.Errorf("%q is neither %s nor %s", s, RequireAppendOnly, RequireNone)
	}
	return nil
}

// below returns the directory p as seen from dir, and dir/fallback for none.
func below(dir, p, fallback string) string {
	if p == "" {
		p = fallback
	}
	if filepath.IsAbs(p) {
		return filepath.Clean(p)
	}
	return filepath.Join(dir, p)
}

// Find returns the configuration's path: that of the flag, of FARSHORE_CONFIG, or the first that exists of ./farshore.yaml,
// farshore/farshore.yaml in the user's configuration directory, and /etc/farshore/farshore.yaml. What flag or environment name need not exist.
// It fails with a *NotFound when there is none.
func Find(flag string, getenv func(string) string) (string, error) {
	for _, p := range []string{flag, getenv("FARSHORE_CONFIG")} {
		if p != "" {
			return p, nil
		}
	}
	places := searchPath(getenv)
	for _, p := range places {
		if info, err := os.Stat(p); err == nil && !info.IsDir() {
			return p, nil
		}
	}
	return "", &NotFound{Searched: places}
}

// searchPath lists the places where a configuration may lie, the first found wins.
func searchPath(getenv func(string) string) []string {
	places := []string{"farshore.yaml"}
	user := getenv("XDG_CONFIG_HOME")
	if user == "" && getenv("HOME") != "" {
		user = filepath.Join(getenv("HOME"), ".config")
	}
	if filepath.IsAbs(user) {
		places = append(places, filepath.Join(user, "farshore", "farshore.yaml"))
	}
	return append(places, filepath.Join(etcDir, "farshore.yaml"))
}

// NotFound says that there is no configuration in any of the usual places.
type NotFound struct {
	// Searched are the places that were looked at, in order.
	Searched []string
}

// Error lists the places.
func (e *NotFound) Error() string {
	return "no configuration found at " + strings.Join(e.Searched, ", ")
}

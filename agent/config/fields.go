package config

import (
	"errors"
	"strings"

	"go.yaml.in/yaml/v3"
)

// topFields are the keys of the file.
func (p *parser) topFields(c *Config) []field {
	return []field{
		{"vault", true, p.text("vault", &c.Vault, checkVault).like(`^(file|s3|gs|rclone):`), about{
			text: "The vault: where the sealed copies go, at another provider and with another account than the sources. No credentials.", examples: examples("gs://example-offsite/vault", "s3://offsite/vault?region=eu-west-3&profile=offsite", "rclone:nas:vault", "file:///srv/vault")}},
		{"owner", true, p.text("owner", &c.Owner, checkOwner).like(`^ed25519:`), about{text: "The owner's public key, from recovery.key. The agent follows only what this key signed.", examples: examples("ed25519:O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik")}},
		{"recipients", true, p.recipients(&c.Recipients), about{text: "The recovery recipients: all that is stored is sealed to these. All are of one class.", examples: []any{[]string{"age1vfj6dgw3lpqltdh2wrmzp0v4tsfnt336m39j8ngmp0lypfssaceqc5kp25"}}}},
		{"keys", false, p.text("keys", &c.Keys, checkDirectory), about{text: "Directory of the agent's own keys, agent.key and metadata.key. A key that systemd gives as a credential of that name goes before. Relative paths are seen from this file's directory.", fallback: "keys"}},
		{"state", false, p.text("state", &c.State, checkDirectory), about{text: "Directory of the local cache, which may be lost. Without it: state, or /var/lib/farshore for a configuration in /etc/farshore.", examples: examples("state")}},
		{"require", false, p.text("require", &c.Require, checkRequire).of(RequireAppendOnly, RequireNone), about{text: "What must be proven of the agent's credential before it replicates. Without it: append-only, and none where the vault is a directory of this machine.", examples: examples(RequireAppendOnly)}},
		{"min_lock_left", false, number(p, "min_lock_left", &c.MinLockLeft, parseLockLeft, zeroDaysShape), about{text: "For how long what a new snapshot rests on must still be locked in the store; 0 asks for nothing.", fallback: 0, examples: examples("30d")}},
		{"read_back", false, p.text("read_back", &c.ReadBack, checkReadBack).like(`^(auto|off|` + sharePattern + `)$`), about{text: "How much of what is new the agent reads back from the vault before it commits: auto, off, or a share.", fallback: ReadBackAuto, examples: examples("10%")}},
		{"limits", false, p.limits("limits", &c.Limits), about{text: "Limits for all sources together. Without a key there is no such limit."}},
		{"commit", false, p.section("commit", p.commitFields(&c.Commit)), about{text: "When a long pass commits what it has, whichever comes first."}},
		{"schedule", false, p.schedule("schedule", &c.Schedule), about{text: "When a daemon makes a pass over each source: an interval, a cron expression, or off. A source may have its own.", fallback: DefaultSchedule, examples: examples("15m", "6h", "17 3 * * *", "@daily", Off)}},
		{"jitter", false, p.jitter(&c.Jitter), about{text: "The most that a run is put off by, at random. Without it: a twentieth of the schedule's period, and at most 5m.", examples: examples("30s", "5m")}},
		{"timezone", false, p.text("timezone", &c.Timezone, checkTimezone), about{text: "The time zone of schedules: a name of IANA's, UTC, or Local for this machine's own.", fallback: DefaultTimezone, examples: examples("Europe/Berlin", "UTC")}},
		{"parallel", false, number(p, "parallel", &c.Parallel, parseParallel, countShape), about{text: "How many passes a daemon makes at a time, from 1 to 32.", fallback: DefaultParallel}},
		{"probe", false, p.section("probe", p.probeFields(&c.Probe)), about{text: "When a daemon tries what the agent's credential may do."}},
		{"verify", false, p.verify(&c.Verify), about{text: "What an audit may read, what it promises, and when a daemon runs one."}},
		{"max_age", false, number(p, "max_age", &c.Goals.MaxAge, parseGoal, daysShape), about{text: "How old the newest complete snapshot of a source may be.", examples: examples("26h", "7d")}},
		{"recovery_time", false, number(p, "recovery_time", &c.Goals.RecoveryTime, parseGoal, daysShape), about{text: "How long a whole restore may take.", examples: examples("8h")}},
		{"tripwire", false, p.tripwire(&c.Tripwire), about{text: "From which change of a source on its snapshot is suspicious. It is taken all the same, and raises an alarm. off turns all off."}},
		{"notify", false, p.notify(c), about{text: "Who is told what came of a pass or an audit."}},
		{"metrics", false, p.section("metrics", p.metricsFields(&c.Metrics)), about{text: "Where numbers for a monitoring system are left."}},
		{"socket", false, p.text("socket", &c.Socket, checkSocket), about{
			text: "The Unix socket by which status, trigger and reload reach a daemon, at most 100 bytes long. Without it: farshore.sock in systemd's runtime directory, in /run/farshore for a configuration in /etc/farshore, or in state.", examples: examples("/run/farshore/farshore.sock")}},
		{"web", false, p.web(&c.Web), about{text: "A daemon's page, metrics and health. It shows and changes nothing."}},
		{"sources", false, p.sources(c), about{text: "What is protected. `farshore source add NAME URL` adds an entry and keeps comments."}},
	}
}

// config fills in c from the file's top mapping.
func (p *parser) config(n *yaml.Node, c *Config) {
	p.mapping(n, "the configuration", p.topFields(c))
}

// recipients are the recovery recipients, which must be of one class.
func (p *parser) recipients(dst *[]string) value {
	list := p.list("recipients", dst, checkRecipient).like(`^age1`)
	return value{func(n *yaml.Node) {
		before := len(p.problems.List)
		list.set(n)
		if len(p.problems.List) > before {
			return
		}
		if err := checkRecipients(*dst); err != nil {
			p.at(n, "recipients: %v", err)
		}
	}, list.shape}
}

func (p *parser) limits(what string, l *Limits) value {
	return p.section(what, []field{
		{"upload", false, number(p, what+".upload", &l.Upload, parseRate, rateShape), about{text: "Bytes per second sent to the vault.", examples: examples("50MiB/s")}},
		{"download", false, number(p, what+".download", &l.Download, parseRate, rateShape), about{text: "Bytes per second read from the sources, and from the vault when restoring.", examples: examples("20MB")}},
		{"requests", false, number(p, what+".requests", &l.Requests, parseRequests, requestsShape), about{text: "Requests per second to each store.", examples: []any{200}}},
	})
}

func (p *parser) commitFields(c *Commit) []field {
	return []field{
		{"every", false, number(p, "commit.every", &c.Every, parseEvery, durationShape), about{text: "The longest time between two commits of a pass, from 1s to 24h.", fallback: formatDuration(DefaultEvery)}},
		{"bytes", false, number(p, "commit.bytes", &c.Bytes, parseCommitBytes, sizeShape), about{text: "How many stored bytes one commit adds, roughly.", fallback: FormatSize(DefaultBytes)}},
	}
}

func (p *parser) probeFields(o *Probe) []field {
	return []field{
		{"schedule", false, number(p, "probe.schedule", &o.Schedule, parseProbeSchedule, scheduleShape), about{text: "When a daemon probes: an interval, a cron expression, or off; at most once an hour, since a probe leaves some 30 small objects in the vault.", fallback: DefaultProbeSchedule, examples: examples("1d", Off)}},
	}
}

// sources is the list of sources, whose names differ. A list that is only a key, or [], is empty.
func (p *parser) sources(c *Config) value {
	looks := shape{kind: kindList, item: &shape{kind: kindMapping, fields: p.sourceFields(new(Source), new(int))}, empty: true}
	return value{func(n *yaml.Node) { p.eachSource(n, c) }, looks}
}

func (p *parser) eachSource(n *yaml.Node, c *Config) {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" && n.Style&yaml.TaggedStyle == 0 && n.Anchor == "" {
		return
	}
	if !p.is(n, yaml.SequenceNode, "sources", "a list of sources") {
		return
	}
	lines := map[string]int{}
	for _, item := range n.Content {
		var s Source
		nameLine := item.Line
		before := len(p.problems.List)
		p.mapping(item, "a source", p.sourceFields(&s, &nameLine))
		if len(p.problems.List) == before {
			if err := errors.Join(s.checkCredential(), s.checkRepositories()); err != nil {
				p.add(nameLine, item.Column, "source %s: %s", s.Name, strings.ReplaceAll(err.Error(), "\n", "; "))
			}
		}
		if first, again := lines[s.Name]; again && s.Name != "" {
			p.add(nameLine, item.Column, "a source named %q is in line %d already: names must differ", s.Name, first)
		}
		lines[s.Name] = nameLine
		c.Sources = append(c.Sources, s)
	}
}

func (p *parser) sourceFields(s *Source, nameLine *int) []field {
	name := p.text("name", &s.Name, checkName).like(namePattern)
	set := name.set
	name.set = func(n *yaml.Node) { *nameLine = n.Line; set(n) }
	return []field{
		{"name", true, name, about{text: "What people call the source. It never changes: 1 to 64 of a-z, 0-9, dot, underscore and hyphen.", examples: examples("shop")}},
		{"url", true, p.text("url", &s.URL, checkSource).like(`^(s3|git|git\+(file|https?|ssh)|svn|svn\+(file|https?|ssh)):`), about{
			text: "Its address, without credentials.", examples: examples("s3://example-shop/?region=eu-central-1&profile=shop-reader", "git+https://git.example.net/team/app.git", "svn+file:///srv/svn?match=*")}},
		{"include", false, p.list("include", &s.Include, checkPattern), about{text: "Patterns of paths that belong to the source; without any, all do.", examples: []any{[]string{"images/"}}}},
		{"exclude", false, p.list("exclude", &s.Exclude, checkPattern), about{text: "Patterns of paths that do not. What is excluded is not deleted from the vault.", examples: []any{[]string{"**.tmp"}}}},
		{"accept", false, p.list("accept", &s.Accept, checkReason).of(reasons...), about{text: "Why items may be unreadable without making a pass incomplete.", examples: []any{[]string{"archived"}}}},
		{"repositories", false, p.list("repositories", &s.Repositories, checkRepository), about{text: "Paths of repositories below a server's address.", examples: []any{[]string{"app.git"}}}},
		{"username", false, p.text("username", &s.Username, checkUsername), about{text: "The user at a server of repositories, with password or password_file beside it.", examples: examples("reader")}},
		{"password_file", false, p.text("password_file", &s.PasswordFile, checkDirectory), about{text: "A file whose only line is the password or token for a server of repositories: password: file:PATH.", examples: examples("keys/code.token")}},
		{"password", false, p.secret("password", &s.Password), about{text: "Where the password or token for a server of repositories is. It is read anew when it is needed.", examples: examples("credential:code-token", "file:keys/code.token")}},
		{"schedule", false, p.schedule("schedule", &s.Schedule), about{text: "When a daemon makes a pass over this source, in place of the common schedule.", examples: examples("15m", "17 3 * * *", Off)}},
		{"jitter", false, p.jitter(&s.Jitter), about{text: "The most that a pass over this source is put off by, in place of the common jitter.", examples: examples("30s")}},
		{"limits", false, p.limits("limits", &s.Limits), about{text: "Limits for this source, within the common ones."}},
		{"max_age", false, number(p, "max_age", &s.Goals.MaxAge, parseGoal, daysShape), about{text: "How old this source's newest complete snapshot may be, in place of the common max_age.", examples: examples("2h")}},
		{"recovery_time", false, number(p, "recovery_time", &s.Goals.RecoveryTime, parseGoal, daysShape), about{text: "How long a whole restore of this source may take, in place of the common recovery_time.", examples: examples("4h")}},
		{"tripwire", false, p.tripwire(&s.Tripwire), about{text: "Thresholds of this source, each in place of the common one."}},
		{"ping", false, p.secret("ping", &s.Ping), about{text: "Where the address of a dead man's switch is that each pass over this source calls.", examples: examples("file:keys/shop.ping")}},
	}
}

package config

import (
	"errors"
	"strings"

	"go.yaml.in/yaml/v3"
)

// topFields are the keys of the file.
func (p *parser) topFields(c *Config) []field {
	return []field{
		{"vault", true, p.text("vault", &c.Vault, checkVault)},
		{"owner", true, p.text("owner", &c.Owner, checkOwner)},
		{"recipients", true, p.recipients(&c.Recipients)},
		{"keys", false, p.text("keys", &c.Keys, checkDirectory)},
		{"state", false, p.text("state", &c.State, checkDirectory)},
		{"require", false, p.text("require", &c.Require, checkRequire)},
		{"min_lock_left", false, number(p, "min_lock_left", &c.MinLockLeft, parseLockLeft)},
		{"read_back", false, p.text("read_back", &c.ReadBack, checkReadBack)},
		{"limits", false, p.limits("limits", &c.Limits)},
		{"commit", false, func(n *yaml.Node) { p.mapping(n, "commit", p.commitFields(&c.Commit)) }},
		{"verify", false, p.verify(&c.Verify)},
		{"max_age", false, number(p, "max_age", &c.Goals.MaxAge, parseGoal)},
		{"recovery_time", false, number(p, "recovery_time", &c.Goals.RecoveryTime, parseGoal)},
		{"tripwire", false, p.tripwire(&c.Tripwire)},
		{"notify", false, func(n *yaml.Node) { p.notify(n, c) }},
		{"metrics", false, func(n *yaml.Node) { p.mapping(n, "metrics", p.metricsFields(&c.Metrics)) }},
		{"sources", false, func(n *yaml.Node) { p.sources(n, c) }},
	}
}

// config fills in c from the file's top mapping.
func (p *parser) config(n *yaml.Node, c *Config) {
	p.mapping(n, "the configuration", p.topFields(c))
}

// recipients returns a setter for the recovery recipients, which must be of one class.
func (p *parser) recipients(dst *[]string) func(*yaml.Node) {
	set := p.list("recipients", dst, checkRecipient)
	return func(n *yaml.Node) {
		before := len(p.problems.List)
		set(n)
		if len(p.problems.List) > before {
			return
		}
		if err := checkRecipients(*dst); err != nil {
			p.at(n, "recipients: %v", err)
		}
	}
}

// limits returns a setter for limits.
func (p *parser) limits(what string, l *Limits) func(*yaml.Node) {
	return func(n *yaml.Node) {
		p.mapping(n, what, []field{
			{"upload", false, number(p, what+".upload", &l.Upload, parseRate)},
			{"download", false, number(p, what+".download", &l.Download, parseRate)},
			{"requests", false, number(p, what+".requests", &l.Requests, parseRequests)},
		})
	}
}

func (p *parser) commitFields(c *Commit) []field {
	return []field{
		{"every", false, number(p, "commit.every", &c.Every, parseEvery)},
		{"bytes", false, number(p, "commit.bytes", &c.Bytes, parseCommitBytes)},
	}
}

// sources fills in the list of sources and holds their names to be different. A list that is only a key, or [], is empty.
func (p *parser) sources(n *yaml.Node, c *Config) {
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
	name := p.text("name", &s.Name, checkName)
	return []field{
		{"name", true, func(n *yaml.Node) { *nameLine = n.Line; name(n) }},
		{"url", true, p.text("url", &s.URL, checkSource)},
		{"include", false, p.list("include", &s.Include, checkPattern)},
		{"exclude", false, p.list("exclude", &s.Exclude, checkPattern)},
		{"accept", false, p.list("accept", &s.Accept, checkReason)},
		{"repositories", false, p.list("repositories", &s.Repositories, checkRepository)},
		{"username", false, p.text("username", &s.Username, checkUsername)},
		{"password_file", false, p.text("password_file", &s.PasswordFile, checkDirectory)},
		{"limits", false, p.limits("limits", &s.Limits)},
		{"max_age", false, number(p, "max_age", &s.Goals.MaxAge, parseGoal)},
		{"recovery_time", false, number(p, "recovery_time", &s.Goals.RecoveryTime, parseGoal)},
		{"tripwire", false, p.tripwire(&s.Tripwire)},
		{"ping", false, p.secret("ping", &s.Ping)},
	}
}

package config

import (
	"errors"
	"fmt"
	"net"
	"net/mail"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"farshore/crypto/keyring"
)

// Secret says where a secret is, never what it is: "env:NAME", a variable of the environment, or "file:PATH", the first line of a file that nobody else may read. A relative
// path is seen from the configuration's directory. "" is none.
type Secret string

// Kinds of a Channel.
const (
	ChannelWebhook = "webhook"
	ChannelEmail   = "email"
	ChannelService = "service"
)

// Outcomes that a channel may be told of.
const (
	OnAlarm   = "alarm"
	OnFailure = "failure"
	OnWarning = "warning"
	OnSuccess = "success"
)

// Channel is one way to tell people what came of a pass or an audit.
type Channel struct {
	// Name is what warnings call it; it differs from that of every other channel.
	Name string
	// Kind is ChannelWebhook, ChannelEmail or ChannelService.
	Kind string
	// URL is where a webhook or the address of a service is.
	URL Secret
	// Secret signs what is sent to a webhook; "" leaves it unsigned.
	Secret Secret
	// Server is a mail server's host and port. From and To are addresses; Username and Password log in, both or neither.
	Server, From string
	To           []string
	Username     string
	Password     Secret
	// On are the outcomes that it is told of; empty: OnAlarm, OnFailure and OnWarning.
	On []string
	// Names says that names of sources and items, and texts of errors, may leave this machine on this way.
	Names bool
}

// Metrics says where numbers for a monitoring system are left.
type Metrics struct {
	// Textfile is the path of a file for the node exporter's textfile collector, "" for none. It ends in .prom. A relative path is seen from the configuration's directory.
	Textfile string
}

// maxChannels bounds a configuration's channels, and the addresses of one.
const maxChannels = 100

// Reveal reads a secret. Its errors name the variable or the file, and nothing of what is in them.
func (c *Config) Reveal(s Secret, getenv func(string) string) (string, error) {
	where, name, _ := strings.Cut(string(s), ":")
	if where == "file" {
		return keyring.ReadPassword(below(filepath.Dir(c.Path), name, ""))
	}
	v := strings.TrimSpace(getenv(name))
	switch {
	case v == "":
		return "", fmt.Errorf("the environment has no variable %s, or it is empty", name)
	case len(v) > 64<<10 || strings.ContainsAny(v, "\r\n\x00"):
		return "", fmt.Errorf("the variable %s has more than one line, or is too long", name)
	}
	return v, nil
}

// TextfilePath is the path of the file for metrics, "" for none.
func (c *Config) TextfilePath() string {
	if c.Metrics.Textfile == "" {
		return ""
	}
	return below(filepath.Dir(c.Path), c.Metrics.Textfile, "")
}

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,99}$`)

// checkSecret accepts where a secret is. It never repeats the text: it may be the secret itself.
func checkSecret(s string) error {
	where, name, _ := strings.Cut(s, ":")
	switch {
	case where == "env" && variableName.MatchString(name), where == "file" && strings.TrimSpace(name) != "" && !strings.ContainsRune(name, 0) && !strings.HasPrefix(name, "//"):
		return nil
	}
	return errors.New("a secret does not stand in this file: write env:NAME for a variable of the environment, or file:PATH for a file that nobody else may read, with the secret in its first line")
}

// secret returns a setter for where a secret is. Unlike text it shows nothing of a value that it refuses.
func (p *parser) secret(what string, dst *Secret) func(*yaml.Node) {
	return func(n *yaml.Node) {
		if !p.is(n, yaml.ScalarNode, what, "text") {
			return
		}
		if err := checkSecret(n.Value); err != nil {
			p.at(n, "%s: %v", what, err)
			return
		}
		*dst = Secret(n.Value)
	}
}

// notify fills in the list of channels and holds their names to be different.
func (p *parser) notify(n *yaml.Node, c *Config) {
	if !p.is(n, yaml.SequenceNode, "notify", "a list of channels") {
		return
	}
	if len(n.Content) > maxChannels {
		p.at(n, "notify: more than %d channels", maxChannels)
		return
	}
	lines := map[string]int{}
	for _, item := range n.Content {
		var one Channel
		before := len(p.problems.List)
		p.mapping(item, "a channel", p.channelFields(&one))
		if len(p.problems.List) > before {
			continue
		}
		if err := one.check(); err != nil {
			p.at(item, "channel %s: %v", one.Name, err)
		}
		if first, again := lines[one.Name]; again {
			p.at(item, "a channel named %q is in line %d already: names must differ", one.Name, first)
		}
		lines[one.Name] = item.Line
		c.Notify = append(c.Notify, one)
	}
}

func (p *parser) channelFields(c *Channel) []field {
	return []field{
		{"name", true, p.text("name", &c.Name, checkName)},
		{"kind", true, p.text("kind", &c.Kind, oneOf(ChannelWebhook, ChannelEmail, ChannelService))},
		{"url", false, p.secret("url", &c.URL)},
		{"secret", false, p.secret("secret", &c.Secret)},
		{"server", false, p.text("server", &c.Server, checkServer)},
		{"from", false, p.text("from", &c.From, checkMailbox)},
		{"to", false, p.list("to", &c.To, checkMailbox)},
		{"username", false, p.text("username", &c.Username, checkLogin)},
		{"password", false, p.secret("password", &c.Password)},
		{"on", false, p.list("on", &c.On, oneOf(OnAlarm, OnFailure, OnWarning, OnSuccess))},
		{"names", false, number(p, "names", &c.Names, parseTrue)},
	}
}

// check reports what a channel of its kind lacks, or has and does not use.
func (c *Channel) check() error {
	email := c.Server != "" || c.From != "" || len(c.To) > 0 || c.Username != "" || c.Password != ""
	switch {
	case c.Kind == ChannelEmail && (c.URL != "" || c.Secret != ""):
		return errors.New("url and secret are for webhooks and services: an email has server, from and to")
	case c.Kind == ChannelEmail && (c.Server == "" || c.From == "" || len(c.To) == 0):
		return errors.New("an email needs server, from and to")
	case c.Kind == ChannelEmail && len(c.To) > maxChannels:
		return fmt.Errorf("to: more than %d addresses", maxChannels)
	case (c.Username == "") != (c.Password == ""):
		return errors.New("username and password are given together, or neither")
	case c.Kind != ChannelEmail && email:
		return errors.New("server, from, to, username and password are for emails")
	case c.Kind != ChannelEmail && c.URL == "":
		return fmt.Errorf("a %s needs url", c.Kind)
	case c.Kind == ChannelService && c.Secret != "":
		return errors.New("secret is for webhooks: all that a service needs is in its url")
	}
	return nil
}

func (p *parser) metricsFields(m *Metrics) []field {
	return []field{{"textfile", true, p.text("metrics.textfile", &m.Textfile, checkTextfile)}}
}

// checkTextfile accepts a path that the node exporter would read.
func checkTextfile(s string) error {
	if filepath.Ext(s) != ".prom" || strings.HasPrefix(filepath.Base(s), ".") || strings.ContainsRune(s, 0) {
		return fmt.Errorf("%q is no such file: the collector reads those whose names end in .prom", s)
	}
	return nil
}

// oneOf returns a check that accepts the given words alone.
func oneOf(words ...string) func(string) error {
	return func(s string) error {
		if slices.Contains(words, s) {
			return nil
		}
		if near := Nearest(strings.ToLower(s), words); near != "" {
			return fmt.Errorf("%q is not known: %q is meant, perhaps", s, near)
		}
		return fmt.Errorf("%q is none of %s", s, strings.Join(words, ", "))
	}
}

// checkServer accepts a host with a port.
func checkServer(s string) error {
	host, port, err := net.SplitHostPort(s)
	n, perr := strconv.ParseUint(port, 10, 16)
	if err != nil || perr != nil || n == 0 || host == "" || strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '@' || r == '/' }) {
		return fmt.Errorf("%q is no mail server: write host:port, such as mail.example.net:587", s)
	}
	return nil
}

// checkLogin accepts a user's name at a mail server.
func checkLogin(s string) error {
	if s == "" || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return errors.New("it is empty, or has control characters in it")
	}
	return nil
}

// checkMailbox accepts a bare address of mail.
func checkMailbox(s string) error {
	a, err := mail.ParseAddress(s)
	if err != nil || a.Name != "" || a.Address != s || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return fmt.Errorf("%q is no bare address such as ops@example.net", s)
	}
	return nil
}

func parseTrue(s string) (bool, error) {
	if s != "true" && s != "false" {
		return false, fmt.Errorf("%q is neither true nor false", s)
	}
	return s == "true", nil
}

// channelLines are the keys of a channel that say anything, and their values as text.
func channelLines(c Channel) [][2]string {
	var out [][2]string
	add := func(key, value string) {
		if value != "" {
			out = append(out, [2]string{key, value})
		}
	}
	text := func(key, value string) {
		if value != "" {
			add(key, scalar(value))
		}
	}
	text("name", c.Name)
	text("kind", c.Kind)
	text("url", string(c.URL))
	text("secret", string(c.Secret))
	text("server", c.Server)
	text("from", c.From)
	add("to", flow(c.To))
	text("username", c.Username)
	text("password", string(c.Password))
	add("on", flow(c.On))
	if c.Names {
		add("names", "true")
	}
	return out
}

// flow writes a list of texts in one line, "" for none. Quotes around each keep a comma from being taken for the list's.
func flow(items []string) string {
	if len(items) == 0 {
		return ""
	}
	quoted := make([]string, len(items))
	for i, s := range items {
		quoted[i] = strconv.Quote(s)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

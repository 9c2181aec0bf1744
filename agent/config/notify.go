package config

import (
	"errors"
	"fmt"
	"net"
	"net/mail"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

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

// TextfilePath is the path of the file for metrics, "" for none.
func (c *Config) TextfilePath() string {
	if c.Metrics.Textfile == "" {
		return ""
	}
	return below(filepath.Dir(c.Path), c.Metrics.Textfile, "")
}

// notify is the list of channels, whose names differ.
func (p *parser) notify(c *Config) value {
	looks := shape{kind: kindList, item: &shape{kind: kindMapping, fields: p.channelFields(new(Channel))}}
	return value{func(n *yaml.Node) { p.channels(n, c) }, looks}
}

func (p *parser) channels(n *yaml.Node, c *Config) {
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
	kinds, outcomes := []string{ChannelWebhook, ChannelEmail, ChannelService}, []string{OnAlarm, OnFailure, OnWarning, OnSuccess}
	return []field{
		{"name", true, p.text("name", &c.Name, checkName).like(namePattern), about{text: "What warnings call the channel. Names differ.", examples: examples("ops")}},
		{"kind", true, p.text("kind", &c.Kind, oneOf(kinds...)).of(kinds...), about{text: "A webhook (JSON by POST), an email, or a service by its address.", examples: examples(ChannelWebhook)}},
		{"url", false, p.secret("url", &c.URL), about{text: "Where the address of a webhook or a service is.", examples: examples("file:ops.url", "env:FARSHORE_PAGER")}},
		{"secret", false, p.secret("secret", &c.Secret), about{text: "Where the secret is that signs what a webhook is sent (X-Farshore-Signature). Without it nothing is signed.", examples: examples("file:ops.secret")}},
		{"server", false, p.text("server", &c.Server, checkServer), about{text: "A mail server's host and port. Port 465 is TLS from the first byte; another one must offer STARTTLS.", examples: examples("mail.example.net:587")}},
		{"from", false, p.text("from", &c.From, checkMailbox), about{text: "The address that an email comes from.", examples: examples("farshore@example.net")}},
		{"to", false, p.list("to", &c.To, checkMailbox), about{text: "The addresses that an email goes to.", examples: []any{[]string{"ops@example.net"}}}},
		{"username", false, p.text("username", &c.Username, checkLogin), about{text: "The user at the mail server, with password beside it.", examples: examples("farshore")}},
		{"password", false, p.secret("password", &c.Password), about{text: "Where the password for the mail server is.", examples: examples("env:FARSHORE_MAIL_PASSWORD")}},
		{"on", false, p.list("on", &c.On, oneOf(outcomes...)).of(outcomes...), about{text: "Of what it is told.", fallback: []string{OnAlarm, OnFailure, OnWarning}}},
		{"names", false, number(p, "names", &c.Names, parseTrue, shape{kind: kindSwitch}), about{text: "Names of sources and items, and texts of errors, may leave this machine on this way.", fallback: false}},
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
	return []field{
		{"textfile", true, p.text("metrics.textfile", &m.Textfile, checkTextfile).like(`\.prom$`), about{
			text:     "A file for the node exporter's textfile collector. Its name ends in .prom. Each configuration needs one of its own.",
			examples: examples("/var/lib/node_exporter/textfile/farshore.prom")}},
	}
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
	text("url", c.URL.shown())
	text("secret", c.Secret.shown())
	text("server", c.Server)
	text("from", c.From)
	add("to", flow(c.To))
	text("username", c.Username)
	text("password", c.Password.shown())
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

package config

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"

	"farshore/crypto/keyring"
)

// Names of the agent's keys, in the directory of keys or among systemd's credentials.
const (
	AgentKey    = "agent.key"
	MetadataKey = "metadata.key"
)

// Check reads the file and reports all that is wrong with it, as far as this machine can tell and this user may see: what Load reports, and whether keys and secrets can be read,
// directories are there, certificates hold, and what is said contradicts itself. It contacts nobody and changes nothing. Findings are in the file's order. It fails where the file can't be
// read. The Config is nil where Load would fail.
func Check(path string, getenv func(string) string, now time.Time) (*Config, []Finding, error) {
	data, err := readTrusted(path)
	var untrusted *Problems
	if errors.As(err, &untrusted) {
		return nil, findings(untrusted), nil
	}
	if err != nil {
		return nil, nil, err
	}
	c, root, problems := parseAll(path, data)
	k := &checker{c: c, root: root, getenv: getenv, now: now, found: findings(problems), parsed: map[int]bool{}}
	for _, p := range problems.List {
		k.parsed[p.Line] = true
	}
	if root != nil {
		k.all()
	}
	slices.SortStableFunc(k.found, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	if len(problems.List) > 0 {
		c = nil
	}
	return c, k.found, nil
}

// findings are problems as such.
func findings(p *Problems) []Finding {
	var out []Finding
	for _, one := range p.List {
		out = append(out, Finding{one, SeverityProblem})
	}
	return out
}

// checker looks at what a configuration names.
type checker struct {
	c      *Config
	root   *yaml.Node
	getenv func(string) string
	now    time.Time
	found  []Finding
	// parsed are the lines with a problem that parsing found: what else would be said of these is a consequence.
	parsed map[int]bool
}

func (k *checker) all() {
	k.keys()
	k.directories()
	k.socket()
	k.secrets()
	k.certificate()
	k.schedules()
	for i := range k.c.Sources {
		k.source(i)
	}
	if len(k.c.Sources) == 0 {
		k.note(in("sources"), "there are no sources: nothing is replicated. `farshore source add NAME URL` adds one")
	}
}

// spot is a place in the file: keys of mappings and numbers of a list.
type spot []any

func in(steps ...any) spot { return steps }

// and is a place below.
func (s spot) and(steps ...any) spot { return append(slices.Clip(s), steps...) }

// node is what stands at a place, or nil.
func (k *checker) node(s spot) *yaml.Node {
	n := k.root
	for _, step := range s {
		switch step := step.(type) {
		case string:
			_, n, _ = lookup(n, step)
		case int:
			if step >= len(n.Content) {
				return nil
			}
			n = n.Content[step]
		}
		if n == nil {
			return nil
		}
	}
	return n
}

func (k *checker) problem(s spot, format string, args ...any) {
	k.add(SeverityProblem, s, fmt.Sprintf(format, args...))
}

func (k *checker) note(s spot, format string, args ...any) {
	k.add(SeverityNote, s, fmt.Sprintf(format, args...))
}

// add says something of a place, or of the file's beginning where the file says nothing there.
func (k *checker) add(severity string, s spot, text string) {
	line, column := 1, 1
	if n := k.node(s); n != nil {
		line, column = n.Line, n.Column
		if k.parsed[line] {
			return
		}
	}
	k.found = append(k.found, Finding{Problem{k.c.Path, line, column, text}, severity})
}

// keys reads the agent's keys. An auditor's configuration, which has no sources, needs none.
func (k *checker) keys() {
	for _, key := range []struct {
		name string
		read func(string) error
	}{
		{AgentKey, func(path string) error { _, err := keyring.ReadAgentKey(path); return err }},
		{MetadataKey, func(path string) error { _, err := keyring.ReadMetadata(path); return err }},
	} {
		path := k.c.KeyPath(key.name, k.getenv)
		switch err := key.read(path); {
		case errors.Is(err, fs.ErrNotExist) && len(k.c.Sources) == 0:
			k.note(in("keys"), "%s is not there: without it nothing can be replicated", path)
		case errors.Is(err, fs.ErrNotExist):
			k.problem(in("keys"), "%s is not there: `farshore init` makes it, or systemd gives it to the service (LoadCredential=%s:PATH)", path, key.name)
		case err != nil:
			k.problem(in("keys"), "%v", err)
		}
	}
}

// secrets reads each secret that the file names, and forgets it.
func (k *checker) secrets() {
	look := func(s spot, secret Secret) {
		if secret == "" {
			return
		}
		_, err := k.c.Reveal(secret, k.getenv)
		k.unread(s, err)
	}
	for i, one := range k.c.Notify {
		at := k.channel(i)
		look(at.and("url"), one.URL)
		look(at.and("secret"), one.Secret)
		look(at.and("password"), one.Password)
	}
	for i := range k.c.Sources {
		s := &k.c.Sources[i]
		look(in("sources", i, "ping"), s.Ping)
		if s.PasswordFile != "" {
			look(in("sources", i, "password_file"), k.c.PasswordOf(s))
			continue
		}
		look(in("sources", i, "password"), s.Password)
	}
	look(in("verify", "ping"), k.c.Verify.Ping)
	_, err := k.c.WebToken(k.getenv)
	k.unread(in("web", "token"), err)
}

// unread says why a secret can't be read. What systemd gives to the service can't be seen by whoever runs this by hand.
func (k *checker) unread(s spot, err error) {
	switch {
	case errors.Is(err, ErrNoCredential):
		k.note(s, "this can't be looked at here: %v", err)
	case err != nil:
		k.problem(s, "%v", err)
	}
}

// channel is where a channel stands: those with problems are not among the Config's.
func (k *checker) channel(i int) spot {
	if list := k.node(in("notify")); list != nil {
		for j, item := range list.Content {
			if _, name, _ := lookup(item, "name"); name != nil && name.Value == k.c.Notify[i].Name {
				return in("notify", j)
			}
		}
	}
	return in("notify")
}

// soon is when a certificate that ends is worth a note.
const soon = 14 * day

// certificate reads the page's certificate and key.
func (k *checker) certificate() {
	pair, err := k.c.WebCertificate(k.getenv)
	k.unread(in("web", "tls_cert"), err)
	if pair == nil {
		return
	}
	switch leaf := pair.Leaf; {
	case k.now.After(leaf.NotAfter):
		k.problem(in("web", "tls_cert"), "the certificate ended on %s: no browser takes it", leaf.NotAfter.UTC().Format(time.RFC3339))
	case k.now.Before(leaf.NotBefore):
		k.problem(in("web", "tls_cert"), "the certificate begins on %s only", leaf.NotBefore.UTC().Format(time.RFC3339))
	case k.now.Add(soon).After(leaf.NotAfter):
		k.note(in("web", "tls_cert"), "the certificate ends on %s", leaf.NotAfter.UTC().Format(time.RFC3339))
	}
}

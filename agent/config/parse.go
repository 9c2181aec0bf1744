package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxFile bounds a configuration's size in bytes: a thousand sources fit several times, and a wrong file is refused early.
const maxFile = 4 << 20

// Parse checks a configuration's bytes. name is its path: relative directories in it are seen from there. Mistakes are a *Problems.
func Parse(name string, data []byte) (*Config, error) {
	c, _, err := parse(name, data)
	return c, err
}

// parse returns the tree as well, for editing.
func parse(name string, data []byte) (*Config, *yaml.Node, error) {
	c, root, problems := parseAll(name, data)
	if len(problems.List) > 0 {
		return nil, nil, problems
	}
	return c, root, nil
}

// parseAll returns what could be understood even where there are problems: with a nil root that is nothing.
func parseAll(name string, data []byte) (*Config, *yaml.Node, *Problems) {
	p := &parser{file: name}
	root := p.tree(data)
	c := &Config{Commit: Commit{Every: DefaultEvery, Bytes: DefaultBytes}}
	if root != nil {
		p.config(root, c)
	}
	p.problems.sort()
	c.place(name)
	return c, root, &p.problems
}

// parser collects problems while it fills in a Config.
type parser struct {
	file     string
	problems Problems
}

// add notes a problem at a place.
func (p *parser) add(line, column int, format string, args ...any) {
	p.problems.List = append(p.problems.List, Problem{p.file, max(1, line), max(1, column), fmt.Sprintf(format, args...)})
}

// at notes a problem at a node.
func (p *parser) at(n *yaml.Node, format string, args ...any) {
	p.add(n.Line, n.Column, format, args...)
}

// tree parses the YAML and returns the top mapping, or nil after noting why there is none.
func (p *parser) tree(data []byte) *yaml.Node {
	if len(data) > maxFile {
		p.add(1, 1, "the file has %d bytes, a configuration has at most %d", len(data), maxFile)
		return nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	err := dec.Decode(&doc)
	if errors.Is(err, io.EOF) {
		p.add(1, 1, "the file is empty: `farshore init` writes one")
		return nil
	}
	if err != nil {
		p.syntax(err)
		return nil
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		p.add(max(more.Line, doc.Line), 1, "the file has more than one YAML document, or goes on behind its end")
		return nil
	}
	if len(doc.Content) != 1 || doc.Content[0].Kind != yaml.MappingNode {
		p.at(&doc, "the file must be a mapping with the keys %s", keyList(p.topFields(&Config{})))
		return nil
	}
	return doc.Content[0]
}

var yamlLine = regexp.MustCompile(`^line (\d+): `)

// syntax notes what the YAML parser says; it leaves the line out when it is the first.
func (p *parser) syntax(err error) {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 1
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		line, _ = strconv.Atoi(m[1])
		text = text[len(m[0]):]
	}
	p.add(line, 1, "this is not YAML: %s", text)
}

// value is how a value of the file is read, and what it looks like to whoever writes one.
type value struct {
	set   func(*yaml.Node)
	shape shape
}

// field is a key that a mapping may have, how its value is read, and what people and their editors are told of it.
type field struct {
	key string
	// required fields are missed when absent.
	required bool
	value
	about
}

// keyList names the keys of fields.
func keyList(fields []field) string { return strings.Join(keys(fields), ", ") }

func keys(fields []field) []string {
	out := make([]string, len(fields))
	for i, f := range fields {
		out[i] = f.key
	}
	return out
}

// mapping walks a mapping whose keys are the fields, each at most once. what names it in messages.
func (p *parser) mapping(n *yaml.Node, what string, fields []field) {
	if !p.is(n, yaml.MappingNode, what, "a mapping with the keys "+keyList(fields)) {
		return
	}
	first := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		j := slices.IndexFunc(fields, func(f field) bool { return f.key == key.Value })
		switch line, again := first[key.Value]; {
		case key.Kind != yaml.ScalarNode || key.Anchor != "" || j < 0:
			p.unknown(key, what, fields)
		case again:
			p.at(key, "%q stands here a second time, the first is in line %d", key.Value, line)
		default:
			first[key.Value] = key.Line
			fields[j].set(value)
		}
	}
	p.missing(n, what, fields, first)
}

// missing notes the required fields that were not there.
func (p *parser) missing(n *yaml.Node, what string, fields []field, found map[string]int) {
	for _, f := range fields {
		if _, ok := found[f.key]; f.required && !ok {
			p.at(n, "%s has no %q", what, f.key)
		}
	}
}

// unknown notes a key that is none of those known, and what is meant by it: the nearest of its mapping, or else one of the sections in it.
func (p *parser) unknown(key *yaml.Node, what string, fields []field) {
	known := keys(fields)
	if near := Nearest(strings.ToLower(key.Value), known); near != "" {
		p.at(key, "%s has no key %q: %q is meant, perhaps", what, key.Value, near)
		return
	}
	if section := sectionOf(strings.ToLower(key.Value), fields); section != "" && key.Kind == yaml.ScalarNode {
		p.at(key, "%s has no key %q: it stands below %q, perhaps", what, key.Value, section)
		return
	}
	p.at(key, "%s has no key %q: it has %s", what, key.Value, strings.Join(known, ", "))
}

// sectionOf is the first of the fields that is a section with the key, "" for none.
func sectionOf(key string, fields []field) string {
	for _, f := range fields {
		if f.shape.kind == kindMapping && slices.Contains(keys(f.shape.fields), key) {
			return f.key
		}
	}
	return ""
}

// is reports whether the node has the kind, and notes what is wanted when not. Anchors, aliases and explicit tags are refused: they make a
// line mean something that stands elsewhere.
func (p *parser) is(n *yaml.Node, kind yaml.Kind, what, want string) bool {
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		p.at(n, "%s: anchors and aliases (& and *) are not allowed here: write the value out, in quotes if it begins so", what)
	case n.Style&yaml.TaggedStyle != 0:
		p.at(n, "%s: tags (!) are not allowed here: write the value in quotes if it begins so", what)
	case n.Kind == kind && n.Tag != "!!null":
		return true
	case n.Kind == yaml.ScalarNode && n.Tag == "!!null":
		p.at(n, "%s has no value: give one, or leave the key out", what)
	default:
		p.at(n, "%s must be %s", what, want)
	}
	return false
}

// section is a mapping with the fields. what names it in messages.
func (p *parser) section(what string, fields []field) value {
	return value{func(n *yaml.Node) { p.mapping(n, what, fields) }, shape{kind: kindMapping, fields: fields}}
}

// text is a value of text that check accepts.
func (p *parser) text(what string, dst *string, check func(string) error) value {
	return value{func(n *yaml.Node) {
		if !p.is(n, yaml.ScalarNode, what, "text") {
			return
		}
		if n.Tag != "!!str" {
			p.at(n, "%s must be text: put %s into quotes", what, n.Value)
			return
		}
		if err := check(n.Value); err != nil {
			p.at(n, "%s: %v", what, err)
			return
		}
		*dst = n.Value
	}, shape{kind: kindText}}
}

// number is a value that parse understands, written as a number or as text with a unit, which looks like the shape.
func number[T any](p *parser, what string, dst *T, parse func(string) (T, error), looks shape) value {
	return value{func(n *yaml.Node) {
		if !p.is(n, yaml.ScalarNode, what, "a number or a text with a unit") {
			return
		}
		v, err := parse(n.Value)
		if err != nil {
			p.at(n, "%s: %v", what, err)
			return
		}
		*dst = v
	}, looks}
}

// list is a sequence of texts that check accepts, each at most once.
func (p *parser) list(what string, dst *[]string, check func(string) error) value {
	return value{func(n *yaml.Node) {
		if !p.is(n, yaml.SequenceNode, what, "a list of texts") {
			return
		}
		for _, item := range n.Content {
			var v string
			before := len(p.problems.List)
			p.text(what, &v, check).set(item)
			switch {
			case len(p.problems.List) > before:
			case slices.Contains(*dst, v):
				p.at(item, "%s: %q stands twice in this list", what, v)
			default:
				*dst = append(*dst, v)
			}
		}
	}, shape{kind: kindList, item: &shape{kind: kindText}}}
}

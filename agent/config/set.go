package config

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// set writes those keys of a source that differ. After each one the text is parsed again, so that places are right for the next; what one key needs beside it may come with the next.
func (f *file) set(old *Source, now Source) error {
	was := *old
	var changed []string
	note := func(key string, differs bool) {
		if differs {
			changed = append(changed, key)
		}
	}
	note("url", was.URL != now.URL)
	note("include", !slices.Equal(was.Include, now.Include))
	note("exclude", !slices.Equal(was.Exclude, now.Exclude))
	note("accept", !slices.Equal(was.Accept, now.Accept))
	note("repositories", !slices.Equal(was.Repositories, now.Repositories))
	note("username", was.Username != now.Username)
	note("password_file", was.PasswordFile != now.PasswordFile)
	note("password", was.Password != now.Password)
	note("schedule", was.Schedule != now.Schedule)
	note("jitter", was.Jitter != now.Jitter)
	note("limits", was.Limits != now.Limits)
	note("tripwire", was.Tripwire != now.Tripwire)
	for _, key := range changed {
		if err := f.setKey(now, key); err != nil {
			return err
		}
		var problems *Problems
		if f.config, f.root, problems = parseAll(f.path, f.text.data); f.root == nil {
			return problems
		}
		if f.config.Source(now.Name) == nil {
			return errByHand
		}
	}
	*f.config.Source(now.Name) = now
	return nil
}

// setKey writes one key of a source: in the place of the old value, or below the url.
func (f *file) setKey(s Source, name string) error {
	_, sources, after := f.list()
	i := slices.IndexFunc(f.config.Sources, func(o Source) bool { return o.Name == s.Name })
	item := sources.Content[i]
	if !block(f.root) || !block(sources) || !block(item) {
		return errByHand
	}
	if i+1 < len(sources.Content) {
		after = f.dash(sources, i+1)
	}
	indent := item.Column - 1
	key, value, next := lookup(item, name)
	if key == nil {
		f.insertBelow(f.lastOf(item, "url", after), strings.Repeat(" ", indent)+renderKey(s, name, indent, nil, nil))
		return nil
	}
	if next == 0 {
		next = after
	}
	last := f.text.lastContent(value.Line, next)
	if emptied(s, name) {
		// Beside the list's dash, the dash goes with it: then the text no longer means what it should, and is refused.
		f.text.splice(f.text.start(key.Line), f.text.start(last+1), "")
		return nil
	}
	f.text.splice(f.text.offset(key), f.text.end(last), renderKey(s, name, indent, key, value))
	return nil
}

// emptied reports whether a key must go, since it has no way to say nothing.
func emptied(s Source, key string) bool {
	switch key {
	case "username", "password_file", "password", "schedule", "jitter":
		return !has(s, key)
	}
	return false
}

// lastOf is the last line of a key's value in a mapping that ends before the line after.
func (f *file) lastOf(m *yaml.Node, name string, after int) int {
	_, value, next := lookup(m, name)
	if next == 0 {
		next = after
	}
	return f.text.lastContent(value.Line, next)
}

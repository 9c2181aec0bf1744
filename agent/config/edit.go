package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"go.yaml.in/yaml/v3"
)

// AddSource appends a source to the file. It fails, and leaves the file as it is, when the name is taken, when the source or the
// file as it stands is not valid (*Problems), or when somebody else changed the file meanwhile.
func AddSource(path string, s Source) error {
	if err := s.Check(); err != nil {
		return err
	}
	s.tidy()
	return edit(path, func(f *file) error {
		if f.config.Source(s.Name) != nil {
			return fmt.Errorf("%s has a source named %q already: choose another name, or change it with `farshore source set`", path, s.Name)
		}
		f.config.Sources = append(f.config.Sources, s)
		return f.add(s)
	})
}

// SetSource lets change alter a copy of the named source, and writes what differs to the file. The name itself can't change: the
// snapshots bear it. It fails as AddSource does, and with change's error as it is.
func SetSource(path, name string, change func(*Source) error) error {
	return edit(path, func(f *file) error {
		old := f.config.Source(name)
		if old == nil {
			return noSource(path, name, f.config)
		}
		now := *old
		now.Include, now.Exclude, now.Accept = slices.Clone(old.Include), slices.Clone(old.Exclude), slices.Clone(old.Accept)
		now.Repositories = slices.Clone(old.Repositories)
		if err := change(&now); err != nil {
			return err
		}
		if now.Name != name {
			return fmt.Errorf("source %s can't be renamed: its snapshots bear the name", name)
		}
		if err := now.Check(); err != nil {
			return err
		}
		now.tidy()
		return f.set(old, now)
	})
}

// RemoveSource removes the named source from the file, with the comment lines directly above it unless they stand directly below "sources:",
// where they may mean all of them. It fails as AddSource does.
func RemoveSource(path, name string) error {
	return edit(path, func(f *file) error {
		i := slices.IndexFunc(f.config.Sources, func(s Source) bool { return s.Name == name })
		if i < 0 {
			return noSource(path, name, f.config)
		}
		f.config.Sources = slices.Delete(f.config.Sources, i, i+1)
		return f.remove(i)
	})
}

// noSource says that a source is not there, and which one may be meant.
func noSource(path, name string, c *Config) error {
	var names []string
	for _, s := range c.Sources {
		names = append(names, s.Name)
	}
	if near := Nearest(name, names); near != "" {
		return fmt.Errorf("%s has no source named %q: %q is meant, perhaps", path, name, near)
	}
	return fmt.Errorf("%s has no source named %q", path, name)
}

// errByHand says that the file is laid out in a way that edit does not understand.
var errByHand = errors.New("the file is laid out in a way that can't be edited without risk to it (braces, brackets or YAML marks around sources): make the change by hand")

// file is a configuration while it is edited: the bytes, and the Config that they shall mean afterwards.
type file struct {
	path   string
	text   text
	root   *yaml.Node
	config *Config
}

// edit runs one change of the file, from reading to replacing it.
func edit(path string, change func(*file) error) error {
	target, err := openTarget(path)
	if err != nil {
		return err
	}
	defer target.close()
	f := &file{path: path}
	if err := f.parse(target.data); err != nil {
		return err
	}
	if err := change(f); err != nil {
		return err
	}
	if err := f.check(); err != nil {
		return err
	}
	return target.replace(f.text.data)
}

// parse reads data as the file's present text.
func (f *file) parse(data []byte) error {
	c, root, err := parse(f.path, data)
	if err != nil {
		return err
	}
	f.config, f.root, f.text = c, root, newText(data)
	return nil
}

// check parses the edited bytes and holds them to what they shall mean.
func (f *file) check() error {
	c, err := Parse(f.path, f.text.data)
	if err != nil || !same(c, f.config) {
		return errByHand
	}
	return nil
}

// same compares two configurations; an absent and an empty list are the same.
func same(a, b *Config) bool {
	return reflect.DeepEqual(normal(a), normal(b))
}

func normal(c *Config) Config {
	out := *c
	out.Sources = nil
	for _, s := range c.Sources {
		s.Include, s.Exclude, s.Accept = orNil(s.Include), orNil(s.Exclude), orNil(s.Accept)
		s.Repositories = orNil(s.Repositories)
		out.Sources = append(out.Sources, s)
	}
	return out
}

func orNil(list []string) []string {
	if len(list) == 0 {
		return nil
	}
	return list
}

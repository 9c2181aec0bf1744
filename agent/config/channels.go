package config

import "slices"

// LoadChannels reads what it takes to tell people something, from a file whose other parts may be wrong: Vault, Keys, State and Notify, as far as they are right. problems, a
// *Problems, says what is wrong with these four, and may be there beside a configuration. That is nil where the file can't be read, or is no YAML.
func LoadChannels(path string) (c *Config, problems error) {
	data, err := readTrusted(path)
	if err != nil {
		return nil, err
	}
	p := &parser{file: path}
	root := p.tree(data)
	if root == nil {
		return nil, &p.problems
	}
	c = new(Config)
	fields := slices.DeleteFunc(p.topFields(c), func(f field) bool { return !slices.Contains([]string{"vault", "keys", "state", "notify"}, f.key) })
	for i := 0; i+1 < len(root.Content); i += 2 {
		if j := slices.IndexFunc(fields, func(f field) bool { return f.key == root.Content[i].Value }); j >= 0 {
			fields[j].set(root.Content[i+1])
		}
	}
	c.place(path)
	if len(p.problems.List) > 0 {
		return c, &p.problems
	}
	return c, nil
}

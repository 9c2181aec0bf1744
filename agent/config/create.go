package config

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"text/template"
	"time"
)

//go:embed new.yaml.tmpl
var newTemplate string

// Create writes a new, commented configuration. A file that exists is left as it is, with an error that errors.Is finds as fs.ErrExist. The
// file appears whole or not at all.
func Create(path string, c *Config) error {
	data := render(c)
	if _, err := Parse(path, data); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	temp, err := writeTemp(path, data, nil)
	if err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	if err := errors.Join(place(temp, path, data), os.Remove(temp)); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	return syncDir(filepath.Dir(path))
}

// place gives the temporary file its name, unless that exists. Where the file system has no hard links, it is written in its place.
func place(temp, path string, data []byte) error {
	err := os.Link(temp, path)
	if !errors.Is(err, syscall.EPERM) && !errors.Is(err, syscall.ENOTSUP) && !errors.Is(err, syscall.ENOSYS) {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

// render writes a configuration from the template.
func render(c *Config) []byte {
	functions := template.FuncMap{
		"scalar": scalar, "size": FormatSize, "limits": limitLines, "duration": formatDuration, "days": FormatDays, "verify": verifyLines, "tripwire": tripwireLines, "channel": channelLines, "web": webLines,
		"source": func(s Source) string { return renderSource(s, 2) },
	}
	var b strings.Builder
	// The template and its data are fixed: it can't fail, and what it wrote is parsed before it is used.
	_ = template.Must(template.New("new").Funcs(functions).Parse(newTemplate)).Execute(&b, c)
	return []byte(b.String())
}

// formatDuration writes 10m for ten minutes, not 10m0s.
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

package config

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"sort"
	"strings"
)

// address says what a URL of a scheme looks like.
type address struct {
	form string
	// query are the parameters that it may have.
	query []string
}

var s3Query = []string{"endpoint", "path_style", "profile", "region"}

// vaults are the schemes of vaults; sources those of sources.
var (
	vaults = map[string]address{
		"file":   {"file:///directory", nil},
		"s3":     {"s3://bucket/prefix?endpoint=&region=&profile=&path_style=", s3Query},
		"gs":     {"gs://bucket/prefix", []string{"endpoint"}},
		"rclone": {"rclone:REMOTE:PATH", nil},
	}
	sources = map[string]address{
		"s3": {"s3://bucket/prefix?endpoint=&region=&profile=&path_style=", s3Query},
	}
)

// checkVault accepts a vault's URL.
func checkVault(s string) error { return checkAddress(s, vaults) }

// checkSource accepts a source's URL.
func checkSource(s string) error { return checkAddress(s, sources) }

// CheckVault reports what is wrong with a vault's URL as far as its text tells. Errors never repeat a secret.
func CheckVault(s string) error { return checkAddress(s, vaults) }

// checkAddress holds a URL to the form of its scheme, and refuses credentials in it. Since the text may hold a secret by
// mistake, no error repeats it.
func checkAddress(s string, known map[string]address) error {
	scheme, rest, ok := strings.Cut(s, ":")
	form, found := known[scheme]
	if !ok || !found {
		return errors.New("it must be one of " + forms(known))
	}
	if err := findSecret(s); err != nil {
		return err
	}
	if scheme == "rclone" {
		return checkRemote(rest, form)
	}
	u, err := url.Parse(s)
	if err != nil {
		return errors.New("it is no URL: write " + form.form)
	}
	return checkURL(u, form)
}

// forms lists what the schemes look like.
func forms(known map[string]address) string {
	var out []string
	for _, a := range known {
		out = append(out, a.form)
	}
	sort.Strings(out)
	return strings.Join(out, ", ")
}

// checkURL checks the parts of a URL.
func checkURL(u *url.URL, form address) error {
	switch {
	case u.User != nil:
		return errors.New("it holds a user name or password: credentials come from the cloud's own profile or environment")
	case u.Scheme == "file" && (u.Host != "" || !strings.HasPrefix(u.Path, "/")):
		return errors.New("the directory must be absolute: write file:///directory")
	case u.Scheme != "file" && (u.Host == "" || u.Opaque != ""):
		return errors.New("the bucket is missing: write " + form.form)
	case u.Fragment != "" || strings.HasSuffix(u.String(), "#"):
		return errors.New("it has a #: write %23 where a # belongs to the name")
	}
	values, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return errors.New("the part behind the ? can't be read: write " + form.form)
	}
	return checkQuery(values, form)
}

// checkQuery accepts the known parameters, each once, and an endpoint without credentials.
func checkQuery(values url.Values, form address) error {
	for _, name := range sorted(values) {
		switch near := Nearest(name, form.query); {
		case slices.Contains(form.query, name):
		case secretName.MatchString(name):
			return fmt.Errorf("its parameter %q looks like a credential: credentials come from the cloud's own profile or environment", name)
		case near != "":
			return fmt.Errorf("it has no parameter %q: %q is meant, perhaps", name, near)
		default:
			return fmt.Errorf("it has no parameter %q: write %s", name, form.form)
		}
		if len(values[name]) > 1 {
			return fmt.Errorf("its parameter %q stands there %d times", name, len(values[name]))
		}
	}
	endpoint := values.Get("endpoint")
	if endpoint == "" {
		return nil
	}
	u, err := url.Parse(endpoint)
	switch {
	case err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "":
		return errors.New("its endpoint must be a URL like https://host:9000")
	case u.User != nil:
		return errors.New("its endpoint holds a user name or password: credentials come from the cloud's own profile or environment")
	}
	return nil
}

// sorted returns the names of the parameters in order, so that messages are the same each time.
func sorted(values url.Values) []string {
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// checkRemote accepts REMOTE:PATH. A remote that rclone makes up from options in the text may be used, as long as they hold no credentials.
func checkRemote(s string, form address) error {
	remote, path, ok := strings.Cut(strings.TrimPrefix(s, ":"), ":")
	if !ok || remote == "" {
		return errors.New("the remote is missing: write " + form.form + ", where REMOTE is a section of rclone.conf")
	}
	if strings.HasPrefix(path, "//") && strings.Contains(path, "@") {
		return errors.New("write " + form.form + ", not a URL: the remote's section of rclone.conf holds the address")
	}
	for option := range strings.SplitSeq(remote, ",") {
		if name, _, ok := strings.Cut(option, "="); ok && secretName.MatchString(name) {
			return fmt.Errorf("its option %q looks like a credential: those belong into rclone.conf", name)
		}
	}
	return nil
}

var (
	// accessKey is an AWS access key's form: a four-letter kind and sixteen of base32.
	accessKey = regexp.MustCompile(`(?:^|[^A-Z0-9])(?:AKIA|ASIA)[A-Z2-7]{16}(?:[^A-Z0-9]|$)`)
	// secretName is what parameters that hold credentials are called.
	secretName = regexp.MustCompile(`(?i)secret|passw|token|credential|access_?key|account_?key|^(?:user|key|pass|sig|sas|auth|x-amz-.*)$|api_?key|sas_url|private`)
)

// findSecret refuses what looks like an access key anywhere in the text.
func findSecret(s string) error {
	if accessKey.MatchString(s) {
		return errors.New("it holds an access key: credentials come from the cloud's own profile or environment; make a new key if others could read this file")
	}
	return nil
}

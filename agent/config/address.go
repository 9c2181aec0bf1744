package config

import (
	"errors"
	"fmt"
	"net/url"
	"path"
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
	// user says that a user's name may stand before the host: it is no secret there, and part of the address.
	user bool
}

var s3Query = []string{"endpoint", "path_style", "profile", "region"}

// vaults are the schemes of vaults; sources those of sources.
var (
	vaults = map[string]address{
		"file":   {form: "file:///directory"},
		"s3":     {form: "s3://bucket/prefix?endpoint=&region=&profile=&path_style=", query: s3Query},
		"gs":     {form: "gs://bucket/prefix", query: []string{"endpoint"}},
		"rclone": {form: "rclone:REMOTE:PATH"},
	}
	sources = map[string]address{
		"s3":        {form: "s3://bucket/prefix?endpoint=&region=&profile=&path_style=", query: s3Query},
		"git+file":  {form: "git+file:///directory?match=*.git&reflogs=&lfs=", query: []string{"match", "reflogs", "lfs"}},
		"git+https": {form: "git+https://host/path?forge=&api=&lfs=", query: httpQuery},
		"git+http":  {form: "git+http://host/path?forge=&api=&lfs=", query: httpQuery},
		"git+ssh":   {form: "git+ssh://user@host/path", user: true},
		"git":       {form: "git://host/path"},
		"svn+file":  {form: "svn+file:///directory?match=*", query: []string{"match"}},
		"svn":       {form: "svn://host/path"},
		"svn+https": {form: "svn+https://host/path"},
		"svn+http":  {form: "svn+http://host/path"},
		"svn+ssh":   {form: "svn+ssh://user@host/path", user: true},
	}
)

// httpQuery are the parameters of a git server's address. With forge the path is an owner's, and all its repositories are meant.
var httpQuery = []string{"forge", "api", "lfs"}

// forges are the values of the parameter forge.
var forges = []string{"github", "gitlab", "gitea", "forgejo"}

// RepositoryKind is the kind of repositories that the source's address names: "git", "svn", or "" where it names something else.
func (s *Source) RepositoryKind() string {
	scheme, _, _ := strings.Cut(s.URL, ":")
	kind, _, _ := strings.Cut(scheme, "+")
	if _, known := sources[scheme]; known && (kind == "git" || kind == "svn") {
		return kind
	}
	return ""
}

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
	local := u.Scheme == "file" || strings.HasSuffix(u.Scheme, "+file")
	_, password := u.User.Password()
	switch {
	case u.User != nil && (!form.user || password):
		return errors.New("it holds a user name or password: " + whereSecrets(u.Scheme))
	case local && (u.Host != "" || !strings.HasPrefix(u.Path, "/")):
		return errors.New("the directory must be absolute: write " + form.form)
	case !local && (u.Host == "" || u.Opaque != ""):
		return errors.New("the " + firstWord(u.Scheme) + " is missing: write " + form.form)
	case u.Fragment != "" || strings.HasSuffix(u.String(), "#"):
		return errors.New("it has a #: write %23 where a # belongs to the name")
	}
	values, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return errors.New("the part behind the ? can't be read: write " + form.form)
	}
	return checkQuery(values, form)
}

// whereSecrets says where a store's or server's credentials come from.
func whereSecrets(scheme string) string {
	if strings.HasSuffix(scheme, "+ssh") {
		return "ssh has its own keys and configuration"
	}
	if firstWord(scheme) == "host" {
		return "write username and password_file (or password) beside the url"
	}
	return "credentials come from the cloud's own profile or environment"
}

// firstWord is what stands first behind the slashes of an address.
func firstWord(scheme string) string {
	if _, known := sources[scheme]; known && scheme != "s3" {
		return "host"
	}
	return "bucket"
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
	if err := checkChoices(values); err != nil {
		return err
	}
	for _, name := range []string{"endpoint", "api"} {
		if err := checkEndpoint(name, values.Get(name)); err != nil {
			return err
		}
	}
	return nil
}

// checkEndpoint accepts a URL without credentials.
func checkEndpoint(name, text string) error {
	if text == "" {
		return nil
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "":
		return fmt.Errorf("its %s must be a URL like https://host:9000", name)
	case u.User != nil:
		return fmt.Errorf("its %s holds a user name or password: credentials have no place there", name)
	}
	return nil
}

// checkChoices accepts the values of parameters that have few.
func checkChoices(values url.Values) error {
	for _, choice := range []struct {
		name string
		of   []string
	}{{"forge", forges}, {"lfs", []string{"auto", "off"}}, {"reflogs", []string{"true", "false"}}} {
		if v := values.Get(choice.name); v != "" && !slices.Contains(choice.of, v) {
			return fmt.Errorf("its parameter %s is %q: it must be one of %s", choice.name, v, strings.Join(choice.of, ", "))
		}
	}
	if values.Get("api") != "" && values.Get("forge") == "" {
		return errors.New("its parameter api needs forge beside it: " + strings.Join(forges, ", "))
	}
	if _, err := path.Match(values.Get("match"), ""); err != nil {
		return errors.New("its parameter match is no pattern: write * for any name, as in *.git")
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

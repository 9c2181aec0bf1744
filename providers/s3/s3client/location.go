// Package s3client turns the URL of an S3 bucket into a configured client of the AWS SDK. Both sides of farshore need that, the S3 source
// and the S3 vault, and a second copy would drift. It sends no request but what finding credentials takes, retries nothing, and
// never puts a secret into an error or a string.
package s3client

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Location is an S3 bucket's address, without credentials.
type Location struct {
	// Bucket is the bucket's name.
	Bucket string
	// Prefix is what stands behind the first slash after the bucket, decoded and otherwise as given: "a", "a/" and "a//b" are
	// different prefixes.
	Prefix string
	// Endpoint is the service's http or https URL; empty for AWS itself.
	Endpoint string
	// Region is the region to sign for; empty to take it from the environment or the profile.
	Region string
	// Profile is the profile of the AWS configuration files that holds the credentials; empty for the default chain.
	Profile string
	// PathStyle is true when the bucket is part of the request's path and not of its host name.
	PathStyle bool
}

// form is what every error of Parse ends with, so that the reader needs no manual.
const form = "write s3://bucket/prefix?endpoint=https://host&region=name&profile=name&path_style=true"

// parameters are the query parameters that Parse knows.
var parameters = []string{"endpoint", "path_style", "profile", "region"}

// bucketName admits what AWS and the compatible stores admit: AWS itself is stricter (3 to 63, lower case), and says so when asked.
var bucketName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{1,254}$`)

// Parse reads s3://bucket/prefix?endpoint=&region=&profile=&path_style=. Every parameter may be absent or empty. Path style is the default
// where an endpoint is given, since few stores of one's own have a host name for each bucket. Errors never repeat the URL, which may
// hold a secret by mistake.
func Parse(raw string) (Location, error) {
	if strings.Contains(raw, "#") {
		return Location{}, errors.New("s3 address: a # in a prefix is written %23: " + form)
	}
	u, err := url.Parse(raw)
	if err != nil {
		return Location{}, errors.New("s3 address: not a URL: " + form)
	}
	if err := checkShape(u); err != nil {
		return Location{}, err
	}
	l := Location{Bucket: u.Host, Prefix: strings.TrimPrefix(u.Path, "/")}
	query, err := parseQuery(u.RawQuery)
	if err != nil {
		return Location{}, err
	}
	l.Region, l.Profile = query["region"], query["profile"]
	if l.Endpoint, err = parseEndpoint(query["endpoint"]); err != nil {
		return Location{}, err
	}
	l.PathStyle = l.Endpoint != ""
	if v := query["path_style"]; v != "" {
		if l.PathStyle, err = strconv.ParseBool(v); err != nil {
			return Location{}, fmt.Errorf("s3 address: path_style is %q, not true or false: %s", v, form)
		}
	}
	return l, nil
}

// checkShape refuses everything but scheme, bucket, path and query.
func checkShape(u *url.URL) error {
	switch {
	case u.Scheme != "s3":
		return errors.New("s3 address: the scheme is not s3: " + form)
	case u.User != nil:
		return errors.New("s3 address: credentials do not belong in the address, they come from the AWS profile or environment: " + form)
	case u.Opaque != "" || u.Host == "":
		return errors.New("s3 address: the bucket is missing: " + form)
	case !bucketName.MatchString(u.Host):
		return errors.New("s3 address: the bucket's name may hold only letters, digits, dots, hyphens and underscores: " + form)
	}
	return nil
}

// parseQuery returns the known parameters, each at most once.
func parseQuery(raw string) (map[string]string, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, errors.New("s3 address: the part behind the ? can't be read: " + form)
	}
	out := make(map[string]string, len(values))
	for name, all := range values {
		if !slices.Contains(parameters, name) {
			return nil, fmt.Errorf("s3 address: unknown parameter %q, known are %s: %s", name, strings.Join(parameters, ", "), form)
		}
		if len(all) > 1 {
			return nil, fmt.Errorf("s3 address: parameter %s is given %d times: %s", name, len(all), form)
		}
		if strings.ContainsFunc(all[0], func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return nil, fmt.Errorf("s3 address: parameter %s has a control character: %s", name, form)
		}
		out[name] = all[0]
	}
	return out, nil
}

// parseEndpoint checks the service's URL and returns it without a final slash.
func parseEndpoint(raw string) (string, error) {
	if raw == "" {
		return "", nil
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "":
		return "", errors.New("s3 address: the endpoint is not a URL like https://host:9000: " + form)
	case u.User != nil:
		return "", errors.New("s3 address: credentials do not belong in the endpoint, they come from the AWS profile or environment: " + form)
	case u.RawQuery != "" || u.ForceQuery || strings.Contains(raw, "#"):
		return "", errors.New("s3 address: the endpoint has a query or a fragment: " + form)
	}
	return strings.TrimRight(u.String(), "/"), nil
}

// String returns the address that Parse reads back as the same Location. It holds no secret.
func (l Location) String() string {
	u := url.URL{Scheme: "s3", Host: l.Bucket}
	if l.Prefix != "" {
		u.Path = "/" + l.Prefix
	}
	q := url.Values{}
	for name, v := range map[string]string{"endpoint": l.Endpoint, "region": l.Region, "profile": l.Profile} {
		if v != "" {
			q.Set(name, v)
		}
	}
	if l.PathStyle != (l.Endpoint != "") {
		q.Set("path_style", strconv.FormatBool(l.PathStyle))
	}
	u.RawQuery = q.Encode()
	return u.String()
}

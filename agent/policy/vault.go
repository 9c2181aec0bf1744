package policy

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Vault is where a vault lies, as far as a policy must name it.
type Vault struct {
	// Bucket is the bucket or container; "" for a directory.
	Bucket string
	// Prefix is what stands before the rooms, without slashes at its ends: "" where the vault has the bucket to itself. For a directory it is the path.
	Prefix string
	// Endpoint is the service's URL, Region its region; both may be empty.
	Endpoint, Region string
	// Host is the server of a directory that is reached over SFTP, where the address names it.
	Host string
	// scheme is "s3", "gs", "file" or "rclone"; backend is the type of a remote that the address itself describes.
	scheme, backend string
}

// ParseVault reads a vault's URL. Errors never repeat it: it may hold a secret by mistake.
func ParseVault(raw string) (Vault, error) {
	scheme, rest, _ := strings.Cut(raw, ":")
	var v Vault
	var err error
	switch scheme {
	case "s3", "gs", "file":
		v, err = parseURL(raw)
	case "rclone":
		v, err = parseRemote(rest)
	default:
		err = errors.New("the vault's address must begin with s3://, gs://, rclone: or file:///")
	}
	if err != nil {
		return Vault{}, err
	}
	v.scheme = scheme
	return v, v.check()
}

func parseURL(raw string) (Vault, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Opaque != "" || u.User != nil || u.Fragment != "" {
		return Vault{}, errors.New("the vault's address can't be read: write s3://bucket/prefix?endpoint=https://host, gs://bucket/prefix or file:///directory")
	}
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return Vault{}, errors.New("the vault's address: the part behind the ? can't be read")
	}
	if u.Scheme == "file" {
		return Vault{Prefix: "/" + strings.Trim(u.Path, "/"), backend: "local"}, nil
	}
	return Vault{Bucket: u.Host, Prefix: strings.Trim(u.Path, "/"), Endpoint: strings.TrimRight(q.Get("endpoint"), "/"), Region: q.Get("region")}, nil
}

// parseRemote reads REMOTE:PATH, or :TYPE,setting=value:PATH.
func parseRemote(s string) (Vault, error) {
	var v Vault
	inline := strings.HasPrefix(s, ":")
	remote, path, ok := strings.Cut(strings.TrimPrefix(s, ":"), ":")
	if !ok || remote == "" || strings.ContainsAny(remote, `"'`) {
		return v, errors.New("the vault's address can't be read: write rclone:REMOTE:PATH")
	}
	if inline {
		settings := strings.Split(remote, ",")
		v.backend = settings[0]
		for _, s := range settings[1:] {
			if host, ok := strings.CutPrefix(s, "host="); ok {
				v.Host = host
			}
		}
	}
	v.Prefix = path
	return v, nil
}

// inBucket splits the path of a remote that is made of buckets.
func (v Vault) inBucket() Vault {
	if v.scheme == "rclone" {
		v.Bucket, v.Prefix, _ = strings.Cut(strings.Trim(v.Prefix, "/"), "/")
	}
	return v
}

// directory is the path of a vault that lies in a directory.
func (v Vault) directory() string {
	if v.Prefix == "" {
		return "."
	}
	return v.Prefix
}

// under returns the prefix of names below the vault that begin with rest.
func (v Vault) under(rest string) string {
	if v.Prefix == "" {
		return rest
	}
	return v.Prefix + "/" + rest
}

// maxPrefix keeps every document within what providers take: 6,144 characters for a policy of IAM, which names up to 20 resources.
const maxPrefix = 200

// check refuses what some document, script or reader would take for something else than a name. What is only awkward (blanks, quotes) is
// allowed and quoted where it is written.
func (v Vault) check() error {
	switch {
	case len(v.Prefix) > maxPrefix:
		return fmt.Errorf("the vault's prefix has %d bytes, and policies take at most %d: choose a shorter one", len(v.Prefix), maxPrefix)
	case !utf8.ValidString(v.Prefix):
		return errors.New("the vault's prefix is not UTF-8")
	case strings.ContainsFunc(v.Prefix, func(r rune) bool { return !unicode.IsPrint(r) }):
		return errors.New("the vault's prefix has a character that can't be printed")
	case strings.ContainsAny(v.Prefix, "*?"):
		return errors.New("the vault's prefix has a * or ?, which policies take for any text, so that they would cover other names too: choose another prefix")
	case strings.Contains(v.Prefix, "${"):
		return errors.New("the vault's prefix has ${, which policies take for a variable: choose another prefix")
	}
	for segment := range strings.SplitSeq(strings.Trim(v.Prefix, "/"), "/") {
		if v.Prefix != "" && v.Prefix != "/" && (segment == "" || segment == "." || segment == "..") {
			return fmt.Errorf("the vault's prefix has the segment %q: choose another prefix", segment)
		}
	}
	return errors.Join(checkHost("endpoint", v.Endpoint), checkWord("region", v.Region), checkWord("host", v.Host))
}

var (
	endpointURL = regexp.MustCompile(`^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?$|^https?://\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?$`)
	word        = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,252}$`)
)

func checkHost(what, s string) error {
	if s != "" && !endpointURL.MatchString(s) {
		return fmt.Errorf("the vault's %s is no URL like https://host:9000", what)
	}
	return nil
}

func checkWord(what, s string) error {
	if s != "" && !word.MatchString(s) {
		return fmt.Errorf("the vault's %s may have only letters, digits, dots, hyphens and underscores", what)
	}
	return nil
}

// bucketName admits what AWS, GCS and Azure admit; loose admits what some compatible stores admit besides.
var (
	bucketName  = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	looseBucket = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{1,99}$`)
)

// checkBucket accepts a vault in a bucket whose name fits the form.
func checkBucket(form *regexp.Regexp) func(Vault) error {
	return func(v Vault) error {
		switch {
		case v.backend == "local" || v.scheme == "file":
			return errors.New("the vault's address is a directory, and this provider has buckets: write s3://bucket/prefix?endpoint=…, or name another provider")
		case v.Bucket == "":
			return errors.New("the vault's address names no bucket")
		case !form.MatchString(v.Bucket):
			return fmt.Errorf("%q can't be a bucket's name at this provider", v.Bucket)
		}
		return nil
	}
}

// hosts tell a provider by the end of its endpoint's host.
var hosts = []struct {
	suffix   string
	provider Provider
}{
	{".amazonaws.com", AWS},
	{".amazonaws.com.cn", AWS},
	{".r2.cloudflarestorage.com", R2},
	{".backblazeb2.com", B2},
	{".wasabisys.com", Wasabi},
	{".scw.cloud", Scaleway},
	{".cloud.ovh.net", OVH},
	{".cloud.ovh.us", OVH},
	{".your-objectstorage.com", Hetzner},
	{".idrivee2.com", IDrive},
	{".digitaloceanspaces.com", DigitalOcean},
	{".storjshare.io", Storj},
}

// backends tell a provider by the type of rclone's remote, where that is sure.
var backends = map[string]Provider{"azureblob": Azure, "b2": B2, "sftp": SFTP, "local": File}

// Guess tells the provider of a vault, and false where its address does not say for sure: a server of one's own, or a remote by its name.
func (v Vault) Guess() (Provider, bool) {
	if v.scheme == "gs" {
		return GCS, v.Endpoint == ""
	}
	if v.backend != "" {
		p, ok := backends[v.backend]
		return p, ok
	}
	if v.scheme != "s3" {
		return "", false
	}
	if v.Endpoint == "" {
		return AWS, true
	}
	u, err := url.Parse(v.Endpoint)
	if err != nil {
		return "", false
	}
	for _, h := range hosts {
		if strings.HasSuffix("."+strings.ToLower(u.Hostname()), h.suffix) {
			return h.provider, true
		}
	}
	return "", false
}

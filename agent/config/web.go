package config

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"

	"go.yaml.in/yaml/v3"
	"golang.org/x/sys/unix"

	"farshore/crypto/keyring"
)

// Web says where a daemon's page is, and who may see it.
type Web struct {
	// Listen is host and port, or Off.
	Listen string
	// Token is what who asks must have, "" for nobody asks: then Listen is an address of this machine alone.
	Token Secret
	// TLSCert is the path of a certificate with its chain (PEM), as the file has it, and TLSKey where its key is: both, or neither.
	TLSCert string
	TLSKey  Secret
	// Hosts are the names beside those of Listen and of this machine by which the page may be asked for.
	Hosts []string
}

// DefaultListen is where the page is where the file says nothing: no other machine reaches it.
const DefaultListen = "127.0.0.1:9277"

const (
	// maxHosts bounds the names of a page.
	maxHosts = 100
	// minToken is the least length of a token, in bytes: with 16 of base64 it has 96 bits.
	minToken = 16
)

// Off reports whether there is no page.
func (w *Web) Off() bool { return w.Listen == Off }

// Loopback reports whether only this machine can reach the page.
func (w *Web) Loopback() bool {
	host, _, err := net.SplitHostPort(w.Listen)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// WebToken reads the page's token anew, "" for none.
func (c *Config) WebToken(getenv func(string) string) (string, error) {
	if c.Web.Token == "" {
		return "", nil
	}
	token, err := c.Reveal(c.Web.Token, getenv)
	if err != nil {
		return "", fmt.Errorf("web.token: %w", err)
	}
	if len(token) < minToken {
		return "", fmt.Errorf("web.token: it has %d characters, and fewer than %d can be guessed: make one with `openssl rand -base64 24`", len(token), minToken)
	}
	return token, nil
}

// WebCertificate reads the page's certificate and key anew; nil for none. The key's file must be for its owner alone.
func (c *Config) WebCertificate(getenv func(string) string) (*tls.Certificate, error) {
	if c.Web.TLSCert == "" || c.Web.TLSKey == "" {
		return nil, nil
	}
	cert, err := readCertificate(c.CertPath())
	if err != nil {
		return nil, fmt.Errorf("web.tls_cert: %w", err)
	}
	path, err := c.secretPath(c.Web.TLSKey, getenv)
	if err != nil {
		return nil, fmt.Errorf("web.tls_key: %w", err)
	}
	key, err := keyring.ReadSecret(path)
	if err != nil {
		return nil, fmt.Errorf("web.tls_key: %w", err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("web.tls_cert and web.tls_key: %w", err)
	}
	return &pair, nil
}

// CertPath is the path of the page's certificate, "" for none.
func (c *Config) CertPath() string {
	if c.Web.TLSCert == "" {
		return ""
	}
	return below(filepath.Dir(c.Path), c.Web.TLSCert, "")
}

// web is the section, whose keys are held to each other.
func (p *parser) web(w *Web) value {
	section := p.section("web", p.webFields(w))
	return value{func(n *yaml.Node) {
		before := len(p.problems.List)
		section.set(n)
		if len(p.problems.List) > before {
			return
		}
		if err := w.check(); err != nil {
			p.at(n, "web: %v", err)
		}
	}, section.shape}
}

func (p *parser) webFields(w *Web) []field {
	return []field{
		{"listen", false, p.text("web.listen", &w.Listen, checkListen).like(listenPattern), about{
			text: "Where the page, /metrics, /healthz and /readyz are: an address of this machine with its port, or off. Anything but a loopback address needs token, tls_cert and tls_key.", fallback: DefaultListen, examples: examples("127.0.0.1:9277", "[::]:9277", Off)}},
		{"token", false, p.secret("web.token", &w.Token), about{text: "Where the token is that who asks for the page must have, 16 characters or more.", examples: examples("credential:web-token", "file:web.token")}},
		{"tls_cert", false, p.text("web.tls_cert", &w.TLSCert, checkFile), about{text: "A file with the certificate and its chain (PEM). It is read anew when it changes.", examples: examples("web.pem")}},
		{"tls_key", false, p.secretIn("web.tls_key", &w.TLSKey, checkKeySecret).like(keyPattern), about{text: "Where the certificate's key is (PEM).", examples: examples("credential:web-key", "file:keys/web.key")}},
		{"hosts", false, p.list("web.hosts", &w.Hosts, checkHost), about{
			text: "Further host names by which the page may be asked for, as by a reverse proxy. Others than these, the address of listen and the names of this machine are refused.", examples: []any{[]string{"farshore.example.net"}}}},
	}
}

// check reports what an address needs beside it.
func (w *Web) check() error {
	listen := Web{Listen: orText(w.Listen, DefaultListen)}
	switch {
	case (w.TLSCert == "") != (w.TLSKey == ""):
		return errors.New("tls_cert and tls_key are given together, or neither")
	case len(w.Hosts) > maxHosts:
		return fmt.Errorf("hosts: more than %d names", maxHosts)
	case listen.Off() || listen.Loopback() || w.Token != "" && w.TLSCert != "":
		return nil
	}
	return fmt.Errorf("other machines reach %s: that needs token, so that not everybody sees it, and tls_cert and tls_key, so that nobody reads the token on its way. "+
		"Listen on %s where a reverse proxy on this machine does that", w.Listen, DefaultListen)
}

// Patterns of addresses, for editors.
const listenPattern = `^(off|(localhost|\[[0-9A-Fa-f:.%a-z]+\]|[0-9.]+):[0-9]{1,5})$`

// checkListen accepts an address of this machine with a port. A name of a host is refused: what it means changes elsewhere.
func checkListen(s string) error {
	if s == Off {
		return nil
	}
	host, port, err := net.SplitHostPort(s)
	_, perr := strconv.ParseUint(port, 10, 16)
	if _, ierr := netip.ParseAddr(host); err != nil || perr != nil || ierr != nil && host != "localhost" {
		return fmt.Errorf("%q is no address with a port: write %s, [::1]:9277, 0.0.0.0:9277 for all of this machine's addresses, or off", s, DefaultListen)
	}
	return nil
}

var hostName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,62})(\.[A-Za-z0-9]([A-Za-z0-9-]{0,62}))*$`)

// checkHost accepts the name or address of a host, without a port.
func checkHost(s string) error {
	if _, err := netip.ParseAddr(s); err == nil || len(s) <= 253 && hostName.MatchString(s) {
		return nil
	}
	return fmt.Errorf("%q is no host's name: write it without scheme and port, such as farshore.example.net", s)
}

// webLines are the keys of the section that say anything, and their values as text.
func webLines(w Web) [][2]string {
	var out [][2]string
	for _, one := range [][2]string{{"listen", w.Listen}, {"token", w.Token.shown()}, {"tls_cert", w.TLSCert}, {"tls_key", w.TLSKey.shown()}} {
		if one[1] != "" {
			out = append(out, [2]string{one[0], scalar(one[1])})
		}
	}
	if len(w.Hosts) > 0 {
		out = append(out, [2]string{"hosts", flow(w.Hosts)})
	}
	return out
}

// maxCertificate bounds a certificate's file in bytes: a chain has some thousands.
const maxCertificate = 1 << 20

// readCertificate reads a regular file.
func readCertificate(path string) ([]byte, error) {
	// O_NONBLOCK keeps the opening of a named pipe from waiting for a writer.
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", path)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxCertificate+1))
	if err == nil && len(data) > maxCertificate {
		err = fmt.Errorf("%s has more than %d bytes: this is no certificate", path, maxCertificate)
	}
	return data, err
}

package web

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
)

// policy is what a browser may do with the pages: their own style sheet, script and sign, their own numbers, and nothing else.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"

// headers are on every answer.
func headers(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Embedder-Policy", "require-corp")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "accelerometer=(), camera=(), display-capture=(), fullscreen=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), midi=(), payment=(), publickey-credentials-get=(), screen-wake-lock=(), serial=(), usb=(), xr-spatial-tracking=()")
	h.Set("X-Robots-Tag", "noindex, nofollow")
	h.Set("Cache-Control", "no-store")
}

// sandbox is the policy of a report's page: no script, no form, no frame, no origin; of the styles the one that is in it.
func sandbox(page []byte) string {
	style := "'none'"
	if css, ok := styleOf(page); ok {
		digest := sha256.Sum256(css)
		style = "'sha256-" + base64.StdEncoding.EncodeToString(digest[:]) + "'"
	}
	return "default-src 'none'; style-src " + style + "; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; sandbox"
}

// styleOf is what the first style element of a page has in it, which lies in its head, before anything that a stranger wrote in the body.
func styleOf(page []byte) ([]byte, bool) {
	text := string(page)
	head, _, ok := strings.Cut(text, "</head>")
	if !ok {
		return nil, false
	}
	_, rest, ok := strings.Cut(head, "<style>")
	if !ok {
		return nil, false
	}
	css, _, ok := strings.Cut(rest, "</style>")
	return []byte(css), ok
}

// hosts are the names by which the pages may be asked for. A page of a stranger whose name he lets lead here (DNS rebinding) asks for his name, and gets nothing.
type hosts map[string]bool

// allowed reports whether the Host of a request is a loopback name or address, the address that the connection came in at, or one of the names.
func (h hosts) allowed(r *http.Request) bool {
	host, ok := hostOf(r.Host)
	if !ok {
		return false
	}
	if host == "localhost" || h[host] {
		return true
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	return addr.Unmap().IsLoopback() || addr.WithZone("").Unmap() == localAddr(r)
}

// localAddr is the address of this machine that the request came in at; the zero one where that is not known.
func localAddr(r *http.Request) netip.Addr {
	if a, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr); ok {
		return a.AddrPort().Addr().WithZone("").Unmap()
	}
	return netip.Addr{}
}

// hostOf takes the port and brackets from a Host header, and writes a name in small letters without the point at its end.
func hostOf(s string) (string, bool) {
	host := s
	if h, port, err := net.SplitHostPort(s); err == nil {
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return "", false
		}
		host = h
	} else if bare, ok := strings.CutPrefix(s, "["); ok {
		if host, ok = strings.CutSuffix(bare, "]"); !ok {
			return "", false
		}
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host, host != "" && len(host) <= 253
}

// shown is the token that a request shows, and whether it shows one.
func shown(r *http.Request) (string, bool) {
	header := r.Header.Get("Authorization")
	if kind, token, ok := strings.Cut(header, " "); ok && strings.EqualFold(kind, "Bearer") {
		return strings.TrimSpace(token), true
	}
	if _, password, ok := r.BasicAuth(); ok {
		return password, true
	}
	return "", header != ""
}

// same compares tokens in a time that says nothing of either.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

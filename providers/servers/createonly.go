package servers

import (
	"encoding/xml"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// CreateOnly puts a proxy before the server that enforces for one account what a policy with the condition s3:if-none-match does on AWS, and no server here: a
// request that makes an object (PutObject, CopyObject, CompleteMultipartUpload) is denied unless it carries If-None-Match, signed. As there, the header with
// another value than * is answered 501, and the requests that begin an upload and send its parts need no header. It returns the account of s at the proxy.
func CreateOnly(tb testing.TB, s S3, accessKey string) S3 {
	tb.Helper()
	target, err := url.Parse(s.Endpoint)
	if err != nil {
		tb.Fatal(err)
	}
	// The Host header goes through as it came, since it is signed.
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host = target.Scheme, target.Host
		r.Out.Host = r.In.Host
	}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key, signed := signatureOf(r)
		switch {
		case key != accessKey || !makesObject(r):
		case r.Header.Get("If-None-Match") == "" || !slices.Contains(signed, "if-none-match"):
			refuse(w, http.StatusForbidden, "AccessDenied")
			return
		case r.Header.Get("If-None-Match") != "*":
			refuse(w, http.StatusNotImplemented, "NotImplemented")
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	tb.Cleanup(server.Close)
	s.Endpoint = server.URL
	return s
}

// makesObject reports whether the request, if granted, makes an object or another version of one.
func makesObject(r *http.Request) bool {
	_, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	q := r.URL.Query()
	switch {
	case key == "":
		return false
	case r.Method == http.MethodPost:
		return q.Has("uploadId")
	case r.Method != http.MethodPut:
		return false
	}
	for _, other := range []string{"uploadId", "tagging", "acl", "retention", "legal-hold"} {
		if q.Has(other) {
			return false
		}
	}
	return true
}

// signatureOf returns the access key that signed the request, and the names of the headers that it signed, in lower case.
func signatureOf(r *http.Request) (key string, headers []string) {
	for _, field := range strings.FieldsFunc(r.Header.Get("Authorization"), func(c rune) bool { return c == ' ' || c == ',' }) {
		name, value, _ := strings.Cut(field, "=")
		switch name {
		case "Credential":
			key, _, _ = strings.Cut(value, "/")
		case "SignedHeaders":
			headers = strings.Split(value, ";")
		}
	}
	return key, headers
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	// A connection that broke shows at the client.
	_ = xml.NewEncoder(w).Encode(struct {
		XMLName xml.Name `xml:"Error"`
		Code    string
		Message string
	}{Code: code, Message: "refused by the proxy of the test"})
}

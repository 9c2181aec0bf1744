package bucket_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"farshore/agent/source"
	"farshore/agent/source/bucket"
	"farshore/providers/servers"
)

// scripted answers each listing request with the next page; the last page again and again.
func scripted(t *testing.T, pages ...string) *bucket.Source {
	t.Helper()
	n := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `<?xml version="1.0"?><ListBucketResult>%s</ListBucketResult>`, pages[min(n, len(pages)-1)])
		n++
	}))
	t.Cleanup(server.Close)
	p := place{S3: servers.S3{Endpoint: server.URL, Region: "us-east-1", AccessKey: "a", SecretKey: "b"}, bucket: "bucket"}
	p.client = p.Client(t)
	return p.source(t, prefix("p/"))
}

func keys(encoded bool, names ...string) string {
	var b strings.Builder
	if encoded {
		b.WriteString("<EncodingType>url</EncodingType>")
	}
	for _, name := range names {
		fmt.Fprintf(&b, "<Contents><Key>%s</Key><Size>1</Size><ETag>e</ETag></Contents>", name)
	}
	return b.String()
}

func more(token string) string {
	return "<IsTruncated>true</IsTruncated><NextContinuationToken>" + token + "</NextContinuationToken>"
}

func TestListingsOfOddStores(t *testing.T) {
	for name, c := range map[string]struct {
		pages []string
		want  []string
		err   string
	}{
		"bytes":                 {[]string{keys(true, "p/%01", "p/+%2B", "p/%EF%BF%BE", "p/%FF")}, []string{"\x01", " +", "\ufffe", "\xff"}, ""},
		"not encoded":           {[]string{keys(false, "p/a%20+b")}, []string{"a%20+b"}, ""},
		"marker repeated":       {[]string{keys(true, "p/a", "p/b") + more("1"), keys(true, "p/b", "p/c")}, []string{"a", "b", "c"}, ""},
		"empty page":            {[]string{keys(true, "p/a") + more("1"), more("2"), keys(true, "p/b")}, []string{"a", "b"}, ""},
		"key is the prefix":     {[]string{keys(true, "p/", "p/a")}, []string{"", "a"}, ""},
		"out of order":          {[]string{keys(true, "p/b", "p/a")}, nil, "out of order"},
		"page out of order":     {[]string{keys(true, "p/b", "p/c") + more("1"), keys(true, "p/b", "p/d")}, nil, "out of order"},
		"page repeated":         {[]string{keys(true, "p/b", "p/c") + more("1"), keys(true, "p/b", "p/c") + more("2")}, nil, "out of order"},
		"outside of the prefix": {[]string{keys(true, "q/a")}, nil, "does not begin"},
		"no token":              {[]string{keys(true, "p/a") + "<IsTruncated>true</IsTruncated>"}, nil, "does not say where"},
		"same token for ever":   {[]string{more("1")}, nil, "does not say where"},
		"badly encoded":         {[]string{keys(true, "p/%zz")}, nil, "not url-encoded"},
	} {
		t.Run(name, func(t *testing.T) {
			s := scripted(t, c.pages...)
			var got []string
			err := s.List(t.Context(), source.Range{}, func(e source.Entry) error {
				got = append(got, e.Path)
				return nil
			})
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("%v, want %q", err, c.err)
				}
				return
			}
			if err != nil || strings.Join(got, "|") != strings.Join(c.want, "|") {
				t.Errorf("got %q, %v; want %q", got, err, c.want)
			}
		})
	}
}

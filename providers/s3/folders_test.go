package s3_test

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"farshore/providers"
)

// folders is a service in which a stranger stored n folders' keys, commits/!…/, before the one object that is a vault's. It counts what it is asked.
type folders struct {
	n     int
	asked int
}

func (f *folders) key(i int) string {
	if i == f.n {
		return "commits/a/1"
	}
	return fmt.Sprintf("commits/!%09d/", i)
}

// behind is the first key after one.
func (f *folders) behind(key string) int {
	if key < f.key(0) {
		return 0
	}
	if key >= f.key(f.n) {
		return f.n + 1
	}
	i, err := strconv.Atoi(strings.Trim(strings.TrimPrefix(key, "commits/!"), "/"))
	if err != nil {
		return f.n
	}
	return i + 1
}

func (f *folders) answer(w http.ResponseWriter, r *http.Request) {
	f.asked++
	q := r.URL.Query()
	most, _ := strconv.Atoi(q.Get("max-keys")) // 0 lists nothing, which shows
	var b strings.Builder
	if q.Has("versions") {
		at := f.behind(q.Get("key-marker"))
		end := min(at+most, f.n+1)
		b.WriteString("<ListVersionsResult>")
		for i := at; i < end; i++ {
			fmt.Fprintf(&b, "<Version><Key>%s</Key><VersionId>v</VersionId><IsLatest>true</IsLatest><Size>1</Size></Version>", f.key(i))
		}
		if end > at {
			fmt.Fprintf(&b, "<NextKeyMarker>%s</NextKeyMarker><NextVersionIdMarker>v</NextVersionIdMarker>", f.key(end-1))
		}
		fmt.Fprintf(&b, "<IsTruncated>%v</IsTruncated></ListVersionsResult>", end <= f.n)
	} else {
		at := f.behind(q.Get("start-after"))
		end := min(at+most, f.n+1)
		b.WriteString("<ListBucketResult>")
		for i := at; i < end; i++ {
			fmt.Fprintf(&b, "<Contents><Key>%s</Key><Size>1</Size></Contents>", f.key(i))
		}
		fmt.Fprintf(&b, "<IsTruncated>%v</IsTruncated></ListBucketResult>", end <= f.n)
	}
	_, _ = io.WriteString(w, b.String()) // a broken test connection shows in the driver
}

// TestManyFolders holds that folders' keys, of which a stranger can store any number, are passed in full pages, and that no single call of the driver's has to pass all: it has
// the time of one request.
func TestManyFolders(t *testing.T) {
	const n = 20_500
	f := &folders{n: n}
	d := openStub(t, &stub{answer: f.answer})
	for _, call := range []func() (int, error){
		func() (int, error) { page, _, err := d.List(t.Context(), "", "", 1); return len(page), err },
		func() (int, error) {
			page, _, _, err := d.Versions(t.Context(), "", providers.Mark{}, 1)
			return len(page), err
		},
	} {
		f.asked = 0
		if got, err := call(); err != nil || got != 1 || f.asked > 2 {
			t.Errorf("%d entries, %v, after %d requests", got, err, f.asked)
		}
	}
	b := providers.New(d, providers.Options{Attempts: 1})
	f.asked = 0
	sight, err := b.Sight(t.Context())
	if err != nil || sight != providers.SightSeen || f.asked > 4 {
		t.Errorf("%s, %v, after %d requests", sight, err, f.asked)
	}
	f.asked = 0
	var names []string
	for name, err := range b.Names(t.Context(), "commits/", "") {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, name.Name)
	}
	for info, err := range b.List(t.Context(), "commits/", "") {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, info.Name)
	}
	if strings.Join(names, " ") != "commits/a/1 commits/a/1" || f.asked > 2*(n/1000+2) {
		t.Errorf("%q after %d requests", names, f.asked)
	}
}

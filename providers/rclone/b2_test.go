package rclone

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"farshore/providers"
	"farshore/providers/providertest"
)

// TestB2 runs the driver against a fake of the store that keeps all versions under the time of one millisecond.
func TestB2(t *testing.T) {
	t.Parallel()
	f := newFakeB2(t)
	t.Run("conformance", func(t *testing.T) { conformance(t, f.spec("a/v")) })
	t.Run("history", func(t *testing.T) {
		providertest.RunHistory(t, func(t *testing.T) providers.Driver {
			_, d := open(t, f.spec("a/v"))
			return d
		}, providertest.Tamper{
			Markers:   true,
			Overwrite: func(_ *testing.T, name string, body []byte) { f.tamper("a/v/"+name, "upload", body) },
			Hide:      func(_ *testing.T, name string) { f.tamper("a/v/"+name, "hide", nil) },
		})
	})
}

// TestB2Unfinished holds that uploads that were begun and not ended are no versions, wherever a page ends.
func TestB2Unfinished(t *testing.T) {
	f := newFakeB2(t)
	var want []string
	for i := range 4 {
		name := fmt.Sprintf("v/packs/%d", i)
		f.tamper(name, "upload", []byte("old"))
		f.tamper(name, "start", nil)
		f.tamper(name, "start", nil)
		f.tamper(name, "upload", []byte("newer"))
		f.tamper(name, "start", nil)
		want = append(want, fmt.Sprintf("packs/%d true 5", i), fmt.Sprintf("packs/%d false 3", i))
	}
	ctx, d := open(t, f.spec("v"))
	for _, limit := range []int{1, 2, 3, 4, 1000} {
		var got []string
		for mark, more := (providers.Mark{}), true; more && len(got) < 20; {
			var page []providers.Version
			var err error
			if page, mark, more, err = d.Versions(ctx, "packs/", mark, limit); err != nil {
				t.Fatal(err)
			}
			for _, v := range page {
				got = append(got, fmt.Sprintf("%s %v %d", v.Name, v.Current, v.Size))
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("in pages of %d: %q, want %q", limit, got, want)
		}
	}
	for i := range 1500 {
		f.tamper(fmt.Sprintf("v/commits/%d", i), "start", nil)
	}
	calls := len(f.calls)
	if sight, err := providers.New(d, providers.Options{Attempts: 1}).Sight(ctx); err != nil || sight != providers.SightSeen || len(f.calls)-calls > 4 {
		t.Errorf("%s, %v, after %d requests", sight, err, len(f.calls)-calls)
	}
	first, _, _, err := d.Versions(ctx, "packs/", providers.Mark{}, 1)
	if err != nil || len(first) != 1 {
		t.Fatal(first, err)
	}
	// A mark of a caller's own making.
	page, _, _, err := d.Versions(ctx, "packs/", providers.Mark{Name: first[0].Name, ID: first[0].ID}, 2)
	if err != nil || len(page) == 0 || page[0].Name != first[0].Name || page[0].ID == first[0].ID || page[0].Current {
		t.Errorf("behind the newest: %+v, %v", page, err)
	}
}

// TestB2Token holds that a token that has run out is replaced, once.
func TestB2Token(t *testing.T) {
	f := newFakeB2(t)
	f.noBucket = true // its id must be asked for
	f.tamper("v/packs/a", "upload", []byte("x"))
	ctx, d := open(t, f.spec("v"))
	page, _, _, err := d.Versions(ctx, "packs/", providers.Mark{}, 10)
	if err != nil || len(page) != 1 {
		t.Fatalf("%+v, %v", page, err)
	}
	for i, op := range []func() error{
		func() error { _, _, _, err := d.Versions(ctx, "packs/", providers.Mark{}, 10); return err },
		func() error { _, err := d.Settings(ctx); return err },
		func() error { _, err := d.Lock(ctx, "packs/a", page[0].ID); return err },
		func() error {
			r, err := d.OpenVersion(ctx, "packs/a", page[0].ID, 0, -1)
			if err == nil {
				err = r.Close()
			}
			return err
		},
	} {
		f.mu.Lock()
		f.token, f.calls = fmt.Sprint("token-", i+1), nil
		f.mu.Unlock()
		if err := op(); err != nil {
			t.Errorf("operation %d after the token ran out: %v", i, err)
		}
		if n := len(slices.DeleteFunc(slices.Clone(f.calls), func(c string) bool { return c != "b2_authorize_account" })); n != 1 {
			t.Errorf("operation %d signed in %d times: %q", i, n, f.calls)
		}
	}
}

// TestB2Lock holds what is told of locks.
func TestB2Lock(t *testing.T) {
	f := newFakeB2(t)
	f.tamper("v/packs/a", "upload", []byte("x"))
	f.tamper("v/packs/a", "upload", []byte("y"))
	until := time.UnixMilli(1_900_000_000_000).UTC()
	f.files[1].retention = map[string]any{"mode": "compliance", "retainUntilTimestamp": until.UnixMilli()}
	f.files[0].retention = map[string]any{"mode": "governance", "retainUntilTimestamp": until.UnixMilli()}
	f.files[0].hold = "on"
	f.tamper("v/packs/b", "upload", nil)
	f.files[2].retention = map[string]any{"mode": nil, "retainUntilTimestamp": nil}
	f.tamper("v/packs/c", "hide", nil)
	f.tamper("v/packs/cc", "upload", nil)
	ctx, d := open(t, f.spec("v"))
	tests := []struct {
		name, id string
		want     providers.Lock
		kind     providers.Kind // Other: no error
	}{
		{"packs/a", f.files[1].id, providers.Lock{Mode: providers.Compliance, Until: until}, providers.Other},
		{"packs/a", "", providers.Lock{Mode: providers.Governance, Until: until, Hold: true}, providers.Other},
		{"packs/b", "", providers.Lock{}, providers.Other},
		{"packs/c", "", providers.Lock{}, providers.NotFound},
		{"packs/b", f.files[1].id, providers.Lock{}, providers.NotFound},
		{"packs/b", "no id", providers.Lock{}, providers.NotFound},
		{"packs/none", "", providers.Lock{}, providers.NotFound},
	}
	for _, tt := range tests {
		got, err := d.Lock(ctx, tt.name, tt.id)
		if got != tt.want || (err != nil) != (tt.kind != providers.Other) || providers.KindOf(err) != tt.kind {
			t.Errorf("%s %s: %+v, %v; want %+v, kind %q", tt.name, tt.id, got, err, tt.want, tt.kind)
		}
	}
	f.noRead = true
	if _, err := d.Lock(ctx, "packs/a", ""); providers.KindOf(err) != providers.Denied || !strings.Contains(err.Error(), "readFileRetentions") {
		t.Errorf("a key without the right: %v", err)
	}
}

// TestB2Settings holds what is told of the bucket.
func TestB2Settings(t *testing.T) {
	f := newFakeB2(t)
	ctx, d := open(t, f.spec("v"))
	f.lock = map[string]any{"isClientAuthorizedToRead": true, "value": map[string]any{"isFileLockEnabled": true,
		"defaultRetention": map[string]any{"mode": "compliance", "period": map[string]any{"duration": 30, "unit": "days"}}}}
	f.rules = []map[string]any{
		{"fileNamePrefix": "v/", "daysFromHidingToDeleting": 1, "daysFromUploadingToHiding": nil},
		{"fileNamePrefix": "", "daysFromStartingToCancelingUnfinishedLargeFiles": 3},
		{"fileNamePrefix": "x", "daysFromUploadingToHiding": 2},
	}
	s, err := d.Settings(ctx)
	if err != nil || s.Versioning != "on" || !s.Lock || s.Mode != providers.Compliance || s.Retention != 30*24*time.Hour || len(s.Unknown) != 0 {
		t.Errorf("%+v, %v", s, err)
	}
	day := 24 * time.Hour
	if r := s.Rules; len(r) != 2 || r[0].Prefix != "v/" || r[0].Expire != nil || *r[0].Noncurrent != day || r[1].ID != "rule 3" || *r[1].Expire != 2*day || r[1].Noncurrent != nil {
		t.Errorf("rules: %+v", r)
	}
	f.lock = map[string]any{"isClientAuthorizedToRead": false, "value": nil}
	if s, err := d.Settings(ctx); err != nil || !strings.Contains(s.Unknown["lock"], "readBucketRetentions") || s.Unknown["rules"] != "" {
		t.Errorf("without readBucketRetentions: %+v, %v", s, err)
	}
	f.noList = true
	if s, err := d.Settings(ctx); err != nil || len(s.Unknown) != 2 || s.Versioning != "on" {
		t.Errorf("without listBuckets: %+v, %v", s, err)
	}
}

// TestB2Faults holds the store's answers to their kinds, and damage to being seen.
func TestB2Faults(t *testing.T) {
	f := newFakeB2(t)
	f.tamper("v/packs/a", "upload", []byte("0123456789"))
	ctx, d := open(t, f.spec("v"))
	page, _, _, err := d.Versions(ctx, "packs/", providers.Mark{}, 10)
	if err != nil || len(page) != 1 {
		t.Fatalf("%+v, %v", page, err)
	}
	var respond http.HandlerFunc
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { respond(w, r) }))
	defer other.Close()
	d.b2.auth.api, d.b2.auth.download = other.URL, other.URL
	list := func() error { _, _, _, err := d.Versions(ctx, "packs/", providers.Mark{}, 10); return err }
	read := func() error {
		r, err := d.OpenVersion(ctx, "packs/a", page[0].ID, 2, 5)
		if err == nil {
			_ = r.Close()
		}
		return err
	}
	for _, tt := range []struct {
		status     int
		code       string
		list, read providers.Kind
	}{
		{403, "access_denied", providers.Denied, providers.Denied},
		{401, "unauthorized", providers.Unauthenticated, providers.Unauthenticated},
		{429, "too_many_requests", providers.Throttled, providers.Throttled},
		{503, "service_unavailable", providers.Temporary, providers.Temporary},
		{500, "internal_error", providers.Temporary, providers.Temporary},
		{404, "not_found", providers.NotFound, providers.NotFound},
		{400, "bad_request", providers.Other, providers.NotFound},
		{302, "", providers.Other, providers.Other},
	} {
		respond = func(w http.ResponseWriter, r *http.Request) { refuse(w, tt.status, tt.code) }
		if err := list(); err == nil || providers.KindOf(err) != tt.list {
			t.Errorf("%d %s: list: %v, want kind %q", tt.status, tt.code, err, tt.list)
		}
		if err := read(); err == nil || providers.KindOf(err) != tt.read {
			t.Errorf("%d %s: read: %v, want kind %q", tt.status, tt.code, err, tt.read)
		}
	}
	whole := func(w http.ResponseWriter) { _, _ = fmt.Fprint(w, "0123456789") } // a broken test connection shows in the driver
	for what, tt := range map[string]struct {
		respond http.HandlerFunc
		kind    providers.Kind
	}{
		"another file": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Bz-File-Name", "v/packs/b")
			w.Header().Set("Content-Range", "bytes 2-6/10")
			whole(w)
		}, providers.NotFound},
		"no range": {func(w http.ResponseWriter, r *http.Request) { w.Header().Set("X-Bz-File-Name", "v/packs/a"); whole(w) }, providers.Unsupported},
	} {
		respond = tt.respond
		if err := read(); providers.KindOf(err) != tt.kind || err == nil {
			t.Errorf("%s: %v, want kind %q", what, err, tt.kind)
		}
	}
	for what, answer := range map[string]string{
		"no JSON":         "<html>",
		"outside":         `{"files":[{"fileId":"1","fileName":"w/packs/a","action":"upload"}]}`,
		"gets no further": `{"files":[],"nextFileName":"v/x","nextFileId":"1"}`,
	} {
		respond = func(w http.ResponseWriter, r *http.Request) { _, _ = fmt.Fprint(w, answer) } // as above
		if err := list(); err == nil || providers.Retryable(err) {
			t.Errorf("%s: %v, want a lasting error", what, err)
		}
	}
	other.Close()
	if err := list(); providers.KindOf(err) != providers.Temporary {
		t.Errorf("nobody listens: %v", err)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, _, _, err := d.Versions(cancelled, "packs/", providers.Mark{}, 10); providers.Retryable(err) || err == nil {
		t.Errorf("cancelled: %v", err)
	}
}

// TestOnlyB2 holds that no other remote seems to have a history, nor one whose versions could not be read.
func TestOnlyB2(t *testing.T) {
	f := newFakeB2(t)
	for _, spec := range []string{"rclone::local:" + t.TempDir(), strings.Replace(f.spec("v"), "b2,", "b2,sse_customer_algorithm=AES256,sse_customer_key=abcdefghijklmnopqrstuvwxyz012345,", 1)} {
		ctx, d := open(t, spec)
		_, historian := providers.AsHistorian(d)
		_, keeper := providers.AsKeeper(d)
		if historian || keeper {
			t.Errorf("%s: historian %v, keeper %v", spec, historian, keeper)
		}
		_, _, _, listErr := d.Versions(ctx, "", providers.Mark{}, 1)
		_, openErr := d.OpenVersion(ctx, "a", "1", 0, 1)
		_, lockErr := d.Lock(ctx, "a", "1")
		_, settingsErr := d.Settings(ctx)
		for _, err := range []error{listErr, openErr, lockErr, settingsErr} {
			if providers.KindOf(err) != providers.Unsupported {
				t.Errorf("%s: %v, want kind %q", spec, err, providers.Unsupported)
			}
		}
	}
}

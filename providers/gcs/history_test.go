package gcs

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/storage"
	"github.com/fsouza/fake-gcs-server/fakestorage"

	"farshore/providers"
	"farshore/providers/providertest"
)

// TestHistory runs against the emulator. It can go on in a list of versions between names only, so pages are large here; TestVersionPages has small ones.
func TestHistory(t *testing.T) {
	server := emulator(t)
	server.CreateBucketWithOpts(fakestorage.CreateBucketOpts{Name: "kept", VersioningEnabled: true})
	client := server.Client()
	thief := providertest.Tamper{
		Pages: []int{1000},
		Overwrite: func(t *testing.T, name string, body []byte) {
			t.Helper()
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			w := client.Bucket("kept").Object("v/" + name).NewWriter(ctx)
			if _, err := w.Write(body); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
		},
		Hide: func(t *testing.T, name string) {
			t.Helper()
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			// A name that is hidden already can't be hidden once more here.
			if err := client.Bucket("kept").Object("v/" + name).Delete(ctx); err != nil {
				t.Fatal(err)
			}
		},
	}
	providertest.RunHistory(t, func(t *testing.T) providers.Driver {
		_, d := open(t, "kept/v", server.URL())
		return d
	}, thief)
}

// lists serves a list of versions as the store does: ascending generations, pages that end anywhere, tokens that are good for the same request only.
type lists struct {
	t     *testing.T
	items []map[string]string
	start string // that the tokens are for
}

func (l *lists) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("versions") != "true" {
		l.t.Errorf("asked for %s", r.URL)
	}
	first := 0
	if token := q.Get("pageToken"); token != "" {
		first, _ = strconv.Atoi(token)
		if q.Get("startOffset") != l.start {
			l.t.Errorf("the token of a list from %q is used for one from %q", l.start, q.Get("startOffset"))
		}
	}
	l.start = q.Get("startOffset")
	size, _ := strconv.Atoi(q.Get("maxResults"))
	answer := map[string]any{"kind": "storage#objects"}
	var items []map[string]string
	for i := first; i < len(l.items); i++ {
		item := l.items[i]
		if !strings.HasPrefix(item["name"], q.Get("prefix")) || item["name"] < l.start {
			continue
		}
		if len(items) == size {
			answer["nextPageToken"] = strconv.Itoa(i)
			break
		}
		items = append(items, item)
	}
	answer["items"] = items
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		l.t.Error(err)
	}
}

// TestVersionPages lists in pages of all sizes from anywhere.
func TestVersionPages(t *testing.T) {
	l := &lists{t: t}
	var want []string
	for i := range 12 {
		for g := range i%5 + 1 {
			item := map[string]string{"name": fmt.Sprintf("v/packs/%02d", i), "generation": strconv.Itoa(100*i + g), "size": "7", "timeCreated": "2026-01-02T03:04:05Z"}
			if g < i%5 || i%3 == 0 {
				item["timeDeleted"] = "2026-01-03T03:04:05Z"
			}
			l.items = append(l.items, item)
			want = append(want, fmt.Sprintf("packs/%02d %d %v", i, 100*i+g, item["timeDeleted"] == ""))
		}
	}
	server := httptest.NewServer(l)
	t.Cleanup(server.Close)
	ctx, d := open(t, "vault/v", server.URL)
	for _, limit := range []int{1, 2, 3, 5, 1000} {
		for from, after := range map[int]providers.Mark{0: {}, 1: {Name: "packs/00"}, 9: {Name: "packs/03", ID: "302"}} {
			var got []string
			for mark, more := after, true; more && len(got) < 100; {
				var page []providers.Version
				var err error
				if page, mark, more, err = d.Versions(ctx, "packs/", mark, limit); err != nil {
					t.Fatal(err)
				}
				if more && len(page) == 0 {
					t.Fatal("an empty page in the middle")
				}
				for _, v := range page {
					got = append(got, fmt.Sprintf("%s %s %v", v.Name, v.ID, v.Current))
				}
			}
			if !slices.Equal(got, want[from:]) {
				t.Errorf("behind %+v by %d:\n%q\nwant\n%q", after, limit, got, want[from:])
			}
		}
	}
	n, err := providers.New(d, providers.Options{}).History(ctx, "packs/04")
	if err != nil || n.ID != "400" || n.Versions != 5 || !n.Hidden || len(n.Oldest) != 5 || !n.Oldest[4].Current {
		t.Errorf("History: %+v, %v", n, err)
	}
	n, err = providers.New(d, providers.Options{}).History(ctx, "packs/00")
	if err != nil || n.Versions != 1 || n.Markers != 0 || !n.Hidden || n.Plain() {
		t.Errorf("History of a deleted object: %+v, %v", n, err)
	}
}

// keeper answers for one bucket and one object.
func keeper(t *testing.T, bucketStatus int, bucket, object string) (context.Context, *Driver) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if strings.Contains(r.URL.Path, "/o/") {
			_, _ = fmt.Fprint(w, object) // a broken test connection shows in the driver
			return
		}
		w.WriteHeader(bucketStatus)
		_, _ = fmt.Fprint(w, bucket)
	}))
	t.Cleanup(server.Close)
	return open(t, "vault", server.URL)
}

func TestLock(t *testing.T) {
	const early, late = "2030-01-01T00:00:00Z", "2031-01-01T00:00:00Z"
	at := func(s string) time.Time {
		v, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	refused := said(403, "forbidden", "agent does not have storage.buckets.get access")
	tests := map[string]struct {
		status         int
		bucket, object string
		want           providers.Lock
	}{
		"none":                       {200, `{}`, `{}`, providers.Lock{}},
		"policy":                     {200, `{"retentionPolicy":{"effectiveTime":"2026-01-01T00:00:00Z","retentionPeriod":"86400","isLocked":true}}`, `{"retentionExpirationTime":"` + early + `"}`, providers.Lock{Mode: providers.Policy, Until: at(early)}},
		"policy unlocked":            {200, `{"retentionPolicy":{"effectiveTime":"2026-01-01T00:00:00Z","retentionPeriod":"86400"}}`, `{"retentionExpirationTime":"` + early + `"}`, providers.Lock{Mode: providers.PolicyUnlocked, Until: at(early)}},
		"policy not known":           {403, refused, `{"retentionExpirationTime":"` + early + `"}`, providers.Lock{Mode: providers.PolicyUnlocked, Until: at(early)}},
		"object":                     {200, `{}`, `{"retention":{"mode":"Locked","retainUntilTime":"` + late + `"}}`, providers.Lock{Mode: providers.Compliance, Until: at(late)}},
		"object unlocked":            {200, `{}`, `{"retention":{"mode":"Unlocked","retainUntilTime":"` + late + `"}}`, providers.Lock{Mode: providers.Governance, Until: at(late)}},
		"held":                       {200, `{}`, `{"temporaryHold":true}`, providers.Lock{Hold: true}},
		"both, the policy binds":     {200, `{"retentionPolicy":{"effectiveTime":"2026-01-01T00:00:00Z","retentionPeriod":"86400","isLocked":true}}`, `{"retention":{"mode":"Unlocked","retainUntilTime":"` + late + `"},"retentionExpirationTime":"` + early + `"}`, providers.Lock{Mode: providers.Policy, Until: at(early)}},
		"both, the object's longer":  {200, `{"retentionPolicy":{"effectiveTime":"2026-01-01T00:00:00Z","retentionPeriod":"86400","isLocked":true}}`, `{"retention":{"mode":"Locked","retainUntilTime":"` + late + `"},"retentionExpirationTime":"` + early + `"}`, providers.Lock{Mode: providers.Compliance, Until: at(late)}},
		"both, the object's binding": {200, `{"retentionPolicy":{"effectiveTime":"2026-01-01T00:00:00Z","retentionPeriod":"86400"}}`, `{"retention":{"mode":"Locked","retainUntilTime":"` + early + `"},"retentionExpirationTime":"` + late + `"}`, providers.Lock{Mode: providers.Compliance, Until: at(early)}},
	}
	for name, tt := range tests {
		ctx, d := keeper(t, tt.status, tt.bucket, tt.object)
		for _, id := range []string{"", "17"} {
			if got, err := d.Lock(ctx, "packs/a", id); err != nil || got != tt.want {
				t.Errorf("%s: %+v, %v; want %+v", name, got, err, tt.want)
			}
		}
		if _, err := d.Lock(ctx, "packs/a", "x"); providers.KindOf(err) != providers.NotFound {
			t.Errorf("no generation: %v", err)
		}
	}
	ctx, d := keeper(t, 503, said(503, "backendError", "Backend Error"), `{"retentionExpirationTime":"`+early+`"}`)
	if _, err := d.Lock(ctx, "packs/a", ""); providers.KindOf(err) != providers.Temporary {
		t.Errorf("the bucket can't be asked now: %v", err)
	}
}

func TestSettings(t *testing.T) {
	ctx, d := keeper(t, 200, `{"versioning":{"enabled":true},"retentionPolicy":{"effectiveTime":"2026-01-01T00:00:00Z","retentionPeriod":"86400","isLocked":true},"lifecycle":{"rule":[`+
		`{"action":{"type":"Delete"},"condition":{"age":3,"matchesPrefix":["a/","b/"]}},`+
		`{"action":{"type":"SetStorageClass","storageClass":"COLDLINE"},"condition":{"age":1}},`+
		`{"action":{"type":"AbortIncompleteMultipartUpload"},"condition":{"age":1}},`+
		`{"action":{"type":"Delete"},"condition":{"daysSinceNoncurrentTime":7,"numNewerVersions":2}},`+
		`{"action":{"type":"Delete"},"condition":{"daysSinceCustomTime":5,"isLive":true}}]}}`, "")
	s, err := d.Settings(ctx)
	if err != nil || s.Versioning != "on" || !s.Lock || s.Mode != providers.Policy || s.Retention != 24*time.Hour || len(s.Unknown) != 0 {
		t.Errorf("%+v, %v", s, err)
	}
	var got []string
	for _, r := range s.Rules {
		got = append(got, fmt.Sprintf("%s %q %s %s %v", r.ID, r.Prefix, age(r.Expire), age(r.Noncurrent), r.Tagged))
	}
	want := []string{`rule 1 "a/" 72h0m0s 72h0m0s false`, `rule 1 "b/" 72h0m0s 72h0m0s false`, `rule 4 "" never 168h0m0s false`, `rule 5 "" 0s never true`}
	if !slices.Equal(got, want) {
		t.Errorf("rules:\n%q\nwant\n%q", got, want)
	}
	ctx, d = keeper(t, 200, `{"objectRetention":{"mode":"Enabled"}}`, "")
	if s, err := d.Settings(ctx); err != nil || s.Versioning != "off" || !s.Lock || s.Mode != providers.LockNone {
		t.Errorf("object retention: %+v, %v", s, err)
	}
	ctx, d = keeper(t, 403, said(403, "forbidden", "no access"), "")
	if s, err := d.Settings(ctx); err != nil || len(s.Unknown) != 3 || !strings.Contains(s.Unknown["rules"], "storage.buckets.get") || s.Versioning != "" {
		t.Errorf("refused: %+v, %v", s, err)
	}
	ctx, d = keeper(t, 404, said(404, "notFound", "The specified bucket does not exist."), "")
	if _, err := d.Settings(ctx); providers.KindOf(err) != providers.NotFound {
		t.Errorf("no bucket: %v", err)
	}
	ctx, d = keeper(t, 500, said(500, "backendError", "Backend Error"), "")
	if _, err := d.Settings(ctx); providers.KindOf(err) != providers.Temporary {
		t.Errorf("broken: %v", err)
	}
}

func age(d *time.Duration) string {
	if d == nil {
		return "never"
	}
	return d.String()
}

// TestRuleDates holds that a date is the time that is left.
func TestRuleDates(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for before, want := range map[time.Time]time.Duration{now.Add(-time.Hour): 0, now.Add(48 * time.Hour): 48 * time.Hour} {
		r := rules(0, &storage.LifecycleRule{Action: storage.LifecycleAction{Type: "Delete"}, Condition: storage.LifecycleCondition{CreatedBefore: before}}, now)
		if len(r) != 1 || *r[0].Expire != want || *r[0].Noncurrent != want {
			t.Errorf("created before %v: %+v", before, r)
		}
	}
}

package rcloneprobe

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"farshore/agent/probe"
	"farshore/agent/probe/probetest"
)

// b2Store is a bucket, "vault", of a store that speaks as much of B2's language as an agent and a probe need, and holds each call to the key's capabilities. Versions are kept.
type b2Store struct {
	mu           sync.Mutex
	url          string
	capabilities []string
	versions     []b2Version // the oldest first
	counter      int
	refuse       *b2Fault // what deletions are answered with; nil to delete
	mode         string   // of the lock that every new version gets for a month; "" for none
}

type b2Version struct {
	id, name string
	hide     bool
	body     []byte
}

type b2Fault struct {
	Status  int    `json:"status"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// writerKey is what a writer's key needs.
var writerKey = []string{"listBuckets", "listFiles", "readFiles", "writeFiles", "readBuckets", "readBucketRetentions", "readFileRetentions"}

func newB2(t *testing.T, capabilities ...string) *b2Store {
	t.Helper()
	s := &b2Store{capabilities: capabilities}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

func (s *b2Store) spec() string {
	return "rclone::b2,account=keyid,key=secret,endpoint='" + s.url + "':vault/a"
}

func (s *b2Store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	call := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	if strings.HasPrefix(r.URL.Path, "/file/vault/") || call == "b2_download_file_by_id" {
		s.download(w, r)
		return
	}
	answer, fault := s.serve(call, r)
	w.Header().Set("Content-Type", "application/json")
	if fault != nil {
		w.WriteHeader(fault.Status)
		answer = fault
	}
	_ = json.NewEncoder(w).Encode(answer) // the client may be gone
}

// need refuses what the key may not do.
func (s *b2Store) need(capability string) *b2Fault {
	if slices.Contains(s.capabilities, capability) {
		return nil
	}
	return &b2Fault{401, "unauthorized", "unauthorized: " + capability}
}

func (s *b2Store) serve(call string, r *http.Request) (any, *b2Fault) {
	if call == "b2_authorize_account" {
		return s.authorize(r)
	}
	if call == "upload" {
		return s.upload(r)
	}
	var request struct {
		BucketName, FileName, FileID, SourceFileID, Prefix, StartFileName, StartFileID string
		MaxFileCount                                                                   int
	}
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		return nil, &b2Fault{400, "bad_request", err.Error()}
	}
	switch call {
	case "b2_list_buckets":
		return map[string]any{"buckets": []any{map[string]any{"bucketId": "id", "bucketName": "vault", "bucketType": "allPrivate", "accountId": "acc", "fileLockConfiguration": s.lock()}}}, s.need("listBuckets")
	case "b2_list_file_versions":
		return s.listVersions(request.Prefix, request.StartFileName, request.StartFileID, request.MaxFileCount), s.need("listFiles")
	case "b2_list_file_names":
		return s.list(request.Prefix), s.need("listFiles")
	case "b2_get_upload_url":
		return map[string]any{"bucketId": "id", "uploadUrl": s.url + "/upload", "authorizationToken": "token"}, s.need("writeFiles")
	case "b2_hide_file":
		if f := s.need("writeFiles"); f != nil {
			return nil, f
		}
		return s.put(b2Version{name: request.FileName, hide: true}), nil
	case "b2_delete_file_version":
		return s.delete(request.FileID)
	case "b2_copy_file":
		i := s.find(request.SourceFileID)
		if f := s.need("writeFiles"); f != nil || i < 0 {
			return nil, f
		}
		return s.put(b2Version{name: request.FileName, body: s.versions[i].body}), nil
	}
	return nil, &b2Fault{400, "bad_request", "no such call: " + call}
}

func (s *b2Store) authorize(r *http.Request) (any, *b2Fault) {
	if user, password, ok := r.BasicAuth(); !ok || user != "keyid" || password != "secret" {
		return nil, &b2Fault{401, "unauthorized", "bad key"}
	}
	return map[string]any{"accountId": "acc", "authorizationToken": "token", "apiInfo": map[string]any{"storageApi": map[string]any{"apiUrl": s.url, "downloadUrl": s.url,
		"absoluteMinimumPartSize": 5_000_000, "recommendedPartSize": 100_000_000,
		"allowed": map[string]any{"capabilities": s.capabilities, "buckets": []any{map[string]any{"id": "id", "name": "vault"}}}}}}, nil
}

func (s *b2Store) upload(r *http.Request) (any, *b2Fault) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, &b2Fault{400, "bad_request", err.Error()}
	}
	if r.Header.Get("X-Bz-Content-Sha1") == "hex_digits_at_end" {
		body = body[:len(body)-40]
	}
	name, err := url.PathUnescape(r.Header.Get("X-Bz-File-Name"))
	if err != nil {
		return nil, &b2Fault{400, "bad_request", err.Error()}
	}
	return s.put(b2Version{name: name, body: body}), s.need("writeFiles")
}

func (s *b2Store) put(v b2Version) any {
	s.counter++
	v.id = fmt.Sprintf("4_z%d", s.counter)
	s.versions = append(s.versions, v)
	return s.describe(v)
}

func (s *b2Store) describe(v b2Version) any {
	action := "upload"
	if v.hide {
		action = "hide"
	}
	retention := map[string]any{"mode": nil, "retainUntilTimestamp": nil}
	if s.mode != "" && !v.hide {
		retention = map[string]any{"mode": s.mode, "retainUntilTimestamp": time.Now().Add(30 * 24 * time.Hour).UnixMilli()}
	}
	return map[string]any{"fileRetention": map[string]any{"isClientAuthorizedToRead": true, "value": retention}, "fileId": v.id, "fileName": v.name, "action": action, "size": len(v.body), "contentLength": len(v.body), "uploadTimestamp": 1_700_000_000_000 + s.counter,
		"contentType": "application/octet-stream", "contentSha1": "none", "fileInfo": map[string]string{}}
}

func (s *b2Store) delete(id string) (any, *b2Fault) {
	if f := s.need("deleteFiles"); f != nil {
		return nil, f
	}
	if s.refuse != nil {
		return nil, s.refuse
	}
	i := s.find(id)
	if i < 0 {
		return nil, &b2Fault{400, "file_not_present", "not present: " + id}
	}
	s.versions = slices.Delete(s.versions, i, i+1)
	return map[string]any{"fileId": id}, nil
}

func (s *b2Store) find(id string) int {
	return slices.IndexFunc(s.versions, func(v b2Version) bool { return v.id == id })
}

// list lists folders and files below the prefix, as with a delimiter.
func (s *b2Store) list(prefix string) any {
	files, seen := []any{}, map[string]bool{}
	for name, v := range s.current() {
		rest, below := strings.CutPrefix(name, prefix)
		if !below || seen[prefix+rest] {
			continue
		}
		if folder, _, inside := strings.Cut(rest, "/"); inside {
			if dir := prefix + folder + "/"; !seen[dir] {
				seen[dir] = true
				files = append(files, map[string]any{"action": "folder", "fileName": dir})
			}
			continue
		}
		files = append(files, s.describe(v))
	}
	return map[string]any{"files": files}
}

// lock describes the bucket's lock.
func (s *b2Store) lock() any {
	retention := map[string]any{"mode": nil, "period": nil}
	if s.mode != "" {
		retention = map[string]any{"mode": s.mode, "period": map[string]any{"duration": 30, "unit": "days"}}
	}
	return map[string]any{"isClientAuthorizedToRead": true, "value": map[string]any{"isFileLockEnabled": s.mode != "", "defaultRetention": retention}}
}

// listVersions lists versions by their names, the newest first, from the one that is named on.
func (s *b2Store) listVersions(prefix, name, id string, limit int) any {
	sorted := slices.Clone(s.versions)
	slices.Reverse(sorted)
	slices.SortStableFunc(sorted, func(a, b b2Version) int { return strings.Compare(a.name, b.name) })
	files := []any{}
	for i, v := range sorted {
		if !strings.HasPrefix(v.name, prefix) || v.name < name || v.name == name && id != "" && slices.ContainsFunc(sorted[i+1:], func(w b2Version) bool { return w.id == id }) {
			continue
		}
		if len(files) == limit {
			return map[string]any{"files": files, "nextFileName": v.name, "nextFileId": v.id}
		}
		files = append(files, s.describe(v))
	}
	return map[string]any{"files": files}
}

// current are the newest versions of names that are not hidden.
func (s *b2Store) current() map[string]b2Version {
	newest := map[string]b2Version{}
	for _, v := range s.versions {
		newest[v.name] = v
		if v.hide {
			delete(newest, v.name)
		}
	}
	return newest
}

func (s *b2Store) download(w http.ResponseWriter, r *http.Request) {
	name, byName := strings.CutPrefix(r.URL.Path, "/file/vault/")
	v, found := s.current()[name]
	if i := s.find(r.URL.Query().Get("fileId")); !byName && i >= 0 {
		v, found = s.versions[i], true
	}
	switch {
	case s.need("readFiles") != nil:
		w.WriteHeader(http.StatusUnauthorized)
	case !found:
		w.WriteHeader(http.StatusNotFound)
	default:
		w.Header().Set("X-Bz-File-Id", v.id)
		w.Header().Set("X-Bz-File-Name", url.PathEscape(v.name))
		w.Header().Set("X-Bz-Content-Sha1", "none")
		w.Header().Set("X-Bz-Upload-Timestamp", "1700000000000")
		w.Header().Set("Content-Length", fmt.Sprint(len(v.body)))
		_, _ = w.Write(v.body)
	}
}

// all returns every version by the vault's name and its id, so that one that is hidden counts too. Canaries are under their names alone.
func (s *b2Store) all() map[string][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := map[string][]byte{}
	for _, v := range s.versions {
		name := strings.TrimPrefix(v.name, "a/")
		if !strings.Contains(name, "/canary/") {
			name += " " + v.id + fmt.Sprint(v.hide)
		}
		found[name] = v.body
	}
	return found
}

// TestB2 has keys try: what a writer needs, which may hide and overwrite but no more, and that with one capability more at a time.
func TestB2(t *testing.T) {
	t.Parallel()
	extras := []string{"", "shareFiles", "writeSomethingNew"}
	for _, c := range capabilities {
		extras = append(extras, c.name)
	}
	for _, extra := range extras {
		t.Run(extra, func(t *testing.T) {
			t.Parallel()
			keys := slices.Clone(writerKey)
			if extra != "" {
				keys = append(keys, extra)
			}
			s := newB2(t, keys...)
			ctx, a := open(t, s.spec())
			populate(ctx, t, a)
			before := s.all()
			rooms := probetest.Rooms()
			if extra != "" && extra != "deleteFiles" {
				rooms = rooms[:1] // B2's own client waits between requests
			}
			attempts := probetest.Drive(ctx, t, a, rooms...)
			probetest.Same(t, before, s.all())
			want := all("overwrite", "copy-onto", "hide")
			want["delete-version"], want["other capabilities"] = probe.Denied, probe.Denied
			for _, c := range capabilities {
				want["capability "+c.name] = probe.Denied
			}
			var grants []string
			if _, asked := want["capability "+extra]; asked {
				want["capability "+extra], grants = probe.Permitted, []string{extra}
			}
			switch extra {
			case "deleteFiles":
				want["delete-version"] = probe.Permitted
			case "writeSomethingNew":
				want["other capabilities"] = probe.Unknown
			}
			probetest.Answers(t, attempts, want)
			if got := probetest.Grants(attempts); !slices.Equal(got, grants) {
				t.Errorf("named %q, want %q", got, grants)
			}
			if who, err := a.Principal(ctx); err != nil || who != "B2 key keyid" {
				t.Errorf("principal %q, %v", who, err)
			}
		})
	}
}

// TestB2Version holds that the version of a canary is B2's id, and that it is still there after all that a writer's key may do.
func TestB2Version(t *testing.T) {
	t.Parallel()
	s := newB2(t, writerKey...)
	ctx, a := open(t, s.spec())
	for _, p := range a.Object() {
		name := "packs/canary/" + p.Probe
		id, r := a.Create(ctx, name, []byte("original"))
		if r.Answer != probe.Permitted || id == "" {
			t.Fatalf("create: %q, %+v", id, r)
		}
		p.Try(ctx, probe.Canary{Name: name, Version: id, Exists: true})
		s.mu.Lock()
		if i := s.find(id); i < 0 || string(s.versions[i].body) != "original" || s.versions[i].name != "a/"+name {
			t.Errorf("%s: version %s is not there", p.Probe, id)
		}
		s.mu.Unlock()
	}
	probetest.Refuses(ctx, t, a)
}

// TestB2Lock has a lock refuse what the key may do: that is no denial of the credential's.
func TestB2Lock(t *testing.T) {
	t.Parallel()
	s := newB2(t, append([]string{"deleteFiles"}, writerKey...)...)
	s.refuse = &b2Fault{401, "access_denied", "the file version is under retention"}
	ctx, a := open(t, s.spec())
	for _, at := range probetest.Drive(ctx, t, a, "packs") {
		if at.Probe == "delete-version" && (at.Answer != probe.Unknown || !strings.Contains(at.Text, "a lock may have refused it")) {
			t.Errorf("%s: %s: %s", at.Answer, at.Code, at.Text)
		}
	}
}

// TestB2Unasked has B2 not say what the key may do: that is no proof of anything.
func TestB2Unasked(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{"nothing": "", "no JSON": "<html>", "no capabilities": `{"apiInfo":{"storageApi":{"allowed":{}}}}`} {
		t.Run(name, func(t *testing.T) {
			s := newB2(t, writerKey...)
			ctx, a := open(t, s.spec())
			broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }))
			defer broken.Close()
			a.config["endpoint"] = broken.URL
			for _, p := range a.Bucket() {
				if r := p.Try(ctx); r.Answer != probe.Unknown || strings.Contains(r.Text, "secret") {
					t.Errorf("%s: %+v", p.Probe, r)
				}
			}
			a.client = broken.Client()
			broken.Close()
			for _, p := range a.Bucket() {
				if r := p.Try(ctx); r.Answer != probe.Unknown || !r.Temporary {
					t.Errorf("%s without a server: %+v", p.Probe, r)
				}
			}
		})
	}
}

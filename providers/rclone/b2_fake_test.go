package rclone

import (
	"bytes"
	"crypto/sha1"
	"encoding/hex"
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
)

// fakeB2 is the part of Backblaze B2's interface that rclone and this package use: one bucket, "vault", in memory.
type fakeB2 struct {
	t   *testing.T
	url string

	mu       sync.Mutex
	files    []fakeFile // by name, and of a name the newest first
	next     int
	token    string
	calls    []string
	lock     any  // fileLockConfiguration
	noRead   bool // the key may not read retentions
	noList   bool // nor list buckets
	rules    any
	noBucket bool // the key is not restricted to the bucket
}

type fakeFile struct {
	id, name, action, sha1 string
	body                   []byte
	time                   time.Time
	retention              any
	hold                   string
}

func newFakeB2(t *testing.T) *fakeB2 {
	t.Helper()
	f := &fakeB2{t: t, token: "token-0"}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	f.url = server.URL
	return f
}

// spec is the address of a vault in it.
func (f *fakeB2) spec(prefix string) string {
	return "rclone::b2,account=id,key=secret,endpoint='" + f.url + "':vault/" + prefix
}

// add puts a version on top of its name.
func (f *fakeB2) add(name, action string, body []byte) *fakeFile {
	f.next++
	sum := sha1.Sum(body)
	at := slices.IndexFunc(f.files, func(o fakeFile) bool { return o.name >= name })
	if at < 0 {
		at = len(f.files)
	}
	// All within one millisecond, which B2 may do.
	f.files = slices.Insert(f.files, at, fakeFile{id: fmt.Sprintf("4_z%06d", f.next), name: name, action: action, sha1: hex.EncodeToString(sum[:]), body: body, time: time.UnixMilli(1_700_000_000_000)})
	return &f.files[at]
}

func (f *fakeB2) tamper(name, action string, body []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.add(name, action, bytes.Clone(body))
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"status": status, "code": code, "message": "the fake says " + code}) // a broken test connection shows in the driver
}

func (f *fakeB2) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client gave up
	}
	call := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	f.calls = append(f.calls, call)
	if call == "b2_authorize_account" {
		f.authorize(w, r)
		return
	}
	if r.Header.Get("Authorization") != f.token {
		refuse(w, 401, "expired_auth_token")
		return
	}
	if strings.HasPrefix(r.URL.Path, "/file/vault/") {
		f.byName(w, r, strings.TrimPrefix(r.URL.Path, "/file/vault/"))
		return
	}
	answers := map[string]func(http.ResponseWriter, *http.Request, []byte){
		"b2_list_buckets": f.listBuckets, "b2_list_file_names": f.listNames, "b2_list_file_versions": f.listVersions,
		"b2_get_upload_url": f.uploadURL, "b2_upload_file": f.upload, "b2_download_file_by_id": f.byID,
	}
	if answer := answers[call]; answer != nil {
		answer(w, r, body)
		return
	}
	f.t.Errorf("an unexpected call: %s", call)
	refuse(w, 400, "bad_request")
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // as above
}

func (f *fakeB2) authorize(w http.ResponseWriter, r *http.Request) {
	if id, key, _ := r.BasicAuth(); id != "id" || key != "secret" {
		refuse(w, 401, "bad_auth_token")
		return
	}
	allowed := map[string]any{"capabilities": []string{"listBuckets", "listFiles", "readFiles", "writeFiles"}}
	if !f.noBucket {
		allowed["buckets"] = []map[string]string{{"id": "b1", "name": "vault"}}
	}
	reply(w, map[string]any{"accountId": "a1", "authorizationToken": f.token, "apiInfo": map[string]any{"storageApi": map[string]any{
		"apiUrl": f.url, "downloadUrl": f.url, "recommendedPartSize": 100_000_000, "absoluteMinimumPartSize": 5_000_000, "allowed": allowed}}})
}

func (f *fakeB2) listBuckets(w http.ResponseWriter, r *http.Request, _ []byte) {
	if f.noList && strings.Contains(r.URL.Path, "/v4/") {
		refuse(w, 401, "unauthorized")
		return
	}
	reply(w, map[string]any{"buckets": []map[string]any{{"bucketId": "b1", "accountId": "a1", "bucketName": "vault", "bucketType": "allPrivate", "lifecycleRules": f.rules, "fileLockConfiguration": f.lock}}})
}

type fakeQuestion struct {
	BucketID, StartFileName, StartFileID, Prefix, Delimiter string
	MaxFileCount                                            int
}

// describe is a version as the interface tells it.
func (f *fakeB2) describe(o *fakeFile) map[string]any {
	m := map[string]any{"fileId": o.id, "fileName": o.name, "action": o.action, "size": len(o.body), "contentLength": len(o.body), "contentSha1": o.sha1,
		"contentType": "application/octet-stream", "uploadTimestamp": o.time.UnixMilli()}
	m["fileRetention"] = map[string]any{"isClientAuthorizedToRead": !f.noRead}
	m["legalHold"] = map[string]any{"isClientAuthorizedToRead": !f.noRead}
	if !f.noRead {
		m["fileRetention"] = map[string]any{"isClientAuthorizedToRead": true, "value": o.retention}
		m["legalHold"] = map[string]any{"isClientAuthorizedToRead": true, "value": o.hold}
	}
	return m
}

func (f *fakeB2) listVersions(w http.ResponseWriter, _ *http.Request, body []byte) {
	var q fakeQuestion
	if err := json.Unmarshal(body, &q); err != nil || q.BucketID != "b1" || q.StartFileID != "" && q.StartFileName == "" {
		refuse(w, 400, "bad_request")
		return
	}
	if q.StartFileName != "" && !strings.HasPrefix(q.StartFileName, q.Prefix) {
		f.t.Errorf("starts at %q with the prefix %q: what the store makes of that is not documented", q.StartFileName, q.Prefix)
	}
	if q.StartFileID != "" && !strings.HasPrefix(q.StartFileID, "4_z") {
		refuse(w, 400, "bad_request")
		return
	}
	f.list(w, q, func(o *fakeFile, i int) bool { return true })
}

func (f *fakeB2) listNames(w http.ResponseWriter, _ *http.Request, body []byte) {
	var q fakeQuestion
	if err := json.Unmarshal(body, &q); err != nil || q.BucketID != "b1" {
		refuse(w, 400, "bad_request")
		return
	}
	f.list(w, q, func(o *fakeFile, i int) bool { return o.action == "upload" && (i == 0 || f.files[i-1].name != o.name) })
}

// list answers with a page, which begins with what is asked to start at.
func (f *fakeB2) list(w http.ResponseWriter, q fakeQuestion, wanted func(*fakeFile, int) bool) {
	files, folder := []map[string]any{}, ""
	var next *fakeFile
	begun := q.StartFileID == ""
	for i := range f.files {
		o := &f.files[i]
		begun = begun || o.name > q.StartFileName || o.id == q.StartFileID
		if !begun || !strings.HasPrefix(o.name, q.Prefix) || o.name < q.StartFileName || !wanted(o, i) {
			continue
		}
		if q.Delimiter != "" {
			if sub, _, ok := strings.Cut(o.name[len(q.Prefix):], q.Delimiter); ok {
				if folder == sub {
					continue
				}
				folder = sub
				files = append(files, map[string]any{"action": "folder", "fileName": q.Prefix + sub + q.Delimiter})
				continue
			}
		}
		if q.MaxFileCount > 0 && len(files) >= q.MaxFileCount {
			next = o
			break
		}
		files = append(files, f.describe(o))
	}
	answer := map[string]any{"files": files, "nextFileName": nil, "nextFileId": nil}
	if next != nil {
		answer["nextFileName"], answer["nextFileId"] = next.name, next.id
	}
	reply(w, answer)
}

func (f *fakeB2) uploadURL(w http.ResponseWriter, _ *http.Request, _ []byte) {
	reply(w, map[string]string{"bucketId": "b1", "uploadUrl": f.url + "/b2_upload_file", "authorizationToken": f.token})
}

func (f *fakeB2) upload(w http.ResponseWriter, r *http.Request, body []byte) {
	name, err := url.QueryUnescape(r.Header.Get("X-Bz-File-Name"))
	want := r.Header.Get("X-Bz-Content-Sha1")
	if want == "hex_digits_at_end" && len(body) >= 40 {
		body, want = body[:len(body)-40], string(body[len(body)-40:])
	}
	if sum := sha1.Sum(body); err != nil || want != hex.EncodeToString(sum[:]) {
		refuse(w, 400, "bad_request")
		return
	}
	reply(w, f.describe(f.add(name, "upload", body)))
}

func (f *fakeB2) byName(w http.ResponseWriter, r *http.Request, name string) {
	i := slices.IndexFunc(f.files, func(o fakeFile) bool { return o.name == name })
	if i < 0 || f.files[i].action != "upload" {
		refuse(w, 404, "not_found")
		return
	}
	f.serve(w, r, &f.files[i])
}

func (f *fakeB2) byID(w http.ResponseWriter, r *http.Request, _ []byte) {
	i := slices.IndexFunc(f.files, func(o fakeFile) bool { return o.id == r.URL.Query().Get("fileId") })
	if i < 0 || f.files[i].action != "upload" {
		refuse(w, 404, "not_found")
		return
	}
	f.serve(w, r, &f.files[i])
}

func (f *fakeB2) serve(w http.ResponseWriter, r *http.Request, o *fakeFile) {
	w.Header().Set("X-Bz-File-Name", url.PathEscape(o.name))
	w.Header().Set("X-Bz-File-Id", o.id)
	w.Header().Set("X-Bz-Content-Sha1", o.sha1)
	w.Header().Set("X-Bz-Upload-Timestamp", fmt.Sprint(o.time.UnixMilli()))
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(o.body))
}

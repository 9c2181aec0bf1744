package gcsprobe

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// writerRole is what roles/storage.objectCreator and roles/storage.objectViewer together may do with objects.
var writerRole = []string{"storage.objects.create", "storage.objects.get", "storage.objects.list"}

// strict is a bucket, "vault", of a store that holds each request to the permissions it needs, as Google's documentation lists them, before it looks at conditions.
type strict struct {
	mu       sync.Mutex
	granted  []string
	within   map[string]string // permissions that count only for objects below a prefix, which the question about the bucket does not show
	objects  map[string]*stored
	counter  int64
	settings map[string]any
}

type stored struct {
	generation, metageneration int64
	body                       []byte
}

// newStrict starts the store and returns it with its endpoint.
func newStrict(t *testing.T, granted ...string) (*strict, string) {
	t.Helper()
	s := &strict{granted: granted, within: map[string]string{}, objects: map[string]*stored{}, counter: 1_700_000_000_000_000,
		settings: map[string]any{"name": "vault", "versioning": map[string]any{"enabled": true}}}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, server.URL
}

// fault is an answer of the store that is an error.
type fault struct {
	status          int
	reason, message string
}

func (f fault) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(f.status)
	fmt.Fprintf(w, `{"error":{"code":%d,"message":%q,"errors":[{"message":%q,"domain":"global","reason":%q}]}}`, f.status, f.message, f.message, f.reason)
}

func (s *strict) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	answer, f := s.serve(r)
	if f != nil {
		f.write(w)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer) // the client may be gone
}

// serve finds the method that a request stands for.
func (s *strict) serve(r *http.Request) (any, *fault) {
	if strings.HasPrefix(r.URL.Path, "/upload/") {
		return s.insert(r)
	}
	path, ok := strings.CutPrefix(r.URL.EscapedPath(), "/storage/v1/b/vault")
	if !ok {
		return nil, &fault{404, "notFound", "no such bucket"}
	}
	words := strings.Split(strings.TrimPrefix(path, "/"), "/")
	for i := range words {
		words[i], _ = url.PathUnescape(words[i])
	}
	switch {
	case path == "" && r.Method == http.MethodGet:
		return s.settings, s.need("", "storage.buckets.get")
	case path == "" && r.Method == http.MethodPatch:
		return s.patchBucket(r)
	case path == "/iam/testPermissions":
		return s.test(r), nil
	case path == "/o" && r.Method == http.MethodGet:
		return s.list(r)
	case words[0] == "o" && len(words) == 2 && r.Method == http.MethodGet:
		return s.get(words[1])
	case words[0] == "o" && len(words) == 2 && r.Method == http.MethodPatch:
		return s.patch(r, words[1])
	case words[0] == "o" && len(words) == 2 && r.Method == http.MethodDelete:
		return s.delete(r, words[1])
	case words[0] == "o" && len(words) == 7 && words[2] == "rewriteTo":
		return s.rewrite(words[1], words[6])
	case words[0] == "o" && len(words) == 3 && words[2] == "compose":
		return s.compose(r, words[1])
	}
	return nil, &fault{404, "notFound", "no such method: " + r.Method + " " + path}
}

// need refuses in Google's words what the credential may not do.
func (s *strict) need(object string, permissions ...string) *fault {
	for _, p := range permissions {
		prefix, conditional := s.within[p]
		if slices.Contains(s.granted, p) || conditional && strings.HasPrefix(object, prefix) {
			continue
		}
		return &fault{403, "forbidden", fmt.Sprintf("agent@project.iam.gserviceaccount.com does not have %s access to the Google Cloud Storage object. Permission '%s' denied on resource (or it may not exist).", p, p)}
	}
	return nil
}

var failedCondition = &fault{412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold."}

// conditions looks at what a request demands of the object.
func conditions(r *http.Request, o *stored) *fault {
	var generation, metageneration int64
	if o != nil {
		generation, metageneration = o.generation, o.metageneration
	}
	for key, have := range map[string]int64{"ifGenerationMatch": generation, "ifMetagenerationMatch": metageneration} {
		if want := r.URL.Query().Get(key); want != "" && want != strconv.FormatInt(have, 10) {
			return failedCondition
		}
	}
	return nil
}

// put stores an object, which takes the right to delete where there is one.
func (s *strict) put(name string, body []byte) (any, *fault) {
	if f := s.need(name, "storage.objects.create"); f != nil {
		return nil, f
	}
	if _, there := s.objects[name]; there {
		if f := s.need(name, "storage.objects.delete"); f != nil {
			return nil, f
		}
	}
	s.counter++
	s.objects[name] = &stored{generation: s.counter, metageneration: 1, body: body}
	return s.resource(name), nil
}

func (s *strict) resource(name string) any {
	o := s.objects[name]
	crc := binary.BigEndian.AppendUint32(nil, crc32.Checksum(o.body, crc32.MakeTable(crc32.Castagnoli)))
	return map[string]any{"crc32c": base64.StdEncoding.EncodeToString(crc), "kind": "storage#object", "bucket": "vault", "name": name, "generation": fmt.Sprint(o.generation), "metageneration": fmt.Sprint(o.metageneration), "size": fmt.Sprint(len(o.body))}
}

func (s *strict) insert(r *http.Request) (any, *fault) {
	_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return nil, &fault{400, "invalid", err.Error()}
	}
	parts := multipart.NewReader(r.Body, params["boundary"])
	var meta struct{ Name string }
	var body bytes.Buffer
	for i := range 2 {
		part, err := parts.NextPart()
		if err != nil {
			return nil, &fault{400, "invalid", err.Error()}
		}
		if i == 0 {
			err = json.NewDecoder(part).Decode(&meta)
		} else {
			_, err = io.Copy(&body, part)
		}
		if err != nil {
			return nil, &fault{400, "invalid", err.Error()}
		}
	}
	if f := s.need(meta.Name, "storage.objects.create"); f != nil {
		return nil, f
	}
	if f := conditions(r, s.objects[meta.Name]); f != nil {
		return nil, f
	}
	return s.put(meta.Name, body.Bytes())
}

func (s *strict) patch(r *http.Request, name string) (any, *fault) {
	var change map[string]any
	if err := json.NewDecoder(r.Body).Decode(&change); err != nil {
		return nil, &fault{400, "invalid", err.Error()}
	}
	permissions := []string{"storage.objects.update"}
	if change["retention"] != nil {
		permissions = append(permissions, "storage.objects.setRetention")
	}
	if r.URL.Query().Get("overrideUnlockedRetention") == "true" {
		permissions = append(permissions, "storage.objects.overrideUnlockedRetention")
	}
	if f := s.need(name, permissions...); f != nil {
		return nil, f
	}
	o := s.objects[name]
	if o == nil {
		return nil, &fault{404, "notFound", "No such object"}
	}
	if f := conditions(r, o); f != nil {
		return nil, f
	}
	o.metageneration++
	return s.resource(name), nil
}

func (s *strict) delete(r *http.Request, name string) (any, *fault) {
	if f := s.need(name, "storage.objects.delete"); f != nil {
		return nil, f
	}
	o := s.objects[name]
	if g := r.URL.Query().Get("generation"); o == nil || g != "" && g != strconv.FormatInt(o.generation, 10) {
		return nil, &fault{404, "notFound", "No such object"}
	}
	if f := conditions(r, o); f != nil {
		return nil, f
	}
	delete(s.objects, name)
	return map[string]any{}, nil
}

func (s *strict) rewrite(source, name string) (any, *fault) {
	if f := s.need(source, "storage.objects.get"); f != nil {
		return nil, f
	}
	o := s.objects[source]
	if o == nil {
		return nil, &fault{404, "notFound", "No such object"}
	}
	resource, f := s.put(name, o.body)
	return map[string]any{"kind": "storage#rewriteResponse", "done": true, "resource": resource}, f
}

func (s *strict) compose(r *http.Request, name string) (any, *fault) {
	var request struct{ SourceObjects []struct{ Name string } }
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil || len(request.SourceObjects) == 0 {
		return nil, &fault{400, "invalid", "no sources"}
	}
	source := request.SourceObjects[0].Name
	if f := s.need(source, "storage.objects.get"); f != nil {
		return nil, f
	}
	if s.objects[source] == nil {
		return nil, &fault{404, "notFound", "No such object"}
	}
	return s.put(name, s.objects[source].body)
}

func (s *strict) patchBucket(r *http.Request) (any, *fault) {
	if f := s.need("", "storage.buckets.update"); f != nil {
		return nil, f
	}
	if f := conditions(r, &stored{metageneration: 7}); f != nil {
		return nil, f
	}
	s.settings = map[string]any{"changed": true}
	return s.settings, nil
}

// test answers what the credential may do with the bucket. Grants that depend on an object's name are not among it.
func (s *strict) test(r *http.Request) any {
	held := []string{}
	for _, p := range r.URL.Query()["permissions"] {
		if slices.Contains(s.granted, p) {
			held = append(held, p)
		}
	}
	return map[string]any{"kind": "storage#testIamPermissionsResponse", "permissions": held}
}

// bodies are what is stored below the prefix, by the vault's names.
func (s *strict) bodies(prefix string) map[string][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := map[string][]byte{}
	for name, o := range s.objects {
		found[strings.TrimPrefix(name, prefix)] = o.body
	}
	return found
}

// get answers with an object's description.
func (s *strict) get(name string) (any, *fault) {
	if f := s.need(name, "storage.objects.get"); f != nil {
		return nil, f
	}
	if s.objects[name] == nil {
		return nil, &fault{404, "notFound", "No such object: vault/" + name}
	}
	return s.resource(name), nil
}

// list answers with all objects below a prefix, on one page.
func (s *strict) list(r *http.Request) (any, *fault) {
	if f := s.need("", "storage.objects.list"); f != nil {
		return nil, f
	}
	q := r.URL.Query()
	items := []any{}
	for _, name := range slices.Sorted(maps.Keys(s.objects)) {
		if strings.HasPrefix(name, q.Get("prefix")) && name >= q.Get("startOffset") {
			items = append(items, s.resource(name))
		}
	}
	return map[string]any{"kind": "storage#objects", "items": items}, nil
}

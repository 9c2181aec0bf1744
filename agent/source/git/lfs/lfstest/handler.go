package lfstest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	mediaType  = "application/vnd.git-lfs+json"
	objectPath = "/lfs-objects/"
	// token is what the links' own header must say: it differs from the account's password.
	token = "RemoteAuth lfstest"
)

// ServeHTTP answers batches and locks of any repository, and the transfers that the batches link to.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.host = "http://" + r.Host
	switch {
	case strings.HasPrefix(r.URL.Path, objectPath):
		s.transfer(w, r)
	case !strings.Contains(r.URL.Path, ".git/info/lfs/"):
		fail(w, http.StatusNotFound, "no such repository")
	case !s.allowed(r):
		w.Header().Set("LFS-Authenticate", `Basic realm="lfstest"`)
		w.Header().Set("WWW-Authenticate", `Basic realm="lfstest"`)
		fail(w, http.StatusUnauthorized, "credentials needed")
	case strings.HasSuffix(r.URL.Path, "/objects/batch") && r.Method == http.MethodPost:
		s.batch(w, r)
	case strings.HasSuffix(r.URL.Path, "/verify") && strings.Contains(r.URL.Path, "/objects/"):
		w.WriteHeader(http.StatusOK)
	default: // locks are optional
		fail(w, http.StatusNotFound, "not found")
	}
}

func (s *Server) allowed(r *http.Request) bool {
	user, password, _ := r.BasicAuth()
	return s.password == "" || user == s.username && password == s.password
}

func fail(w http.ResponseWriter, code int, message string) {
	w.Header().Set("Content-Type", mediaType)
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]string{"message": message, "request_id": "1"}) // a client that is gone needs no answer
}

type object struct {
	OID           string           `json:"oid"`
	Size          int64            `json:"size"`
	Authenticated bool             `json:"authenticated,omitempty"`
	Actions       map[string]*link `json:"actions,omitempty"`
	Error         *objectError     `json:"error,omitempty"`
}

type link struct {
	Href      string            `json:"href"`
	Header    map[string]string `json:"header,omitempty"`
	ExpiresAt string            `json:"expires_at,omitempty"`
	ExpiresIn int64             `json:"expires_in,omitempty"`
}

type objectError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// batch answers one request of the batch API.
func (s *Server) batch(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Operation string   `json:"operation"`
		Transfers []string `json:"transfers"`
		Objects   []object `json:"objects"`
		HashAlgo  string   `json:"hash_algo"`
	}
	err := json.NewDecoder(r.Body).Decode(&in)
	if err != nil || r.Header.Get("Accept") == "" || !strings.HasPrefix(r.Header.Get("Content-Type"), mediaType) {
		fail(w, http.StatusUnprocessableEntity, "no batch request")
		return
	}
	s.note("batch %s %d", in.Operation, len(in.Objects))
	if code := s.refusal(len(in.Objects)); code != 0 {
		if code == http.StatusTooManyRequests || code == http.StatusServiceUnavailable {
			w.Header().Set("Retry-After", "1")
		}
		fail(w, code, "the batch is refused\x1b[31m\nfor "+r.Header.Get("Authorization"))
		return
	}
	out := map[string]any{"transfer": "basic", "hash_algo": "sha256"}
	objects := []object{}
	for _, o := range in.Objects {
		if in.Operation == "upload" {
			objects = append(objects, s.upload(o))
		} else if o, ok := s.download(o); ok {
			objects = append(objects, o)
		}
	}
	out["objects"] = objects
	w.Header().Set("Content-Type", mediaType)
	_ = json.NewEncoder(w).Encode(out) // a client that is gone needs no answer
}

// refusal returns the status with which this batch fails, 0 when it does not.
func (s *Server) refusal(objects int) int {
	for _, b := range s.batches {
		if b[1] > 0 {
			b[1]--
			return b[0]
		}
	}
	if s.limit > 0 && objects > s.limit {
		return http.StatusRequestEntityTooLarge
	}
	return 0
}

func (s *Server) upload(o object) object {
	if _, have := s.objects[o.OID]; !have {
		header := map[string]string{"Authorization": token}
		o.Actions = map[string]*link{"upload": {Href: s.host + objectPath + o.OID, Header: header}}
	}
	return o
}

// download returns the answer for one object; ok is false when there is to be none.
func (s *Server) download(o object) (answer object, ok bool) {
	fault := s.faults[o.OID]
	content, have := s.objects[o.OID]
	code := map[Fault]int{Missing: 404, Removed: 410, Forbidden: 403}[fault]
	switch {
	case fault == Unnamed:
		return o, false
	case code == 0 && !have:
		code = http.StatusNotFound
	case code == 0 && int64(len(content)) != o.Size:
		code = http.StatusUnprocessableEntity
	}
	if code != 0 {
		o.Error = &objectError{Code: code, Message: "object " + strings.ToLower(http.StatusText(code))}
		return o, true
	}
	o.Authenticated = true
	l := &link{Href: s.host + objectPath + o.OID, Header: map[string]string{"Authorization": token}, ExpiresIn: 3600}
	switch fault {
	case Expired:
		if s.once(o.OID) {
			l.Href += "?expired"
			l.ExpiresIn, l.ExpiresAt = 0, time.Now().Add(-time.Minute).UTC().Format(time.RFC3339)
		}
	case Refused:
		if s.once(o.OID) {
			l.Href += "?expired"
		}
	case Elsewhere:
		l.Href = s.elsewhere + "/" + o.OID + "?signature=secret"
		l.Header = nil
	case Account:
		l.Header, o.Authenticated = nil, false
	}
	o.Actions = map[string]*link{"download": l}
	return o, true
}

// transfer answers a request to a link.
func (s *Server) transfer(w http.ResponseWriter, r *http.Request) {
	oid := path.Base(r.URL.Path)
	fault := s.faults[oid]
	if r.Method == http.MethodPut {
		s.store(w, r, oid)
		return
	}
	from := offset(r)
	if from > 0 {
		s.note("get %s from %d", oid, from)
	} else {
		s.note("get %s", oid)
	}
	switch {
	case fault == Account && (r.Header.Get("Authorization") == token || !s.allowed(r)):
		fail(w, http.StatusUnauthorized, "credentials needed")
	case fault != Account && r.Header.Get("Authorization") != token:
		fail(w, http.StatusUnauthorized, "the link's own header is missing")
	case r.URL.RawQuery == "expired":
		fail(w, http.StatusForbidden, "the link has expired")
	case fault == Redirect:
		http.Redirect(w, r, s.elsewhere+"/"+oid+"?signature=secret", http.StatusFound)
	case fault == Busy && s.once(oid):
		w.Header().Set("Retry-After", "1")
		fail(w, http.StatusTooManyRequests, "slow down")
	case fault == Broken:
		fail(w, http.StatusInternalServerError, "no luck")
	case fault == Vanished || s.objects[oid] == nil:
		fail(w, http.StatusNotFound, "not found")
	default:
		s.send(w, r, oid, from)
	}
}

func offset(r *http.Request) int64 {
	n, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimPrefix(r.Header.Get("Range"), "bytes="), "-"), 10, 64)
	return n
}

// send sends an object's content as its fault says.
func (s *Server) send(w http.ResponseWriter, r *http.Request, oid string, from int64) {
	content, fault := bytes.Clone(s.objects[oid]), s.faults[oid]
	again := fault == CutNoRange && !s.once(oid)
	s.mu.Unlock() // a client may be slow, and ask for other things meanwhile
	defer s.mu.Lock()
	switch fault {
	case Wrong:
		content[len(content)/2] ^= 1
	case Long:
		content = append(content, 'x')
	case Short:
		content = content[:len(content)-1]
	case Cut:
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(content)-1, len(content)))
		status := http.StatusPartialContent
		if from == 0 {
			status = http.StatusOK
			w.Header().Del("Content-Range")
		}
		cut(w, status, content[from:])
		return
	case CutNoRange:
		r.Header.Del("Range")
		if !again {
			cut(w, http.StatusOK, content)
			return
		}
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}

// cut promises the rest, sends half of it, and breaks the connection. A single byte is sent as it is.
func cut(w http.ResponseWriter, status int, rest []byte) {
	w.Header().Set("Content-Length", strconv.Itoa(len(rest)))
	w.WriteHeader(status)
	_, _ = w.Write(rest[:(len(rest)+1)/2])
	if len(rest) == 1 {
		return
	}
	if f, ok := w.(http.Flusher); ok {
		f.Flush()
	}
	panic(http.ErrAbortHandler)
}

// store takes an upload, whose bytes must be those of its name.
func (s *Server) store(w http.ResponseWriter, r *http.Request, oid string) {
	s.note("put %s", oid)
	content, err := io.ReadAll(r.Body)
	sum := sha256.Sum256(content)
	if err != nil || hex.EncodeToString(sum[:]) != oid || r.Header.Get("Authorization") != token {
		fail(w, http.StatusUnprocessableEntity, "the bytes are not those of the name")
		return
	}
	s.objects[oid] = content
	w.WriteHeader(http.StatusOK)
}

// other is the other host: a store with signed links, which like those of the clouds takes no second authorization.
func (s *Server) other(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	oid := path.Base(r.URL.Path)
	s.note("elsewhere %s", oid)
	content, have := s.objects[oid]
	switch {
	case r.Header.Get("Authorization") != "" || r.URL.Query().Get("signature") != "secret":
		fail(w, http.StatusBadRequest, "only one way of authorization, by the signature, is allowed")
	case !have:
		fail(w, http.StatusNotFound, "not found")
	default:
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	}
}

// Objects returns the ids of the objects that the server has, sorted.
func (s *Server) Objects() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := make([]string, 0, len(s.objects))
	for id := range s.objects {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

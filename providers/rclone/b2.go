package rclone

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"

	b2api "github.com/rclone/rclone/backend/b2/api"
	"github.com/rclone/rclone/fs"
	"github.com/rclone/rclone/fs/config/configmap"
	"github.com/rclone/rclone/fs/fshttp"
	"github.com/rclone/rclone/lib/encoder"
)

// backblaze speaks to Backblaze B2 itself, for what rclone does not show: its listing of versions leaves out what hides a file, has no pages, and tells versions of the same
// millisecond apart by nothing. Only calls that read are made, with the remote's own key. It may be used concurrently.
type backblaze struct {
	client   *http.Client
	endpoint string
	account  string
	key      string
	bucket   string
	root     string // empty, or ends with a slash
	encoding encoder.MultiEncoder

	mu   sync.Mutex
	auth *b2Auth
}

// b2Auth is what a key may use for a day.
type b2Auth struct{ account, token, api, download, bucketID string }

// b2Endpoint is where keys are accepted, unless the remote says otherwise.
const b2Endpoint = "https://api.backblazeb2.com"

// maxAnswer bounds an answer of the interface, in bytes: a thousand versions with ten headers each of the files' own are below it.
const maxAnswer = 32 << 20

// newB2 returns the client of a remote, or nil where the remote encrypts with a key of the customer's (SSE-C).
func newB2(ctx context.Context, c configmap.Getter, root string) (*backblaze, error) {
	get := func(key string) string {
		value, _ := c.Get(key)
		return value
	}
	if get("sse_customer_key")+get("sse_customer_key_base64") != "" {
		return nil, nil
	}
	b := &backblaze{client: fshttp.NewClient(settings(ctx)), endpoint: strings.TrimRight(cmp.Or(get("endpoint"), b2Endpoint), "/"), account: get("account"), key: get("key")}
	// Else a redirect would take the token to another host.
	b.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if e := get("encoding"); e != "" {
		if err := b.encoding.Set(e); err != nil {
			return nil, err
		}
	}
	b.bucket, b.root, _ = strings.Cut(strings.Trim(root, "/"), "/")
	if b.root != "" {
		b.root += "/"
	}
	return b, nil
}

// path is a name or prefix as the bucket has it; name takes the root away again. It does not decode: no vault's name needs it, and a listing of what a stranger put there would be out of order.
func (b *backblaze) path(name string) string { return b.encoding.FromStandardPath(b.root + name) }

func (b *backblaze) name(path string) (string, error) {
	name, ok := strings.CutPrefix(path, b.path(""))
	if !ok {
		return "", fmt.Errorf("the store listed %q, outside the prefix that it was asked for", path)
	}
	return name, nil
}

// call makes one request of the interface, after signing in where need be. A token that has run out is replaced once.
func (b *backblaze) call(ctx context.Context, name string, question func(*b2Auth) any, answer any) error {
	for fresh := false; ; fresh = true {
		auth, err := b.signIn(ctx, fresh)
		if err != nil {
			return err
		}
		body, err := json.Marshal(question(auth))
		if err != nil {
			return err
		}
		err = b.ask(ctx, auth, name, body, answer)
		if !expired(err) || fresh {
			return err
		}
	}
}

// expired reports whether a new token would help.
func expired(err error) bool {
	var e *b2api.Error
	return errors.As(err, &e) && e.Status == http.StatusUnauthorized && (e.Code == "expired_auth_token" || e.Code == "bad_auth_token")
}

// ask makes one request.
func (b *backblaze) ask(ctx context.Context, auth *b2Auth, name string, body []byte, answer any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, auth.api+"/b2api/v4/"+name, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", auth.token)
	return b.decode(req, answer)
}

// decode sends the request and reads the answer.
func (b *backblaze) decode(req *http.Request, answer any) error {
	resp, err := b.send(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(answer); err != nil {
		return fmt.Errorf("the store's answer can't be read: %w", err)
	}
	return nil
}

// send sends the request. An answer that is no success is an error.
func (b *backblaze) send(req *http.Request) (*http.Response, error) {
	resp, err := b.client.Do(req)
	if err != nil {
		// The error would repeat the URL; there is no secret in it, but what is asked for is said already.
		var u *url.Error
		if errors.As(err, &u) && req.Context().Err() == nil {
			err = fmt.Errorf("no answer from %s: %w", req.URL.Host, u.Err)
			return nil, disturbed{err}
		}
		return nil, err
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	e := &b2api.Error{}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<16)).Decode(e); err != nil || e.Code == "" {
		e = &b2api.Error{Code: "unknown", Message: resp.Status}
	}
	e.Status = resp.StatusCode
	return nil, e
}

// disturbed is a failure of the network, which rclone's own classification finds by its method.
type disturbed struct{ error }

func (d disturbed) Unwrap() error { return d.error }

// Retry says that another attempt may succeed (fserrors.Retrier).
func (d disturbed) Retry() bool { return true }

// signIn returns what the key may use. fresh asks for a new token.
func (b *backblaze) signIn(ctx context.Context, fresh bool) (*b2Auth, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.auth != nil && !fresh {
		return b.auth, nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.endpoint+"/b2api/v4/b2_authorize_account", nil)
	if err != nil {
		return nil, err
	}
	req.SetBasicAuth(b.account, b.key)
	var info b2api.AuthorizeAccountResponse
	if err := b.decode(req, &info); err != nil {
		return nil, fmt.Errorf("sign in to B2: %w", err)
	}
	auth := &b2Auth{account: info.AccountID, token: info.AuthorizationToken, api: info.APIs.Storage.APIURL, download: info.APIs.Storage.DownloadURL}
	for _, allowed := range info.APIs.Storage.Allowed.Buckets {
		if b.encoding.ToStandardName(allowed.Name) == b.bucket {
			auth.bucketID = allowed.ID
		}
	}
	if auth.bucketID == "" {
		found, err := b.find(ctx, auth)
		if err != nil {
			return nil, err
		}
		auth.bucketID = found.ID
	}
	b.auth = auth
	return auth, nil
}

// b2Bucket is what the interface tells of a bucket.
type b2Bucket struct {
	ID    string                `json:"bucketId"`
	Name  string                `json:"bucketName"`
	Rules []b2api.LifecycleRule `json:"lifecycleRules"`
	Lock  struct {
		Readable bool `json:"isClientAuthorizedToRead"`
		Value    *struct {
			Enabled bool `json:"isFileLockEnabled"`
			Default struct {
				Mode   string `json:"mode"`
				Period *struct {
					Duration int64  `json:"duration"`
					Unit     string `json:"unit"`
				} `json:"period"`
			} `json:"defaultRetention"`
		} `json:"value"`
	} `json:"fileLockConfiguration"`
}

// find asks for the bucket.
func (b *backblaze) find(ctx context.Context, auth *b2Auth) (*b2Bucket, error) {
	body, err := json.Marshal(map[string]string{"accountId": auth.account, "bucketName": b.encoding.FromStandardName(b.bucket)})
	if err != nil {
		return nil, err
	}
	var answer struct {
		Buckets []b2Bucket `json:"buckets"`
	}
	if err := b.ask(ctx, auth, "b2_list_buckets", body, &answer); err != nil {
		return nil, err
	}
	for i := range answer.Buckets {
		if b.encoding.ToStandardName(answer.Buckets[i].Name) == b.bucket {
			return &answer.Buckets[i], nil
		}
	}
	return nil, fmt.Errorf("the bucket %s does not exist, or this key may not see it: %w", b.bucket, fs.ErrorDirNotFound)
}

package rclone

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	b2api "github.com/rclone/rclone/backend/b2/api"
	"github.com/rclone/rclone/fs"

	"farshore/providers"
)

var (
	_ providers.Historian = (*Driver)(nil)
	_ providers.Keeper    = (*Driver)(nil)
	_ providers.Partial   = (*Driver)(nil)
)

// Can says whether versions, locks and settings can be seen (providers.Partial): on B2 only, and there not with SSE-C.
func (d *Driver) Can() (historian, keeper bool) { return d.b2 != nil, d.b2 != nil }

// errNoHistory is for callers that did not ask Can.
var errNoHistory = fmt.Errorf("versions can be seen on remotes of type b2 only: %w", fs.ErrorNotImplemented)

// b2File is what the interface tells of a version.
type b2File struct {
	ID        string          `json:"fileId"`
	Name      string          `json:"fileName"`
	Action    string          `json:"action"`
	Length    int64           `json:"contentLength"`
	Time      b2api.Timestamp `json:"uploadTimestamp"`
	Retention struct {
		Readable bool `json:"isClientAuthorizedToRead"`
		Value    *struct {
			Mode  string           `json:"mode"`
			Until *b2api.Timestamp `json:"retainUntilTimestamp"`
		} `json:"value"`
	} `json:"fileRetention"`
	Hold struct {
		Readable bool   `json:"isClientAuthorizedToRead"`
		Value    string `json:"value"`
	} `json:"legalHold"`
}

// b2Actions are the entries of a listing that are versions: a hidden file is a marker. Unfinished uploads ("start") are none.
var b2Actions = map[string]bool{"upload": true, "hide": true}

// b2List is a question for versions, and its answer.
type b2List struct {
	Bucket    string `json:"bucketId"`
	StartName string `json:"startFileName,omitempty"`
	StartID   string `json:"startFileId,omitempty"`
	Prefix    string `json:"prefix,omitempty"`
	Max       int    `json:"maxFileCount"`
}

type b2Listed struct {
	Files    []b2File `json:"files"`
	NextName *string  `json:"nextFileName"`
	NextID   *string  `json:"nextFileId"`
}

// list makes one request.
func (b *backblaze) list(ctx context.Context, q b2List) (b2Listed, error) {
	var answer b2Listed
	err := b.call(ctx, "b2_list_file_versions", func(a *b2Auth) any { q.Bucket = a.bucketID; return q }, &answer)
	return answer, err
}

// startSeparator stands in a Mark's id between the id and the name at which B2 goes on: the next version, not the last one. No name has it.
const startSeparator = "\x00"

// start is where a listing goes on behind the mark. A space is the least that a longer name can go on with. skip is the version that the store begins with though it was
// listed already.
func (b *backblaze) start(prefix string, after providers.Mark) (q b2List, skip string) {
	q.Prefix = b.path(prefix)
	id, name, ok := strings.Cut(after.ID, startSeparator)
	switch {
	case ok:
		q.StartName, q.StartID = name, id
	case after.ID != "":
		q.StartName, q.StartID = b.path(after.Name), after.ID
		skip = after.ID
	case after.Name != "":
		q.StartName = b.path(after.Name) + " "
	}
	return q, skip
}

// Versions returns one page of versions and markers, of B2 only (providers.Historian).
func (d *Driver) Versions(ctx context.Context, prefix string, after providers.Mark, limit int) (page []providers.Version, next providers.Mark, more bool, err error) {
	if d.b2 == nil {
		return nil, next, false, fail("list", prefix, errNoHistory)
	}
	switch {
	case after.Name < prefix:
		after = providers.Mark{}
	case !strings.HasPrefix(after.Name, prefix):
		return nil, next, false, nil
	}
	last := after.Name
	if after.ID == "" {
		last = "" // nothing of the name was listed
	}
	q, skip := d.b2.start(prefix, after)
	var starts []string // what a mark's id is that lets a listing begin with each entry
	for q.Max = min(limit, 1000); ; {
		answer, err := d.b2.list(d.context(ctx), q)
		if err != nil {
			return nil, providers.Mark{}, false, fail("list", prefix, err)
		}
		for i := range answer.Files {
			f := &answer.Files[i]
			if !b2Actions[f.Action] || f.ID == skip {
				continue
			}
			v, err := d.b2.version(f)
			if err != nil {
				return nil, providers.Mark{}, false, fail("list", prefix, err)
			}
			v.Current = v.Name != last
			last = v.Name
			page = append(page, v)
			starts = append(starts, v.ID+startSeparator+f.Name)
		}
		if len(page) > limit {
			return page[:limit], providers.Mark{Name: page[limit-1].Name, ID: starts[limit]}, true, nil
		}
		if answer.NextName == nil {
			return page, providers.Mark{}, false, nil
		}
		id := ""
		if answer.NextID != nil {
			id = *answer.NextID
		}
		if len(page) > 0 {
			return page, providers.Mark{Name: last, ID: id + startSeparator + *answer.NextName}, true, nil
		}
		if *answer.NextName == q.StartName && id == q.StartID {
			return nil, providers.Mark{}, false, fail("list", prefix, fmt.Errorf("the store says that more versions follow %q and gets no further", q.StartName))
		}
		q.StartName, q.StartID = *answer.NextName, id
		q.Max = 1000 // a stranger can begin any number of uploads, and they have to be passed in the time of one request
	}
}

func (b *backblaze) version(f *b2File) (providers.Version, error) {
	name, err := b.name(f.Name)
	v := providers.Version{Info: providers.Info{Name: name, Modified: time.Time(f.Time)}, ID: f.ID, Marker: f.Action == "hide"}
	if !v.Marker {
		v.Size = f.Length
	}
	return v, err
}

// OpenVersion reads a range of one version, of B2 only (providers.Historian).
func (d *Driver) OpenVersion(ctx context.Context, name, id string, off, n int64) (io.ReadCloser, error) {
	if d.b2 == nil {
		return nil, fail("open", name, errNoHistory)
	}
	ctx = d.context(ctx)
	want := n
	if n == 0 {
		want = 1 // there is no range of no bytes, and the version's existence still has to be known
	}
	resp, err := d.b2.download(ctx, id, off, want)
	if status, _ := answer(err); status == http.StatusRequestedRangeNotSatisfiable {
		return empty{}, nil
	} else if status == http.StatusBadRequest || status == http.StatusNotFound {
		err = fmt.Errorf("version %s: %v: %w", id, err, fs.ErrorObjectNotFound) // also what B2 says of an id that is none, and of a marker
	}
	if err != nil {
		return nil, fail("open", name, err)
	}
	if err := d.b2.check(resp, name, off); err != nil || n == 0 {
		_ = resp.Body.Close()
		if err != nil {
			return nil, fail("open", name, err)
		}
		return empty{}, nil
	}
	size := resp.ContentLength
	if n > 0 {
		size = min(size, n)
	}
	if size < 0 {
		_ = resp.Body.Close()
		return nil, fail("open", name, errors.New("the store does not tell the size of the version"))
	}
	return &reader{ctx: ctx, name: name, body: resp.Body, size: size, left: size}, nil
}

// download asks for a range of a version.
func (b *backblaze) download(ctx context.Context, id string, off, n int64) (*http.Response, error) {
	for fresh := false; ; fresh = true {
		auth, err := b.signIn(ctx, fresh)
		if err != nil {
			return nil, err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, auth.download+"/b2api/v4/b2_download_file_by_id?fileId="+url.QueryEscape(id), nil)
		if err != nil {
			return nil, err
		}
		req.Header.Set("Authorization", auth.token)
		switch {
		case n > 0:
			req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", off, off+n-1))
		case off > 0:
			req.Header.Set("Range", fmt.Sprintf("bytes=%d-", off))
		}
		resp, err := b.send(req)
		if !expired(err) || fresh {
			return resp, err
		}
	}
}

// check refuses an answer that is of another file, or begins elsewhere than at off. Ids are the account's, not the name's.
func (b *backblaze) check(resp *http.Response, name string, off int64) error {
	path, err := url.QueryUnescape(resp.Header.Get("X-Bz-File-Name"))
	if err != nil || path != b.path(name) {
		return fmt.Errorf("the version is of the file %q: %w", path, fs.ErrorObjectNotFound)
	}
	first, _, _ := strings.Cut(strings.TrimPrefix(resp.Header.Get("Content-Range"), "bytes "), "-")
	if at, err := strconv.ParseInt(first, 10, 64); off != 0 && (err != nil || at != off) {
		return fmt.Errorf("asked for bytes from %d, the store sent Content-Range %q: %w", off, resp.Header.Get("Content-Range"), fs.ErrorNotImplemented)
	}
	return nil
}

// Lock tells the lock of a version, of B2 only (providers.Keeper). The key needs readFileRetentions.
func (d *Driver) Lock(ctx context.Context, name, id string) (providers.Lock, error) {
	if d.b2 == nil {
		return providers.Lock{}, fail("lock", name, errNoHistory)
	}
	f, err := d.b2.stat(d.context(ctx), name, id)
	switch {
	case err != nil:
		return providers.Lock{}, fail("lock", name, err)
	case !f.Retention.Readable:
		return providers.Lock{}, &providers.Error{Kind: providers.Denied, Op: "lock", Name: name, Err: errors.New("the key may not read retentions: readFileRetentions allows it")}
	}
	lock := providers.Lock{Hold: f.Hold.Value == "on"}
	if v := f.Retention.Value; v != nil && v.Mode != "" && v.Until != nil {
		lock.Mode, lock.Until = providers.LockMode(strings.ToUpper(v.Mode)), time.Time(*v.Until)
	}
	return lock, nil
}

// stat finds a version, or what a plain read sees where id is empty.
func (b *backblaze) stat(ctx context.Context, name, id string) (*b2File, error) {
	q := b2List{Prefix: b.path(name), StartName: b.path(name), StartID: id, Max: 1}
	listed, err := b.list(ctx, q)
	if status, _ := answer(err); id != "" && status == http.StatusBadRequest {
		return nil, fmt.Errorf("version %s: %v: %w", id, err, fs.ErrorObjectNotFound)
	}
	if err != nil {
		return nil, err
	}
	if len(listed.Files) == 0 || listed.Files[0].Name != b.path(name) || listed.Files[0].Action != "upload" || id != "" && listed.Files[0].ID != id {
		return nil, fs.ErrorObjectNotFound
	}
	return &listed.Files[0], nil
}

// Settings tells how the bucket keeps what it holds, of B2 only (providers.Keeper). Every bucket has versions. The key needs listBuckets, and readBucketRetentions
// for the lock.
func (d *Driver) Settings(ctx context.Context) (providers.Settings, error) {
	if d.b2 == nil {
		return providers.Settings{}, fail("settings", "", errNoHistory)
	}
	ctx = d.context(ctx)
	s := providers.Settings{Versioning: "on", Unknown: map[string]string{}}
	bucket, err := d.b2.settings(ctx)
	if kind := kindOf("settings", err); err != nil && (kind == providers.Denied || kind == providers.Unauthenticated && b2Code(err) == "unauthorized") {
		s.Unknown["lock"] = "the key may not read the bucket's settings: listBuckets and readBucketRetentions allow it"
		s.Unknown["rules"] = "the key may not read the bucket's settings: listBuckets allows it"
		return s, nil
	}
	if err != nil {
		return providers.Settings{}, fail("settings", "", err)
	}
	switch l := bucket.Lock; {
	case !l.Readable || l.Value == nil:
		s.Unknown["lock"] = "the key may not read the bucket's lock: readBucketRetentions allows it"
	default:
		s.Lock = l.Value.Enabled
		if p := l.Value.Default.Period; p != nil {
			s.Mode = providers.LockMode(strings.ToUpper(l.Value.Default.Mode))
			s.Retention = time.Duration(p.Duration) * b2Units[p.Unit]
		}
	}
	for i := range bucket.Rules {
		if r, removes := b2Rule(i, &bucket.Rules[i]); removes {
			s.Rules = append(s.Rules, r)
		}
	}
	return s, nil
}

// b2Units are the units of a default retention.
var b2Units = map[string]time.Duration{"days": 24 * time.Hour, "years": 365 * 24 * time.Hour}

func b2Code(err error) string {
	_, code := answer(err)
	return code
}

// settings asks for the bucket anew.
func (b *backblaze) settings(ctx context.Context) (*b2Bucket, error) {
	for fresh := false; ; fresh = true {
		auth, err := b.signIn(ctx, fresh)
		if err != nil {
			return nil, err
		}
		bucket, err := b.find(ctx, auth)
		if !expired(err) || fresh {
			return bucket, err
		}
	}
}

// b2Rule translates a rule, and reports whether it removes something. Rules have no ids here, only places.
func b2Rule(place int, r *b2api.LifecycleRule) (out providers.Rule, removes bool) {
	out = providers.Rule{ID: fmt.Sprintf("rule %d", place+1), Prefix: r.FileNamePrefix, Expire: b2Days(r.DaysFromUploadingToHiding), Noncurrent: b2Days(r.DaysFromHidingToDeleting)}
	return out, out.Expire != nil || out.Noncurrent != nil
}

func b2Days(n *int) *time.Duration {
	if n == nil {
		return nil
	}
	d := time.Duration(*n) * 24 * time.Hour
	return &d
}

package s3

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"farshore/providers"
)

var _ providers.Historian = (*Driver)(nil)

// Versions returns one page of versions and delete markers (providers.Historian). Keys that end with a slash are not listed, as List does it. In a bucket that never
// had versioning each object is one version with the id "null".
func (d *Driver) Versions(ctx context.Context, prefix string, after providers.Mark, limit int) (page []providers.Version, next providers.Mark, more bool, err error) {
	// Some services refuse a marker that does not have the prefix.
	switch {
	case after.Name < prefix:
		after = providers.Mark{}
	case !strings.HasPrefix(after.Name, prefix):
		return nil, providers.Mark{}, false, nil
	}
	passed := ""
	if after.ID == "" {
		passed = after.Name // all of it: some services list it once more
	}
	for again := false; ; again = true {
		page, next, more, err := d.versionPage(ctx, prefix, d.read(after), limit)
		if err != nil {
			return nil, providers.Mark{}, false, err
		}
		for len(page) > 0 && page[0].Name <= passed {
			page = page[1:]
		}
		if len(page) > 0 || !more {
			return page, next, more, nil
		}
		if next == after || next.Name < after.Name {
			return nil, providers.Mark{}, false, &providers.Error{Kind: providers.Other, Op: "list", Name: prefix, Err: fmt.Errorf("the store says that more versions follow %q and gets no further", after.Name)}
		}
		if again && strings.HasSuffix(next.Name, "/") {
			return []providers.Version{{Info: providers.Info{Name: next.Name}}}, next, true, nil // as List does it
		}
		after, limit = next, 1000
	}
}

// versionPage makes one request.
func (d *Driver) versionPage(ctx context.Context, prefix string, after marker, limit int) (page []providers.Version, next providers.Mark, more bool, err error) {
	var sent order
	out, err := d.client.ListObjectVersions(ctx, d.versionsInput(prefix, after, limit), sent.note)
	if err != nil {
		return nil, next, false, d.fail(ctx, "list", prefix, err)
	}
	page, next, err = d.versions(out, sent, after)
	if err != nil {
		return nil, next, false, &providers.Error{Kind: providers.Other, Op: "list", Name: prefix, Err: err}
	}
	if !aws.ToBool(out.IsTruncated) {
		return page, providers.Mark{}, false, nil
	}
	if aws.ToString(out.NextKeyMarker) == "" {
		// To guess where it goes on would mean to pass over versions.
		return nil, next, false, &providers.Error{Kind: providers.Unsupported, Op: "list", Name: prefix, Err: errors.New("the store says that more versions follow, and not where")}
	}
	return page, next, true, nil
}

// marker is a providers.Mark as the service wants it back: its own key marker need not be a key.
type marker struct{ name, id, key string }

// keySeparator stands between the version id and a key marker that is no listed key, in a Mark's id. Neither can hold it.
const keySeparator = "\x00"

// read takes a mark apart.
func (d *Driver) read(m providers.Mark) marker {
	id, key, ok := strings.Cut(m.ID, keySeparator)
	if !ok && m.Name != "" {
		key = d.prefix + m.Name
	}
	return marker{name: m.Name, id: id, key: key}
}

// versionsInput asks for what lies behind the marker.
func (d *Driver) versionsInput(prefix string, after marker, limit int) *awss3.ListObjectVersionsInput {
	in := &awss3.ListObjectVersionsInput{
		Bucket: aws.String(d.at.Bucket), Prefix: d.key(prefix), EncodingType: types.EncodingTypeUrl,
		// Some services begin a page with the entry of the marker, and so never end in pages of one.
		MaxKeys: aws.Int32(int32(min(max(limit, 2), 1000))),
	}
	if after.key != "" {
		in.KeyMarker = aws.String(after.key)
	}
	if after.id != "" {
		in.VersionIdMarker = aws.String(after.id)
	}
	return in
}

// versions translates a page of the store's, without what it repeats of the page before, and returns where the next one begins.
func (d *Driver) versions(out *awss3.ListObjectVersionsOutput, sent order, after marker) (page []providers.Version, next providers.Mark, err error) {
	versions, markers, last, err := d.entries(out)
	if err != nil {
		return nil, next, err
	}
	if page, err = sent.merge(versions, markers); err != nil {
		return nil, next, err
	}
	page = unrepeated(vault(page), after)
	key, err := decode(aws.ToString(out.NextKeyMarker), out.EncodingType)
	next = providers.Mark{Name: max(last, after.name), ID: aws.ToString(out.NextVersionIdMarker)}
	if key != d.prefix+next.Name {
		next.ID += keySeparator + key
	}
	return page, next, err
}

// decode is a key as it is.
func decode(key string, how types.EncodingType) (string, error) {
	if how != types.EncodingTypeUrl {
		return key, nil
	}
	key, err := url.QueryUnescape(key)
	if err != nil {
		return "", fmt.Errorf("the store listed a key that can't be decoded: %w", err)
	}
	return key, nil
}

// entries translates both lists of a page. last is the last name of all.
func (d *Driver) entries(out *awss3.ListObjectVersionsOutput) (versions, markers []providers.Version, last string, err error) {
	add := func(list *[]providers.Version, v providers.Version, encoded *string, owner *types.Owner) error {
		key, err := decode(aws.ToString(encoded), out.EncodingType)
		if err != nil {
			return err
		}
		name, ok := strings.CutPrefix(key, d.prefix)
		if !ok {
			return fmt.Errorf("%w: %q", errNotListed, key)
		}
		last = max(last, name)
		v.Name, v.By = name, by(owner)
		*list = append(*list, v)
		return nil
	}
	for i := range out.Versions {
		o := &out.Versions[i]
		info := providers.Info{Size: aws.ToInt64(o.Size), Modified: aws.ToTime(o.LastModified).UTC()}
		v := providers.Version{Info: info, ID: aws.ToString(o.VersionId), Current: aws.ToBool(o.IsLatest)}
		if err := add(&versions, v, o.Key, o.Owner); err != nil {
			return nil, nil, "", err
		}
	}
	for i := range out.DeleteMarkers {
		o := &out.DeleteMarkers[i]
		info := providers.Info{Modified: aws.ToTime(o.LastModified).UTC()}
		v := providers.Version{Info: info, ID: aws.ToString(o.VersionId), Marker: true, Current: aws.ToBool(o.IsLatest)}
		if err := add(&markers, v, o.Key, o.Owner); err != nil {
			return nil, nil, "", err
		}
	}
	return versions, markers, last, nil
}

// vault leaves folder marks out.
func vault(page []providers.Version) []providers.Version {
	return slices.DeleteFunc(page, func(v providers.Version) bool { return v.Name == "" || strings.HasSuffix(v.Name, "/") })
}

// by names an owner, "" where the store names none.
func by(o *types.Owner) string {
	if o == nil {
		return ""
	}
	return cmp.Or(aws.ToString(o.DisplayName), aws.ToString(o.ID))
}

// unrepeated leaves out what lies before the mark: some services begin a page with the entry that the last one ended with.
func unrepeated(page []providers.Version, after marker) []providers.Version {
	for len(page) > 0 && page[0].Name < after.name {
		page = page[1:]
	}
	for i := range page {
		switch {
		case page[i].Name != after.name || after.id == "":
			return page
		case page[i].ID == after.id:
			return page[i+1:]
		}
	}
	return page
}

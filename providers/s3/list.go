package s3

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"farshore/providers"
)

// List returns one page of names. Keys that end with a slash are not listed: consoles create them as folders, and no vault does. Only where there are too many of them for
// two requests does the page say how far it got by the last of them: a stranger can store any number.
func (d *Driver) List(ctx context.Context, prefix, after string, limit int) (page []providers.Info, more bool, err error) {
	start := d.prefix + after
	if full := d.prefix + prefix; strings.HasSuffix(full, "/") {
		// The prefix itself could only be a folder, and a page of that one key ends the listing on MinIO though more follows.
		start = max(start, full)
	}
	size := min(limit, 1000)
	for again := false; ; again = true {
		out, err := d.client.ListObjectsV2(ctx, &awss3.ListObjectsV2Input{
			Bucket: aws.String(d.at.Bucket), Prefix: d.key(prefix), StartAfter: aws.String(start), MaxKeys: aws.Int32(int32(size)),
			// Without it XML can't carry every key.
			EncodingType: types.EncodingTypeUrl,
		})
		if err != nil {
			return nil, false, d.fail(ctx, "list", prefix, err)
		}
		last, page, err := d.infos(out)
		if err != nil {
			return nil, false, &providers.Error{Kind: providers.Other, Op: "list", Name: prefix, Err: err}
		}
		more := aws.ToBool(out.IsTruncated)
		if len(page) > limit {
			page, more = page[:limit], true
		}
		if len(page) > 0 || !more {
			return page, more, nil
		}
		if last <= start {
			return nil, false, &providers.Error{Kind: providers.Other, Op: "list", Name: prefix, Err: fmt.Errorf("the store says that more follows %q and lists nothing", start)}
		}
		if again {
			return []providers.Info{{Name: strings.TrimPrefix(last, d.prefix)}}, true, nil
		}
		start, size = last, 1000
	}
}

// infos translates a page of the store's keys, and returns the last key of all.
func (d *Driver) infos(out *awss3.ListObjectsV2Output) (last string, page []providers.Info, err error) {
	page = make([]providers.Info, 0, len(out.Contents))
	for i := range out.Contents {
		o := &out.Contents[i]
		last = aws.ToString(o.Key)
		if out.EncodingType == types.EncodingTypeUrl {
			if last, err = url.QueryUnescape(last); err != nil {
				return "", nil, fmt.Errorf("the store listed a key that can't be decoded: %w", err)
			}
		}
		name, ok := strings.CutPrefix(last, d.prefix)
		if !ok {
			return "", nil, fmt.Errorf("%w: %q", errNotListed, last)
		}
		if name != "" && !strings.HasSuffix(name, "/") {
			page = append(page, providers.Info{Name: name, Size: aws.ToInt64(o.Size), Modified: aws.ToTime(o.LastModified).UTC()})
		}
	}
	return last, page, nil
}

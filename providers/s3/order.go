package s3

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"io"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"farshore/providers"
)

// maxListing bounds the answer to one listing, in bytes. A thousand versions with the longest keys, escaped, are 4 MB.
const maxListing = 16 << 20

// order says of each entry of a page of versions, as the service sent them, whether it is a delete marker. The client hands out versions and markers as two lists, and
// their times alone, of which some services tell only the second, don't put them in one order again.
type order []bool

// note reads the order off the answer on its way to the client.
func (o *order) note(options *awss3.Options) {
	m := middleware.DeserializeMiddlewareFunc("farshoreVersionOrder", func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
		out, metadata, err := next.HandleDeserialize(ctx, in)
		if answer, ok := out.RawResponse.(*smithyhttp.Response); ok && err == nil && answer.StatusCode == 200 {
			err = o.take(answer)
		}
		return out, metadata, err
	})
	options.APIOptions = append(options.APIOptions, func(s *middleware.Stack) error { return s.Deserialize.Add(m, middleware.After) })
}

// take reads the whole body and leaves it to be read again.
func (o *order) take(answer *smithyhttp.Response) error {
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxListing+1))
	if err == nil && len(body) > maxListing {
		err = fmt.Errorf("the store's list of versions is longer than %d bytes", maxListing)
	}
	if err != nil {
		return &smithyhttp.ResponseError{Response: answer, Err: err}
	}
	answer.Body = struct {
		io.Reader
		io.Closer
	}{bytes.NewReader(body), answer.Body}
	return o.parse(body)
}

// parse notes the elements below the root. What is no XML is the client's to complain of.
func (o *order) parse(body []byte) error {
	d := xml.NewDecoder(bytes.NewReader(body))
	*o = (*o)[:0]
	for depth := 0; ; {
		token, err := d.RawToken()
		if err != nil {
			return nil
		}
		switch t := token.(type) {
		case xml.StartElement:
			if depth++; depth == 2 && (t.Name.Local == "Version" || t.Name.Local == "DeleteMarker") {
				*o = append(*o, t.Name.Local == "DeleteMarker")
			}
		case xml.EndElement:
			depth--
		}
	}
}

// merge makes one list of two again, each of which is in the service's order. Within a name the current entry is first and then the newer; of two of the same time
// the one that was sent first. That alone would not do: some services send all markers of a page and then all versions.
func (o order) merge(versions, markers []providers.Version) ([]providers.Version, error) {
	var at [2][]int // where the versions, and the markers, were sent
	for i, marker := range o {
		k := 0
		if marker {
			k = 1
		}
		at[k] = append(at[k], i)
	}
	if len(at[0]) != len(versions) || len(at[1]) != len(markers) {
		return nil, fmt.Errorf("the store's list of versions can't be read: it has %d entries, %d were understood", len(o), len(versions)+len(markers))
	}
	page := make([]providers.Version, 0, len(o))
	for v, m := 0, 0; len(page) < len(o); {
		if m == len(markers) || v < len(versions) && before(&versions[v], &markers[m], at[0][v] < at[1][m]) {
			page, v = append(page, versions[v]), v+1
		} else {
			page, m = append(page, markers[m]), m+1
		}
	}
	return page, nil
}

// before reports whether the version comes before the marker.
func before(v, m *providers.Version, sent bool) bool {
	if v.Name != m.Name {
		return v.Name < m.Name
	}
	if v.Current || m.Current {
		return v.Current
	}
	if c := v.Modified.Compare(m.Modified); c != 0 {
		return c > 0
	}
	return sent
}

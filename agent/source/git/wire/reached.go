package wire

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Reached reports whether tips, which the server has, reach all the ids: it asks for what ids reach and tips do not, and looks whether that is nothing. A server that gives only
// what its refs point to right now refuses to say, and so does one that no longer has an id, which looks the same: then told is false.
func (r *Remote) Reached(ctx context.Context, ids, tips []string) (reached, told bool, err error) {
	pack, err := r.Pack(ctx, ids, tips, false)
	if err == nil {
		var head [12]byte
		_, err = io.ReadFull(pack, head[:])
		if cerr := pack.Close(); err == nil && cerr != nil && ctx.Err() != nil {
			err = cerr
		}
		if err == nil {
			return binary.BigEndian.Uint32(head[8:]) == 0, true, nil
		}
	}
	if errors.Is(err, ErrMoved) {
		return false, false, nil
	}
	return false, false, fmt.Errorf("ask what refs reach: %w", err)
}

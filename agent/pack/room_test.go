package pack

import (
	"bytes"
	"errors"
	"testing"
)

// TestDecompressRoom holds that room behind a frame changes nothing of what is decoded, of what was there before, or of what lies behind the room, and lets no second frame in.
func TestDecompressRoom(t *testing.T) {
	c := newCodec(t)
	for _, raw := range [][]byte{[]byte("x"), text(1000), random(1000), text(FrameSize), random(FrameSize), append(text(FrameSize/2), random(FrameSize/2)...)} {
		frame := c.Compress(nil, raw)
		for room := range 2*slack + 1 {
			all := bytes.Repeat([]byte{0xa5}, 4+len(raw)+room+100)
			copy(all, "kept")
			got, err := c.Decompress(all[:4:4+len(raw)+room], frame, len(raw))
			if err != nil || !bytes.Equal(got[4:], raw) || string(got[:4]) != "kept" || &got[0] != &all[0] {
				t.Fatalf("%d bytes with room for %d more: %v", len(raw), room, err)
			}
			behind := all[4+len(raw)+min(room, slack):]
			if !bytes.Equal(behind, bytes.Repeat([]byte{0xa5}, len(behind))) {
				t.Fatalf("%d bytes with room for %d more: what lies behind was changed", len(raw), room)
			}
		}
		two := append(bytes.Clone(frame), c.Compress(nil, []byte("short"))...)
		got, err := c.Decompress(make([]byte, 0, Room(len(raw))), two, len(raw))
		if !errors.Is(err, ErrFormat) || len(got) != 0 {
			t.Errorf("a second frame: %d bytes, %v", len(got), err)
		}
	}
}

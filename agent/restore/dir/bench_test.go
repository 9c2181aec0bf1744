package dir_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"farshore/agent/restore"
	"farshore/agent/restore/dir"
	"farshore/agent/restore/internal/rig"
)

// BenchmarkRestore restores many small items and a few large ones, and then finds them equal.
func BenchmarkRestore(b *testing.B) {
	for name, shape := range map[string]struct{ items, size int }{"2000x4KiB": {2000, 4 << 10}, "16x4MiB": {16, 4 << 20}} {
		r := rig.New(b)
		for i := range shape.items {
			r.Put(fmt.Sprintf("d%03d/%d", i/50, i), rig.Noise(uint64(i), shape.size))
		}
		r.Replicate()
		snap, reader := r.Snapshot()
		base := b.TempDir()
		runs := 0
		for _, again := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/again=%v", name, again), func(b *testing.B) {
				b.SetBytes(int64(shape.items * shape.size))
				for b.Loop() {
					if !again {
						runs++
					}
					t, err := dir.Open(filepath.Join(base, fmt.Sprint(runs)), dir.Options{})
					if err != nil {
						b.Fatal(err)
					}
					if _, err := restore.Run(b.Context(), snap, reader, t, restore.Options{}); err != nil {
						b.Fatal(err)
					}
					if err := t.Close(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

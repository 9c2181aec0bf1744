package probe

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"farshore/providers"
)

const (
	proofFile = "proof.json"
	// proofSchema names what the file holds. A program that knows another one probes anew.
	proofSchema = "farshore.proof/1"
	// maxProof bounds what is read of the file: a report has some 100 attempts of less than 1 KiB.
	maxProof = 4 << 20
)

type proof struct {
	Schema string  `json:"schema"`
	Report *Report `json:"report"`
}

// Load returns the report that Save kept in the directory, or nil where there is none that can be used: no file, another schema, or garbage. It is
// a cache, so that only a failure to read what is there is an error.
func Load(dir string) (*Report, error) {
	f, err := os.OpenFile(filepath.Join(dir, proofFile), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0) // root asks, too, in a directory that is not its own
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the proof of the last probe: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxProof+1))
	if err != nil {
		return nil, fmt.Errorf("read the proof of the last probe: %w", err)
	}
	var p proof
	if len(b) > maxProof || json.Unmarshal(b, &p) != nil || p.Schema != proofSchema || p.Report == nil {
		return nil, nil
	}
	return p.Report, nil
}

// Kept returns what the bucket kept when it was strongest, as the report in the directory has it, or nil where none is of that place.
func Kept(dir, place string) *providers.Settings {
	r, err := Load(dir)
	if err != nil || r == nil || r.Place != place {
		return nil
	}
	return &r.Baseline
}

// Save keeps the report in the directory, in place of an earlier one: in full, or not at all. Several processes may do so at once; the last one counts.
func Save(dir string, r *Report) error {
	b, err := json.MarshalIndent(proof{Schema: proofSchema, Report: r}, "", "  ")
	if err == nil {
		err = replace(dir, append(b, '\n'))
	}
	if err != nil {
		return fmt.Errorf("keep the proof of the probe in %s: %w", dir, err)
	}
	return nil
}

// replace writes the file under another name, makes it durable, and gives it its name.
func replace(dir string, b []byte) (err error) {
	f, err := os.CreateTemp(dir, proofFile+".*") // with mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name()) // the first failure is what matters, and a name that was moved is not there
		}
	}()
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), filepath.Join(dir, proofFile)); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return nil // renamed; how durable is the directory's matter
	}
	return errors.Join(d.Sync(), d.Close())
}

// Fresh reports whether the report still counts as a proof that the place is protected from the principal: it said so less than 24 hours ago, of this
// place and principal. A clock that went back, and a principal that is not known, make it no proof. What was not protected is asked again each time.
func (r *Report) Fresh(now time.Time, place, principal string) bool {
	return r != nil && r.Verdict == Protected && principal != "" && r.Principal == principal && r.Place == place &&
		!now.Before(r.Time) && now.Before(r.Expires) && now.Before(r.Time.Add(proofLife))
}

// covers reports whether what was tried includes what the options ask for.
func (r *Report) covers(o Options) bool {
	return r.Role == o.Role && !slices.ContainsFunc(o.Rooms, func(room string) bool { return !slices.Contains(r.Rooms, room) })
}

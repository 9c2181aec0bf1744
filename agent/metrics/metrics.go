// Package metrics keeps numbers for a monitoring system: in a file that the node exporter's textfile collector reads, and on a Board from which the daemon is scraped. Each run replaces what it knows anew
// and keeps what other runs left. They have names of sources, and nothing of what is in them: the file is for reading by everyone on the machine.
package metrics

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"farshore/agent/sidefile"
)

const (
	lockFile = "metrics.lock"
	// maxFile bounds the file in bytes: a thousand sources take about 2 MB.
	maxFile = 16 << 20
)

// Groups of numbers: a run that knows a group replaces all of it.
const (
	Agent = "agent" // of the last replicate, without a source
	Pass  = "pass"  // of a source's last pass
	Audit = "audit" // of the last audit
	Drill = "drill" // of a source's last drill
)

// family is a metric: its name, what it says, its group, and the names of its labels in order.
type family struct {
	name, help, group string
	labels            []string
	// sticky numbers stay until there is a new one: a failed pass says nothing about the last complete snapshot.
	sticky bool
}

const source = "source" // the label

// families are all metrics, in the order of the file.
func families() []family {
	of := []string{source}
	return []family{
		{"farshore_build_info", "The program that wrote the numbers of the last pass.", Agent, []string{"version"}, false},
		{"farshore_append_only_proven", "Whether it is proven that the agent's credential can only add to the vault.", Agent, nil, false},
		{"farshore_append_only_expires_timestamp_seconds", "Until when that proof counts.", Agent, nil, false},
		{"farshore_notifications_failed", "Messages of the last replicate that no channel took.", Agent, nil, false},
		{"farshore_last_pass_timestamp_seconds", "When the last pass over the source ended, however it did.", Pass, of, false},
		{"farshore_last_complete_snapshot_timestamp_seconds", "Time of the newest complete snapshot of the source that this machine made.", Pass, of, true},
		{"farshore_pass_duration_seconds", "How long the last pass over the source took.", Pass, of, false},
		{"farshore_pass_success", "Whether the last pass over the source ended without any failure (exit code 0).", Pass, of, false},
		{"farshore_pass_exit_code", "Exit code that the last pass over the source means.", Pass, of, false},
		{"farshore_pass_suspicious", "Whether the last pass over the source looks like an attack on it.", Pass, of, false},
		{"farshore_pass_items", "Items of the last pass over the source, by what came of them.", Pass, []string{source, "result"}, false},
		{"farshore_pass_captured_bytes", "Bytes that the last pass read at the source.", Pass, of, false},
		{"farshore_pass_stored_bytes", "Bytes of these that were new to the vault, before compression.", Pass, of, false},
		{"farshore_pass_read_back_bytes", "Bytes that the last pass restored from the vault and compared with the source before it committed.", Pass, of, false},
		{"farshore_audit_timestamp_seconds", "When the last audit ended.", Audit, nil, false},
		{"farshore_audit_duration_seconds", "How long the last audit took.", Audit, nil, false},
		{"farshore_audit_success", "Whether the last audit ended without any failure (exit code 0).", Audit, nil, false},
		{"farshore_audit_verdict", "The verdict of the last audit: 1 for the one that it came to.", Audit, []string{"verdict"}, false},
		{"farshore_audit_damaged_objects", "Stored objects that are known to be damaged or missing.", Audit, nil, false},
		{"farshore_audit_read_bytes", "Bytes that the last audit read from the vault.", Audit, nil, false},
		{"farshore_audit_coverage_ratio", "Share of the stored bytes that were read whole and matched their names at some time.", Audit, nil, false},
		{"farshore_audit_never_verified_bytes", "Stored bytes that were not verified yet.", Audit, nil, false},
		{"farshore_audit_never_verified_since_timestamp_seconds", "When the first of the objects that were not verified yet was added.", Audit, nil, false},
		{"farshore_audit_oldest_verified_timestamp_seconds", "When the object that was verified longest ago was.", Audit, nil, false},
		{"farshore_audit_oldest_unverified_seconds", "For how long the object that waits longest for its next verification waited at the end of the audit.", Audit, nil, false},
		{"farshore_audit_promise_met", "Whether everything was verified within the time that is promised.", Audit, nil, false},
		{"farshore_audit_damaged_upper_bound_ratio", "Largest share that may be damaged, at the stated confidence, by the last audit's uniform sample.", Audit, []string{"unit", "confidence"}, false},
		{"farshore_audit_lock_end_timestamp_seconds", "When the first lock ends of what the newest complete snapshots need.", Audit, nil, false},
		{"farshore_audit_restored_items", "Items that the last audit put together, by what came of them.", Audit, []string{"result"}, false},
		{"farshore_drill_timestamp_seconds", "When the last restore of a whole snapshot ended.", Drill, of, false},
		{"farshore_drill_duration_seconds", "How long it took.", Drill, of, false},
		{"farshore_drill_success", "Whether all of it was restored, and within the recovery time where one is configured.", Drill, of, false},
	}
}

// sample is a number with the values of its family's labels.
type sample struct {
	labels []string
	value  float64
}

// Set are numbers that a run knows. The zero value has none. It is not for concurrent use.
type Set struct {
	fresh map[string][]sample
	// replaced are groups, with a source's name behind a zero byte for those that have one.
	replaced map[string]bool
}

// Replace says that all numbers of a group, and of a source where the group has one, are known anew: what is not Put is gone.
func (s *Set) Replace(group, source string) {
	if s.replaced == nil {
		s.replaced = map[string]bool{}
	}
	s.replaced[group+"\x00"+source] = true
}

// Put sets a number. labels are the values of the family's labels, in their order.
func (s *Set) Put(name string, value float64, labels ...string) {
	if s.fresh == nil {
		s.fresh = map[string][]sample{}
	}
	s.fresh[name] = append(s.fresh[name], sample{labels, value})
}

// Empty reports whether there is nothing to write.
func (s *Set) Empty() bool { return len(s.fresh) == 0 && len(s.replaced) == 0 }

// Flag is 1 for true.
func Flag(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// Update merges the set into the file: it replaces what is known anew, keeps what other runs left, and drops what is about sources that are not among those named. state is a
// directory for its lock. A file that is not one of this program's numbers is replaced; nothing else in its directory is touched, and a reader sees it whole at any time.
func Update(ctx context.Context, path, state string, s *Set, sources []string) error {
	if err := os.MkdirAll(state, 0o700); err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	unlock, err := sidefile.Lock(ctx, filepath.Join(state, lockFile))
	if err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	defer unlock()
	old, err := sidefile.Read(path, maxFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, sidefile.ErrTooLarge) {
		return fmt.Errorf("metrics: %w", err)
	}
	data, err := s.merge(old, sources)
	if err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	if err := sidefile.Replace(path, data, 0o644); err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	return nil
}

// merge writes the new file.
func (s *Set) merge(old []byte, sources []string) ([]byte, error) {
	now, err := s.fold(parse(old), sources)
	if err != nil {
		return nil, err
	}
	return written(now)
}

// fold returns the numbers that there are after the set, each family's by its labels. It changes neither before nor the set.
func (s *Set) fold(before map[string][]sample, sources []string) (map[string][]sample, error) {
	now := map[string][]sample{}
	for _, f := range families() {
		var all []sample
		for _, k := range slices.Concat(s.kept(&f, before[f.name]), s.fresh[f.name]) {
			if len(k.labels) != len(f.labels) {
				return nil, fmt.Errorf("%s has %d labels, not %d", f.name, len(f.labels), len(k.labels))
			}
			if i := slices.Index(f.labels, source); i < 0 || slices.Contains(sources, k.labels[i]) {
				all = append(all, k)
			}
		}
		now[f.name] = distinct(all)
	}
	return now, nil
}

// distinct are the last samples of each combination of labels, by labels, and valid.
func distinct(all []sample) []sample {
	by := map[string]sample{}
	for _, k := range all {
		k = k.valid()
		by[strings.Join(k.labels, "\x00")] = k
	}
	var out []sample
	for _, key := range slices.Sorted(maps.Keys(by)) {
		out = append(out, by[key])
	}
	return out
}

// valid returns the sample with labels as Prometheus takes them.
func (k sample) valid() sample {
	labels := make([]string, len(k.labels))
	for i, l := range k.labels {
		labels[i] = strings.ToValidUTF8(l, "?")
	}
	return sample{labels, k.value}
}

// kept are those of a family's old numbers that the set does not replace.
func (s *Set) kept(f *family, old []sample) (out []sample) {
	for _, k := range old {
		about := ""
		if i := slices.Index(f.labels, source); i >= 0 {
			about = k.labels[i]
		}
		if f.sticky || !s.replaced[f.group+"\x00"+about] {
			out = append(out, k)
		}
	}
	return out
}

// written is all numbers in the text format of Prometheus, in the order of families.
func written(now map[string][]sample) ([]byte, error) {
	var b bytes.Buffer
	for _, f := range families() {
		if err := f.write(&b, now[f.name]); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

// write writes a family. One without numbers is left out.
func (f *family) write(b *bytes.Buffer, all []sample) error {
	if len(all) == 0 {
		return nil
	}
	kind := dto.MetricType_GAUGE
	out := &dto.MetricFamily{Name: &f.name, Help: &f.help, Type: &kind}
	for _, k := range all {
		m := &dto.Metric{Gauge: &dto.Gauge{Value: &k.value}}
		for i := range f.labels {
			m.Label = append(m.Label, &dto.LabelPair{Name: &f.labels[i], Value: &k.labels[i]})
		}
		out.Metric = append(out.Metric, m)
	}
	_, err := expfmt.MetricFamilyToText(b, out)
	return err
}

// parse reads what an earlier run left: of the metrics known here those with exactly their labels. What is not that is dropped.
func parse(data []byte) map[string][]sample {
	p := expfmt.NewTextParser(model.LegacyValidation)
	found, err := p.TextToMetricFamilies(bytes.NewReader(data))
	if err != nil {
		return nil // not a file that this program wrote: it is begun anew
	}
	out := map[string][]sample{}
	for _, f := range families() {
		for _, m := range found[f.name].GetMetric() {
			if m.Gauge == nil || len(m.Label) != len(f.labels) {
				continue
			}
			k := sample{make([]string, len(f.labels)), m.Gauge.GetValue()}
			known := 0
			for _, l := range m.Label {
				if i := slices.Index(f.labels, l.GetName()); i >= 0 {
					k.labels[i] = l.GetValue()
					known++
				}
			}
			if known == len(f.labels) {
				out[f.name] = append(out[f.name], k)
			}
		}
		out[f.name] = distinct(out[f.name])
	}
	return out
}

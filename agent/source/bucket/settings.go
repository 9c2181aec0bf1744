package bucket

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"farshore/agent/source"
)

var _ source.Governed = (*Source)(nil)

// Names of settings.
const (
	settingLifecycle  = "lifecycle"
	settingVersioning = "versioning"
	settingPolicy     = "policy"
	settingPublic     = "public-access"
)

// setting is one line of what Settings returns.
type setting struct {
	Name string `json:"setting"`
	// Value is what it was when it was last read, absent where it never was; Unread is why it can't be read now.
	Value  json.RawMessage `json:"value,omitempty"`
	Unread string          `json:"unread,omitempty"`
}

// settingTime bounds the wait for one setting. It is asked for once: the next pass asks again.
const settingTime = 10 * time.Second

// errUnsupported says that a store answers such a question in a form of its own.
var errUnsupported = errors.New("this store states it in another form")

// Settings asks, by one request each, for those rules of the bucket's lifecycle that remove objects of this source, for its versioning, its policy, and whether public access is blocked. The
// credential need not be allowed to see any of them.
func (s *Source) Settings(ctx context.Context, before [][]byte) ([][]byte, error) {
	last := decodeSettings(before)
	var out [][]byte
	for _, q := range []struct {
		name string
		ask  func(context.Context) (any, error)
	}{{settingLifecycle, s.lifecycle}, {settingVersioning, s.versioning}, {settingPolicy, s.policy}, {settingPublic, s.public}} {
		now := setting{Name: q.name, Value: last[q.name].Value}
		value, err := s.askOnce(ctx, q.ask)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err == nil {
			now.Value, err = json.Marshal(value)
		}
		switch old, known := last[q.name]; {
		case err == nil:
		case passing(err) && known:
			now = old // the store fails just now, which says nothing of the setting
		default:
			now.Unread = brief(err)
		}
		line, err := json.Marshal(now)
		if err != nil {
			return nil, err
		}
		out = append(out, line)
	}
	return out, nil
}

// askOnce asks for one setting, within its time.
func (s *Source) askOnce(ctx context.Context, question func(context.Context) (any, error)) (value any, err error) {
	ctx, cancel := context.WithTimeout(ctx, settingTime)
	defer cancel()
	err = s.ask(ctx, func() (err error) {
		value, err = question(ctx)
		err = fromSDK(err)
		return err
	})
	return value, err
}

// passing reports whether a failure to read a setting may be over soon.
func passing(err error) bool {
	again, _ := temporary(err)
	return again && !errors.Is(err, errUnsupported)
}

// brief says why a setting can't be read, without what differs from one request to the next: what is stored shall change only when something did.
func brief(err error) string {
	var ae *apiError
	switch {
	case errors.As(err, &ae) && ae.code != "":
		return ae.code
	case errors.Is(err, errUnsupported):
		return "unsupported"
	}
	return "no answer"
}

// absent reports whether the store says that the bucket has no such setting.
func absent(err error, codes ...string) bool {
	var ae *apiError
	return errors.As(fromSDK(err), &ae) && slices.Contains(codes, ae.code)
}

func decodeSettings(lines [][]byte) map[string]setting {
	out := map[string]setting{}
	for _, line := range lines {
		var one setting
		if json.Unmarshal(line, &one) == nil {
			out[one.Name] = one
		}
	}
	return out
}

// removal is a rule of a lifecycle that removes objects or their older versions.
type removal struct {
	Prefix string `json:"prefix,omitempty"`
	// Scope are tags and sizes that it is bound to, as text.
	Scope string `json:"scope,omitempty"`
	// Expire and Noncurrent are after how many days, Date from when on; nil: not.
	Expire     *int32 `json:"expire_days,omitempty"`
	Noncurrent *int32 `json:"noncurrent_days,omitempty"`
	Date       string `json:"date,omitempty"`
}

func (s *Source) lifecycle(ctx context.Context) (any, error) {
	if e := s.client.Options().BaseEndpoint; e != nil && strings.Contains(*e, "googleapis.com") {
		return nil, errUnsupported
	}
	rules := []removal{}
	out, err := s.client.GetBucketLifecycleConfiguration(ctx, &s3.GetBucketLifecycleConfigurationInput{Bucket: aws.String(s.o.Bucket)})
	if absent(err, "NoSuchLifecycleConfiguration") {
		return rules, nil
	}
	if err != nil {
		return nil, err
	}
	for i := range out.Rules {
		r := removalOf(&out.Rules[i])
		if r != nil && (strings.HasPrefix(r.Prefix, s.o.Prefix) || strings.HasPrefix(s.o.Prefix, r.Prefix)) {
			rules = append(rules, *r)
		}
	}
	slices.SortFunc(rules, func(a, b removal) int { return strings.Compare(text(a), text(b)) })
	return rules, nil
}

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(b)
}

// removalOf translates a rule; nil where it is not in force, or removes no object.
func removalOf(r *types.LifecycleRule) *removal {
	if r.Status != types.ExpirationStatusEnabled {
		return nil
	}
	//lint:ignore SA1019 rules that were written before filters existed still have it, and are in force
	out := &removal{Prefix: aws.ToString(r.Prefix)}
	if f := r.Filter; f != nil {
		out.Prefix += aws.ToString(f.Prefix)
		narrow := *f
		narrow.Prefix = nil
		if f.And != nil {
			and := *f.And
			out.Prefix += aws.ToString(and.Prefix)
			and.Prefix = nil
			narrow.And = &and
		}
		if !emptyFilter(&narrow) {
			out.Scope = text(narrow)
		}
	}
	if e := r.Expiration; e != nil {
		out.Expire = e.Days
		if e.Date != nil {
			out.Date = e.Date.UTC().Format(time.RFC3339)
		}
	}
	if n := r.NoncurrentVersionExpiration; n != nil {
		out.Noncurrent = n.NoncurrentDays
	}
	if out.Expire == nil && out.Noncurrent == nil && out.Date == "" {
		return nil
	}
	return out
}

func emptyFilter(f *types.LifecycleRuleFilter) bool {
	and := f.And == nil || len(f.And.Tags) == 0 && f.And.ObjectSizeGreaterThan == nil && f.And.ObjectSizeLessThan == nil
	return and && f.Tag == nil && f.ObjectSizeGreaterThan == nil && f.ObjectSizeLessThan == nil
}

// noHarsher reports whether every object that the rule removes was removed as early by b.
func (r *removal) noHarsher(b *removal) bool {
	later := func(now, before *int32) bool { return now == nil || before != nil && *now >= *before }
	return strings.HasPrefix(r.Prefix, b.Prefix) && (b.Scope == "" || b.Scope == r.Scope) && later(r.Expire, b.Expire) && later(r.Noncurrent, b.Noncurrent) && (r.Date == "" || b.Date != "" && r.Date >= b.Date)
}

func (s *Source) versioning(ctx context.Context) (any, error) {
	out, err := s.client.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: aws.String(s.o.Bucket)})
	if err != nil {
		return nil, err
	}
	return out.Status == types.BucketVersioningStatusEnabled, nil
}

func (s *Source) public(ctx context.Context) (any, error) {
	blocks := []bool{false, false, false, false}
	out, err := s.client.GetPublicAccessBlock(ctx, &s3.GetPublicAccessBlockInput{Bucket: aws.String(s.o.Bucket)})
	if absent(err, "NoSuchPublicAccessBlockConfiguration") {
		return blocks, nil
	}
	if err != nil {
		return nil, err
	}
	if c := out.PublicAccessBlockConfiguration; c != nil {
		for i, b := range []*bool{c.BlockPublicAcls, c.IgnorePublicAcls, c.BlockPublicPolicy, c.RestrictPublicBuckets} {
			blocks[i] = aws.ToBool(b)
		}
	}
	return blocks, nil
}

// Worse implements source.Governed: it compares those settings that were read both times.
func (s *Source) Worse(before, now [][]byte) (alarms, notices []string) {
	was, is := decodeSettings(before), decodeSettings(now)
	for _, name := range []string{settingLifecycle, settingVersioning, settingPolicy, settingPublic} {
		b, n := was[name], is[name]
		if n.Unread != "" && b.Unread == "" && b.Value != nil {
			notices = append(notices, fmt.Sprintf("the bucket's %s can't be read any more (%s), so that a change of it would not be seen", name, n.Unread))
		}
		if b.Value == nil || n.Value == nil || n.Unread != "" || string(b.Value) == string(n.Value) {
			continue
		}
		a, o := compareSetting(name, b.Value, n.Value)
		alarms, notices = append(alarms, a...), append(notices, o...)
	}
	return alarms, notices
}

// compareSetting says what a setting that changed now allows.
func compareSetting(name string, before, now json.RawMessage) (alarms, notices []string) {
	switch name {
	case settingLifecycle:
		if harsher(decoded[[]removal](before), decoded[[]removal](now)) {
			return []string{"its lifecycle removes more than before"}, nil
		}
	case settingVersioning:
		if decoded[bool](before) && !decoded[bool](now) {
			return []string{"its versioning was turned off: what is overwritten or deleted there is gone"}, nil
		}
	case settingPublic:
		b, n := decoded[[]bool](before), decoded[[]bool](now)
		for i := range min(len(b), len(n)) {
			if b[i] && !n[i] {
				return []string{"public access to it is blocked less than before"}, nil
			}
		}
	case settingPolicy:
		if alarms = decoded[policy](now).allowsMore(decoded[policy](before)); alarms != nil {
			return alarms, nil
		}
	}
	return nil, []string{fmt.Sprintf("the bucket's %s changed, and allows no more than before as far as can be told", name)}
}

// harsher reports whether a rule removes what none removed before, or earlier.
func harsher(before, now []removal) bool {
	return slices.ContainsFunc(now, func(r removal) bool {
		return !slices.ContainsFunc(before, func(b removal) bool { return r.noHarsher(&b) })
	})
}

// decoded reads a value; what is none is a zero one.
func decoded[T any](raw json.RawMessage) (v T) {
	_ = json.Unmarshal(raw, &v)
	return v
}

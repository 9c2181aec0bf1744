package bucket

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// policy is what is remembered of a bucket's policy: each statement's hash, by what it does. A statement may be in several.
type policy struct {
	// Destroys are those that let somebody delete or overwrite objects or change the bucket's settings, Shows those for everybody, Denies those that forbid.
	Destroys []string `json:"destroys,omitempty"`
	Shows    []string `json:"shows,omitempty"`
	Denies   []string `json:"denies,omitempty"`
	Others   []string `json:"others,omitempty"`
}

func (s *Source) policy(ctx context.Context) (any, error) {
	out, err := s.client.GetBucketPolicy(ctx, &s3.GetBucketPolicyInput{Bucket: aws.String(s.o.Bucket)})
	if absent(err, "NoSuchBucketPolicy") {
		return policy{}, nil
	}
	if err != nil {
		return nil, err
	}
	return policyOf([]byte(aws.ToString(out.Policy))), nil
}

// statement is what of a policy's statement is looked at. Principal, Action and NotAction are a text or a list.
type statement struct {
	Effect            string
	Principal         json.RawMessage
	Action, NotAction json.RawMessage
}

// policyOf sorts the statements of a policy. One that is no JSON is one statement of which nothing is known.
func policyOf(text []byte) policy {
	var doc struct{ Statement json.RawMessage }
	var all []json.RawMessage
	if json.Unmarshal(text, &doc) != nil || doc.Statement == nil {
		return policy{Others: []string{digestOf(text)}}
	}
	if json.Unmarshal(doc.Statement, &all) != nil {
		all = []json.RawMessage{doc.Statement} // a single one may stand without a list
	}
	var p policy
	for _, raw := range all {
		var st statement
		digest := digestOf(raw)
		if json.Unmarshal(raw, &st) != nil {
			p.Others = append(p.Others, digest)
			continue
		}
		known := false
		add := func(list *[]string, is bool) {
			if is {
				*list, known = append(*list, digest), true
			}
		}
		allows := st.Effect == "Allow"
		add(&p.Destroys, allows && st.destroys())
		add(&p.Shows, allows && everybody(st.Principal))
		add(&p.Denies, st.Effect == "Deny")
		add(&p.Others, !known)
	}
	for _, list := range []*[]string{&p.Destroys, &p.Shows, &p.Denies, &p.Others} {
		slices.Sort(*list)
	}
	return p
}

// digestOf is the hash of a JSON text without spaces that mean nothing, and with its keys sorted.
func digestOf(raw []byte) string {
	var v any
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if dec.Decode(&v) == nil {
		if b, err := json.Marshal(v); err == nil {
			raw = b
		}
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

// destroys reports whether a statement's actions have any that deletes, overwrites or changes settings. What allows all but some counts.
func (st *statement) destroys() bool {
	if st.NotAction != nil {
		return true
	}
	return slices.ContainsFunc(texts(st.Action), func(action string) bool {
		name := strings.ToLower(action)
		if i := strings.IndexByte(name, ':'); i >= 0 {
			name = name[i+1:]
		}
		reads := strings.HasPrefix(name, "get") || strings.HasPrefix(name, "list") || strings.HasPrefix(name, "head") || strings.HasPrefix(name, "describe")
		return !reads
	})
}

// everybody reports whether a principal is anyone.
func everybody(raw json.RawMessage) bool {
	var by map[string]json.RawMessage
	if json.Unmarshal(raw, &by) == nil {
		for _, who := range by {
			if slices.Contains(texts(who), "*") {
				return true
			}
		}
		return false
	}
	return slices.Contains(texts(raw), "*")
}

// texts are a text, or the texts of a list.
func texts(raw json.RawMessage) []string {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		return []string{one}
	}
	var list []string
	_ = json.Unmarshal(raw, &list)
	return list
}

// allowsMore says what the policy lets people do that it did not before.
func (p policy) allowsMore(before policy) (out []string) {
	fresh := func(now, was []string) bool {
		return slices.ContainsFunc(now, func(h string) bool { return !slices.Contains(was, h) })
	}
	if fresh(p.Destroys, before.Destroys) {
		out = append(out, "its policy lets somebody delete, overwrite or change settings who might not, or not so, before")
	}
	if fresh(p.Shows, before.Shows) {
		out = append(out, "its policy shows to everybody what it did not before")
	}
	if fresh(before.Denies, p.Denies) {
		out = append(out, "its policy no longer forbids what it did")
	}
	return out
}

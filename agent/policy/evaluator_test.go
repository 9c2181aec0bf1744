package policy

import (
	"maps"
	"slices"
	"strconv"
)

// request is one request to S3, as its authorization sees it.
type request struct {
	// name is for people.
	name string
	// needs are pairs of action and resource, all of which must be allowed.
	needs [][2]string
	// keys are condition keys with their values; what is not there is absent from the request.
	keys map[string]string
}

// evaluate decides as IAM does: an explicit denial beats all, and without an allowance nothing is allowed.
func evaluate(docs []document, principal string, r request) (allowed bool, why string) {
	keys := map[string]string{"aws:PrincipalArn": principal}
	maps.Copy(keys, r.keys)
	for _, need := range r.needs {
		verdict := "no statement allows " + need[0] + " on " + need[1]
		for _, d := range docs {
			for _, s := range d.Statement {
				if !slices.ContainsFunc(s.Action, match(need[0])) || !slices.ContainsFunc(s.Resource, match(need[1])) || !holds(s.Condition, keys) {
					continue
				}
				if s.Effect == "Deny" {
					return false, s.Sid + " denies " + need[0]
				}
				verdict = ""
			}
		}
		if verdict != "" {
			return false, verdict
		}
	}
	return true, ""
}

// match returns whether a pattern of a policy covers a text: * is any text, ? one character.
func match(text string) func(pattern string) bool {
	return func(pattern string) bool { return wild(pattern, text) }
}

func wild(pattern, text string) bool {
	if pattern == "" {
		return text == ""
	}
	switch pattern[0] {
	case '*':
		return wild(pattern[1:], text) || text != "" && wild(pattern, text[1:])
	case '?':
		return text != "" && wild(pattern[1:], text[1:])
	}
	return text != "" && text[0] == pattern[0] && wild(pattern[1:], text[1:])
}

// holds evaluates a condition: all operators and all keys must hold, any value of a key will do.
func holds(c condition, keys map[string]string) bool {
	for operator, all := range c {
		for key, values := range all {
			have, present := keys[key]
			if !slices.ContainsFunc(values, func(v string) bool { return compare(operator, v, have, present) }) && operator != "ArnNotLike" {
				return false
			}
			if operator == "ArnNotLike" && slices.ContainsFunc(values, match(have)) {
				return false
			}
		}
	}
	return true
}

// compare is one comparison. All but Null and the negated ones fail where the key is absent.
func compare(operator, want, have string, present bool) bool {
	switch operator {
	case "Null":
		return want == strconv.FormatBool(!present)
	case "StringLike":
		return present && wild(want, have)
	case "StringEquals":
		return present && want == have
	case "Bool":
		return present && want == have
	case "NumericLessThanEquals", "NumericGreaterThan":
		a, err1 := strconv.ParseFloat(have, 64)
		b, err2 := strconv.ParseFloat(want, 64)
		less := a <= b
		return present && err1 == nil && err2 == nil && less == (operator == "NumericLessThanEquals")
	case "ArnNotLike":
		return false // decided by the caller, over all values
	}
	panic("this evaluator does not know " + operator)
}

package config

import (
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// sourceKeys are a source's keys in the order in which farshore writes them.
var sourceKeys = []string{"name", "url", "include", "exclude", "accept", "repositories", "username", "password_file", "password", "schedule", "jitter", "limits", "max_age", "recovery_time", "tripwire", "ping"}

// renderSource writes a source as an entry of a list whose dash stands behind indent spaces.
func renderSource(s Source, indent int) string {
	pad := strings.Repeat(" ", indent)
	var b strings.Builder
	for _, key := range sourceKeys {
		if !has(s, key) {
			continue
		}
		lead := pad + "  "
		if key == "name" {
			lead = pad + "- "
		}
		b.WriteString(lead + renderKey(s, key, indent+2, nil, nil) + "\n")
	}
	return b.String()
}

// has reports whether a key of a source says anything.
func has(s Source, key string) bool {
	switch key {
	case "include":
		return len(s.Include) > 0
	case "exclude":
		return len(s.Exclude) > 0
	case "accept":
		return len(s.Accept) > 0
	case "repositories":
		return len(s.Repositories) > 0
	case "username":
		return s.Username != ""
	case "password_file":
		return s.PasswordFile != ""
	case "password":
		return s.Password != ""
	case "schedule":
		return s.Schedule != ""
	case "jitter":
		return s.Jitter != ""
	case "limits":
		return s.Limits != Limits{}
	case "max_age":
		return s.Goals.MaxAge > 0
	case "recovery_time":
		return s.Goals.RecoveryTime > 0
	case "tripwire":
		return s.Tripwire != Tripwire{}
	case "ping":
		return s.Ping != ""
	}
	return true
}

// renderKey writes a key of a source with its value, without the spaces before it and the line's end. indent is how many spaces stand
// before the key. Comments of the old key and value stay with what remains.
func renderKey(s Source, key string, indent int, oldKey, old *yaml.Node) string {
	head := key + ":"
	comment := lineComment(oldKey, old)
	switch key {
	case "name":
		return head + " " + scalar(s.Name) + comment
	case "url":
		return head + " " + scalar(s.URL) + comment
	case "include":
		return head + renderList(s.Include, indent, comment, old)
	case "exclude":
		return head + renderList(s.Exclude, indent, comment, old)
	case "accept":
		return head + renderList(s.Accept, indent, comment, old)
	case "repositories":
		return head + renderList(s.Repositories, indent, comment, old)
	case "username":
		return head + " " + scalar(s.Username) + comment
	case "password_file":
		return head + " " + scalar(s.PasswordFile) + comment
	case "password":
		return head + " " + scalar(s.Password.shown()) + comment
	case "schedule":
		return head + " " + scalar(s.Schedule) + comment
	case "jitter":
		return head + " " + s.Jitter + comment
	case "max_age":
		return head + " " + FormatDays(s.Goals.MaxAge) + comment
	case "recovery_time":
		return head + " " + FormatDays(s.Goals.RecoveryTime) + comment
	case "tripwire":
		return head + renderLines(tripwireLines(s.Tripwire), indent, comment, old)
	case "ping":
		return head + " " + scalar(s.Ping.shown()) + comment
	}
	return head + renderLines(limitLines(s.Limits), indent, comment, old)
}

// lineComment returns the comment at the end of a line, with a space before it.
func lineComment(nodes ...*yaml.Node) string {
	for _, n := range nodes {
		if n != nil && n.LineComment != "" {
			return " " + n.LineComment
		}
	}
	return ""
}

// renderList writes a list of texts, one a line.
func renderList(items []string, indent int, comment string, old *yaml.Node) string {
	if len(items) == 0 {
		return " []" + comment
	}
	pad := "\n" + strings.Repeat(" ", indent+2)
	var b strings.Builder
	b.WriteString(comment)
	for _, item := range items {
		was := child(old, item, 1)
		b.WriteString(around(was, pad, pad+"- "+scalar(item)+lineComment(was)))
	}
	return b.String()
}

// renderLines writes a mapping of keys to values, one a line.
func renderLines(lines [][2]string, indent int, comment string, old *yaml.Node) string {
	if len(lines) == 0 {
		return " {}" + comment
	}
	pad := "\n" + strings.Repeat(" ", indent+2)
	var b strings.Builder
	b.WriteString(comment)
	for _, one := range lines {
		was := child(old, one[0], 2)
		b.WriteString(around(was, pad, pad+one[0]+": "+one[1]+lineComment(was, after(old, was))))
	}
	return b.String()
}

// limitLines are the keys of limits and their values as text.
func limitLines(l Limits) [][2]string {
	var out [][2]string
	if l.Upload > 0 {
		out = append(out, [2]string{"upload", FormatSize(l.Upload) + "/s"})
	}
	if l.Download > 0 {
		out = append(out, [2]string{"download", FormatSize(l.Download) + "/s"})
	}
	if l.Requests > 0 {
		out = append(out, [2]string{"requests", strconv.Itoa(l.Requests)})
	}
	return out
}

// child finds the node with a value among every step-th of n's children.
func child(n *yaml.Node, value string, step int) *yaml.Node {
	if n == nil {
		return nil
	}
	for i := 0; i < len(n.Content); i += step {
		if n.Content[i].Value == value {
			return n.Content[i]
		}
	}
	return nil
}

// after is the node behind a key in a mapping.
func after(m, key *yaml.Node) *yaml.Node {
	for i := 0; key != nil && i+1 < len(m.Content); i += 2 {
		if m.Content[i] == key {
			return m.Content[i+1]
		}
	}
	return nil
}

// around puts the old comments above and below a line.
func around(was *yaml.Node, pad, line string) string {
	if was == nil {
		return line
	}
	return comments(was.HeadComment, pad) + line + comments(was.FootComment, pad)
}

func comments(text, pad string) string {
	if text == "" {
		return ""
	}
	return pad + strings.ReplaceAll(text, "\n", pad)
}

// scalar writes a text as YAML, in quotes where it needs them.
func scalar(s string) string {
	n := yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0x85 || r == 0x2028 || r == 0x2029 }) {
		n.Style = yaml.DoubleQuotedStyle
	}
	out, err := yaml.Marshal(&n)
	if err != nil {
		return strconv.Quote(s)
	}
	return strings.TrimSuffix(string(out), "\n")
}

// FormatSize writes a number of bytes exactly, in the largest unit that divides it: 8GiB, 20MB, 4097B.
func FormatSize(n int64) string {
	for _, u := range []string{"TiB", "GiB", "MiB", "KiB", "TB", "GB", "MB", "kB"} {
		if unit := int64(units[u]); n >= unit && n%unit == 0 {
			return fmt.Sprintf("%d%s", n/unit, u)
		}
	}
	return fmt.Sprintf("%dB", n)
}

func rateText(n int64) string  { return FormatSize(n) + "/s" }
func countText(n int64) string { return strconv.FormatInt(n, 10) }

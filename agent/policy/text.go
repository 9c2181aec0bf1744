package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// Raw is a JSON document, indented as it was written.
type Raw []byte

// MarshalJSON returns the document itself.
func (r Raw) MarshalJSON() ([]byte, error) { return r, nil }

// encode writes a value as people write JSON: indented, and without escaping <, > and &. The values are the package's own, and always encode.
func encode(v any) Raw {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		panic(fmt.Sprintf("policy: a document that can't be encoded: %v", err))
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// shellWord is a word of a command that is quoted already.
type shellWord string

// variable is a word that whoever runs the script must set first; the script stops where it is not.
func variable(name, meaning string) shellWord {
	return shellWord(`"${` + name + `:?set it to ` + meaning + `}"`)
}

// command joins words into a line of sh. A string is quoted where it needs to be; a shellWord is taken as it is.
func command(words ...any) string {
	var out []string
	for _, w := range words {
		switch w := w.(type) {
		case shellWord:
			out = append(out, string(w))
		case string:
			out = append(out, shellQuote(w))
		case []string:
			for _, s := range w {
				out = append(out, shellQuote(s))
			}
		case int:
			out = append(out, fmt.Sprint(w))
		}
	}
	return strings.Join(out, " ")
}

// shellQuote quotes a word for sh. Within single quotes nothing but a single quote has a meaning.
func shellQuote(s string) string {
	plain := s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:=,@%+", r))
	})
	if plain {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// heredoc is a command that writes a file. No line of an indented JSON document is the end mark.
func heredoc(name string, body Raw) string {
	return "cat > " + shellQuote(name) + " <<'EOF'\n" + string(body) + "\nEOF"
}

// hclEscaper takes their meaning from what begins a template.
var hclEscaper = strings.NewReplacer("${", "$${", "%{", "%%{")

// hclQuote writes a string of HCL. JSON's escapes are HCL's too.
func hclQuote(s string) string { return hclEscaper.Replace(string(encode(s))) }

// block is a block of HCL. Attributes that follow each other are aligned as `terraform fmt` does.
type block struct {
	head  string
	items []item
}

// item is an attribute, a document, or a block within.
type item struct {
	name, expr string
	inner      *block
}

// newBlock begins a block: resource "type" "name".
func newBlock(head string) *block { return &block{head: head} }

// set adds attributes: name, value, name, value. A value is a string, a number, a truth, or an expression.
func (b *block) set(pairs ...any) *block {
	for i := 0; i+1 < len(pairs); i += 2 {
		b.items = append(b.items, item{name: pairs[i].(string), expr: hclValue(pairs[i+1])})
	}
	return b
}

// expression is HCL that is not quoted.
type expression string

func hclValue(v any) string {
	switch v := v.(type) {
	case expression:
		return string(v)
	case string:
		return hclQuote(v)
	case []string:
		var out []string
		for _, s := range v {
			out = append(out, hclQuote(s))
		}
		return "[" + strings.Join(out, ", ") + "]"
	}
	return fmt.Sprint(v)
}

// doc adds a document as an attribute.
func (b *block) doc(name string, body Raw) *block {
	text := "<<-JSON\n" + hclEscaper.Replace(string(body)) + "\nJSON"
	b.items = append(b.items, item{name: name, expr: text})
	return b
}

// block adds a block within and returns it.
func (b *block) block(head string) *block {
	inner := newBlock(head)
	b.items = append(b.items, item{inner: inner})
	return inner
}

// with adds a block within that has only attributes, and returns the outer one.
func (b *block) with(head string, pairs ...any) *block {
	b.block(head).set(pairs...)
	return b
}

func (b *block) write(w *strings.Builder, indent string) {
	fmt.Fprintf(w, "%s%s {\n", indent, b.head)
	for i, it := range b.items {
		if i > 0 && (!it.simple() || !b.items[i-1].simple()) {
			w.WriteString("\n")
		}
		it.write(w, indent+"  ", b.width(i))
	}
	w.WriteString(indent + "}\n")
}

// simple reports whether the item is one line.
func (it item) simple() bool { return it.inner == nil && !strings.Contains(it.expr, "\n") }

// width is that of the longest name among the attributes that stand together with the i-th item.
func (b *block) width(i int) int {
	if !b.items[i].simple() {
		return len(b.items[i].name)
	}
	from, to := i, i
	for from > 0 && b.items[from-1].simple() {
		from--
	}
	for to+1 < len(b.items) && b.items[to+1].simple() {
		to++
	}
	width := 0
	for _, it := range b.items[from : to+1] {
		width = max(width, len(it.name))
	}
	return width
}

func (it item) write(w *strings.Builder, indent string, width int) {
	if it.inner != nil {
		it.inner.write(w, indent)
		return
	}
	lines := strings.Split(it.expr, "\n")
	fmt.Fprintf(w, "%s%-*s = %s\n", indent, width, it.name, lines[0])
	for _, line := range lines[1:] {
		w.WriteString(indent + line + "\n")
	}
}

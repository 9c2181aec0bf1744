package config

// shape is what a value looks like to whoever writes it: what a schema can say. Whatever the parser takes, the shape takes; not the other way round.
type shape struct {
	kind int
	// pattern is what a text matches, words the only texts that there are.
	pattern string
	words   []string
	// least is the least number.
	least float64
	// item is what a list has, fields are a section's.
	item   *shape
	fields []field
	// instead is a word that may stand in place of a section.
	instead string
	// empty says that it may have no value.
	empty bool
}

// Kinds of shapes.
const (
	kindText    = iota
	kindAmount  // a number, or a text with a unit
	kindWhole   // a whole number, or a text with a unit
	kindZero    // the number 0, or a text
	kindSwitch  // true or false
	kindList    // of items
	kindMapping // a section
)

// about is what people and their editors are told of a key.
type about struct {
	text string
	// fallback is what holds where the key is left out, nil for nothing.
	fallback any
	examples []any
}

func examples(texts ...string) []any {
	out := make([]any, len(texts))
	for i, s := range texts {
		out[i] = s
	}
	return out
}

// like says which pattern a text, or each text of a list, matches.
func (v value) like(pattern string) value {
	if v.shape.kind == kindList {
		v.shape.item = &shape{kind: kindText, pattern: pattern}
		return v
	}
	v.shape.pattern = pattern
	return v
}

// of says which words a text, or each text of a list, is one of.
func (v value) of(words ...string) value {
	if v.shape.kind == kindList {
		v.shape.item = &shape{kind: kindText, words: words}
		return v
	}
	v.shape.words = words
	return v
}

const namePattern = `^[a-z0-9][a-z0-9._-]{0,63}$`

const (
	durationPattern = `([0-9.]+(ns|us|µs|μs|ms|s|m|h))+`
	sizePattern     = `[0-9]+(\.[0-9]+)? ?(B|kB|KB|MB|GB|TB|KiB|MiB|GiB|TiB)?`
	sharePattern    = ` *[0-9.eE+-]+ *%? *`
)

// shape of values with a unit.
var (
	sizeShape      = shape{kind: kindAmount, pattern: `^` + sizePattern + `$`}
	rateShape      = shape{kind: kindAmount, pattern: `^` + sizePattern + ` ?(/s)?$`, least: minRate}
	requestsShape  = shape{kind: kindWhole, pattern: `^[+]?[0-9]+(/s)?$`, least: 1}
	countShape     = shape{kind: kindWhole, pattern: `^[+]?[0-9]+$`, least: 1}
	durationShape  = shape{kind: kindText, pattern: `^[+]?` + durationPattern + `$`}
	daysShape      = shape{kind: kindText, pattern: `^([0-9]+d|[+]?` + durationPattern + `)$`}
	zeroDaysShape  = shape{kind: kindZero, pattern: `^([0-9]+d|[+]?` + durationPattern + `|[+-]?0)$`}
	shareShape     = shape{kind: kindAmount, pattern: `^` + sharePattern + `$`}
	thresholdShape = shape{kind: kindAmount, pattern: `^(off|` + sharePattern + `)$`}
	scheduleShape  = shape{kind: kindText, pattern: `^\s*(off|@[a-z]+|([0-9]+[dhms])+|\S+(\s+\S+){4})\s*$`}
)

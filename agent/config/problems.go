package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one mistake in a configuration.
type Problem struct {
	File string
	// Line and Column count from 1, Column in characters.
	Line, Column int
	// Message says what is wrong and what to do.
	Message string
}

// String returns file:line:column: message.
func (p Problem) String() string {
	return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.Message)
}

// Problems are all the mistakes of a configuration, in the file's order.
type Problems struct {
	List []Problem
	// Untrusted says that somebody else may change the file: nothing that it says counts, and neither does what lies beside it.
	Untrusted bool
}

// Error returns one line a problem.
func (p *Problems) Error() string {
	lines := make([]string, len(p.List))
	for i, one := range p.List {
		lines[i] = one.String()
	}
	return strings.Join(lines, "\n")
}

// sort orders the list by place, keeping the order of what was found at one place.
func (p *Problems) sort() {
	slices.SortStableFunc(p.List, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}

// Severities of a Finding.
const (
	SeverityProblem = "problem"
	SeverityNote    = "note"
)

// Finding is what Check has to say of a configuration: a problem, with which it can't be used, or a note, which somebody should read.
type Finding struct {
	Problem
	Severity string
}

// String returns file:line:column: message, with the severity before the message of a note.
func (f Finding) String() string {
	if f.Severity == SeverityNote {
		return fmt.Sprintf("%s:%d:%d: note: %s", f.File, f.Line, f.Column, f.Message)
	}
	return f.Problem.String()
}

// Nearest returns the known word that is most like the given one, or "" when none is like enough to be meant by it.
func Nearest(word string, known []string) string {
	best, least := "", 1+max(1, len(word)/3)
	for _, k := range known {
		if strings.HasPrefix(k, word) && len(word) >= 3 {
			return k
		}
		if d := distance(word, k); d < least {
			best, least = k, d
		}
	}
	return best
}

// distance counts the bytes to insert, delete, replace or swap with a neighbour to get from a to b (optimal string alignment).
func distance(a, b string) int {
	before, last, now := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		now[0] = i
		for j := 1; j <= len(b); j++ {
			now[j] = min(last[j]+1, now[j-1]+1, last[j-1]+differ(a[i-1], b[j-1]))
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				now[j] = min(now[j], before[j-2]+1)
			}
		}
		before, last, now = last, now, before
	}
	return last[len(b)]
}

// differ is 1 for two bytes that are not the same.
func differ(a, b byte) int {
	if a == b {
		return 0
	}
	return 1
}

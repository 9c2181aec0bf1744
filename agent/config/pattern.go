package config

import "strings"

// pattern is a compiled pattern: a literal beginning, then, unless the rest is trivial, an automaton that reads each byte once.
//
// The automaton is Baeza-Yates and Gonnet's shift-and with gaps. State i means that i consuming tokens were matched; a run between two of them is
// a loop on the state before it. So a step is a shift and three bit operations a word, and no pattern takes longer than the product of the
// lengths, over 64.
type pattern struct {
	prefix string
	// rest says what follows the prefix.
	rest   int
	suffix string
	auto   *automaton
}

// what follows a pattern's literal beginning.
const (
	restNothing  = iota // the path must be the prefix
	restAnything        // the path must begin with it
	restSuffix          // and end with the suffix
	restAutomaton
)

// newPattern takes the literal beginning off and compiles the rest.
func newPattern(tokens []token) *pattern {
	p := &pattern{}
	p.prefix, tokens = literals(tokens)
	if len(tokens) == 0 {
		p.rest = restNothing
		return p
	}
	suffix, more := literals(tokens[1:])
	switch simple := tokens[0].kind == anyRun && len(more) == 0; {
	case simple && suffix == "":
		p.rest = restAnything
	case simple:
		p.rest, p.suffix = restSuffix, suffix
	default:
		p.rest = restAutomaton
		p.auto = newAutomaton(tokens)
	}
	return p
}

// literals returns the literal bytes that the tokens begin with, and the other tokens.
func literals(tokens []token) (string, []token) {
	var b []byte
	for len(tokens) > 0 && tokens[0].kind == literal {
		b, tokens = append(b, tokens[0].b), tokens[1:]
	}
	return string(b), tokens
}

// match reports whether the pattern matches the whole path.
func (p *pattern) match(path string) bool {
	rest, ok := strings.CutPrefix(path, p.prefix)
	if !ok {
		return false
	}
	switch p.rest {
	case restNothing:
		return rest == ""
	case restAnything:
		return true
	case restSuffix:
		return strings.HasSuffix(rest, p.suffix)
	}
	return p.auto.match(rest)
}

// automaton has one bit a state; all sets have the same number of words.
type automaton struct {
	words int
	// consume has a set for each byte value: the states that are entered by reading it.
	consume []uint64
	// loop and loopSlash are the states that stay while any byte but a slash, or a slash, is read.
	loop, loopSlash []uint64
	final           int
}

// newAutomaton compiles tokens.
func newAutomaton(tokens []token) *automaton {
	a := &automaton{}
	for _, t := range tokens {
		if t.kind <= oneByte {
			a.final++
		}
	}
	a.words = a.final/64 + 1
	a.consume = make([]uint64, 256*a.words)
	a.loop, a.loopSlash = make([]uint64, a.words), make([]uint64, a.words)
	state := 0
	for _, t := range tokens {
		if t.kind <= oneByte {
			state++
		}
		a.addToken(t, state)
	}
	return a
}

// addToken enters a token: the state that it leads to, or loops on.
func (a *automaton) addToken(t token, state int) {
	word, bit := state/64, uint64(1)<<(state%64)
	switch t.kind {
	case literal:
		a.consume[int(t.b)*a.words+word] |= bit
	case oneByte:
		for b := range 256 {
			if b != '/' {
				a.consume[b*a.words+word] |= bit
			}
		}
	case anyRun:
		a.loopSlash[word] |= bit
		a.loop[word] |= bit
	case segmentRun:
		a.loop[word] |= bit
	}
}

// match runs the automaton over s.
func (a *automaton) match(s string) bool {
	if a.words == 1 {
		return a.matchWord(s)
	}
	states := make([]uint64, a.words)
	states[0] = 1
	for i := range len(s) {
		if !a.step(states, s[i]) {
			return false
		}
	}
	return states[a.final/64]>>(a.final%64)&1 == 1
}

// matchWord is match for the usual case of fewer than 64 states.
func (a *automaton) matchWord(s string) bool {
	states, loop, loopSlash := uint64(1), a.loop[0], a.loopSlash[0]
	for i := range len(s) {
		stay := loop
		if s[i] == '/' {
			stay = loopSlash
		}
		states = states<<1&a.consume[s[i]] | states&stay
		if states == 0 {
			return false
		}
	}
	return states>>a.final&1 == 1
}

// step reads one byte and reports whether any state is left.
func (a *automaton) step(states []uint64, b byte) bool {
	stay := a.loop
	if b == '/' {
		stay = a.loopSlash
	}
	consume := a.consume[int(b)*a.words:]
	var carry, some uint64
	for w, old := range states {
		states[w] = (old<<1|carry)&consume[w] | old&stay[w]
		carry = old >> 63
		some |= states[w]
	}
	return some != 0
}

package refs

import (
	"fmt"
	"strconv"
	"strings"
)

// Lost is how often passes found that a repository's branches and tags lost commits, since it was captured first. All but Of only grow, so that the difference between
// two records is what happened between them.
type Lost struct {
	// Heads: the branch that HEAD points to was rewritten or deleted, or the repository was begun anew.
	Heads int64
	// Rewritten refs no longer reach what they pointed to, Vanished ones are gone and nothing reaches it. Where there are many they are estimated.
	Rewritten, Vanished int64
	// Untold: the server did not say whether refs that changed were rewritten.
	Untold int64
	// Of is how many branches and tags there were when refs changed last.
	Of int64
}

// ParseLost reads what String writes. What it did not write is as if nothing was lost.
func ParseLost(s string) Lost {
	var n [5]int64
	words := strings.Fields(s)
	if len(words) < len(n) {
		return Lost{}
	}
	for i := range n {
		v, err := strconv.ParseInt(words[i], 10, 64)
		if err != nil || v < 0 || v > 1<<53-1 {
			return Lost{}
		}
		n[i] = v
	}
	return Lost{n[0], n[1], n[2], n[3], n[4]}
}

// String writes the numbers with spaces between them, "" where nothing was lost.
func (l Lost) String() string {
	if l.Heads == 0 && l.Rewritten == 0 && l.Vanished == 0 && l.Untold == 0 {
		return ""
	}
	return fmt.Sprintf("%d %d %d %d %d", l.Heads, l.Rewritten, l.Vanished, l.Untold, l.Of)
}

// And returns what was lost after l and m, of which m is the later.
func (l Lost) And(m Lost) Lost {
	return Lost{l.Heads + m.Heads, l.Rewritten + m.Rewritten, l.Vanished + m.Vanished, l.Untold + m.Untold, m.Of}
}

// Move is a branch or tag that points elsewhere; Now is empty where it is gone.
type Move struct{ Name, Old, Now string }

// Moves returns the branches and tags of before that now does not have as they were, and how many there were. Other refs are left out, since servers rewrite those by
// themselves (what a pull request would become, for one), and so are symbolic ones, which are names for others.
func Moves(before, now *Manifest) (moves []Move, of int64) {
	at := make(map[string]string, len(now.Refs))
	for i := range now.Refs {
		at[now.Refs[i].Name] = now.Refs[i].OID
	}
	for _, r := range before.Refs {
		if r.Symref != "" || r.OID == "" || !strings.HasPrefix(r.Name, "refs/heads/") && !strings.HasPrefix(r.Name, "refs/tags/") {
			continue
		}
		of++
		if oid := at[r.Name]; oid != r.OID {
			moves = append(moves, Move{r.Name, r.OID, oid})
		}
	}
	return moves, of
}

package report

import (
	"context"
	"maps"
	"slices"

	"farshore/agent/record"
	"farshore/agent/vault"
)

// room reads the reports of each signer whose reports may count on its own, whatever lies beside them, and then looks through what is nobody's.
func (s *shelf) room(ctx context.Context) error {
	signers := s.signers()
	for _, id := range signers {
		if err := s.list(ctx, Room+id+"/", "", ""); err != nil {
			return err
		}
		s.names, s.lane = 0, lane{}
	}
	after := ""
	for _, id := range signers {
		if err := s.list(ctx, Room, after, Room+id+"/"); err != nil {
			return err
		}
		after, s.lane = Room+id+"0", lane{} // the first name behind those that begin with "id/"
	}
	if err := s.list(ctx, Room, after, ""); err != nil {
		return err
	}
	return s.end()
}

// signers are the ids of those whose reports may count, ascending.
func (s *shelf) signers() []string {
	all := map[string]bool{s.v.Owner().ID(): true}
	for _, st := range s.v.Statements() {
		for _, signer := range st.Statement.Signers {
			if signer.RolesHas(RoleAuditor) || signer.RolesHas(RoleAgent) {
				all[signer.ID] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// read reads what lies below the prefix.
func (s *shelf) read(ctx context.Context, prefix string) error {
	s.lane.free = max(s.lane.free, 1)
	if err := s.list(ctx, prefix, "", ""); err != nil {
		return err
	}
	return s.end()
}

// list takes what is named behind after and before upto, which is the end where it is empty.
func (s *shelf) list(ctx context.Context, prefix, after, upto string) error {
	for n, err := range s.v.Bucket().Names(ctx, prefix, after) {
		if err != nil {
			return err
		}
		if record.IsCanary(n.Name) {
			continue
		}
		if upto != "" && n.Name >= upto || s.names > maxNames {
			break
		}
		if s.names++; s.names > maxNames {
			s.note(vault.Tampering, prefix, "it has more than %d objects: somebody floods it, and those from %s on were not looked at", maxNames, n.Name)
			break
		}
		if err := s.take(ctx, n); err != nil {
			return err
		}
	}
	return s.endLane(ctx)
}

// end says what is known when all was listed.
func (s *shelf) end() error {
	if err := s.nothingGiven(); err != nil {
		return err
	}
	if s.junk > 0 {
		s.note(vault.Tampering, Room, "%d objects whose names are not those of reports were ignored", s.junk)
	}
	return nil
}

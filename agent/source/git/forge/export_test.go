package forge

// Decode reads a page of the kind and returns the repositories that a listing of the owner at the host makes of it, and how many names it refused.
func Decode(kind, host, owner string, data []byte) ([]Repo, int, error) {
	l, err := newListing(Options{Kind: kind, Host: host, Owner: owner})
	if err != nil {
		return nil, 0, err
	}
	list, err := l.kind.decode(data)
	if err != nil {
		return nil, 0, err
	}
	var all []Repo
	err = l.give(list, func(r Repo) error {
		all = append(all, r)
		return nil
	})
	return all, l.names.Count, err
}

// NextLink is what listings find in a Link header.
var NextLink = nextLink

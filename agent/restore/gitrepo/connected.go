package gitrepo

import (
	"context"
	"fmt"
	"io"
	"slices"

	"farshore/agent/record"
)

// attrShared says that some of the first packs were taken over from another repository of the same fork network.
const attrShared = "shared"

// connected holds the repository to have all that its refs reach, where the capture could not know: a pack that was fetched from a server has the objects that this
// server chose to send. Of a pack whose ids were recorded they were compared.
func (b *builder) connected(ctx context.Context) error {
	known := func(p *record.Part) bool { return p.Attrs[attrIDs] != "" }
	if chain := packParts(b.set.Git); len(chain) > 0 && !slices.ContainsFunc(chain, func(p *record.Part) bool { return !known(p) }) {
		return nil
	}
	err := b.git.Run(ctx, nil, io.Discard, "rev-list", "--objects", "--all", "--quiet")
	if err == nil && b.manifest.HeadOID != "" {
		err = b.git.Run(ctx, nil, io.Discard, "rev-list", "--objects", "--quiet", b.manifest.HeadOID)
	}
	if err != nil {
		return failed(ctx, b.set.Git, "packs", fmt.Errorf("they do not have all that the refs reach; the source sent too little, or a pack is another's: restore an earlier snapshot: %w", err))
	}
	return nil
}

// alone leaves objects out that no ref of the repository reaches, where packs were taken over from a repository that may be nobody else's business.
func (b *builder) alone(ctx context.Context) error {
	if b.o.AsStored || b.set.Git.Attrs[attrShared] == "" {
		return nil
	}
	if err := b.git.Run(ctx, nil, io.Discard, "repack", "-a", "-d", "-q"); err != nil {
		return failed(ctx, b.set.Git, "packs", err)
	}
	return nil
}

// repacked reports whether a repository that shares packs has been left with its own objects, in one pack.
func (c *checker) repacked(indexes []string) bool {
	return c.set.Git.Attrs[attrShared] != "" && len(indexes) == 1
}

package suites

import (
	"path"
	"slices"

	"github.com/onsi/ginkgo/v2/types"
)

// selects applies Only and Skip.
func (c *Config) selects(id string) bool {
	match := func(patterns []string) bool {
		return slices.ContainsFunc(patterns, func(p string) bool { ok, _ := path.Match(p, id); return ok })
	}
	return (len(c.Only) == 0 || match(c.Only)) && !match(c.Skip)
}

func (s *preparation) selected() []string {
	filter, _ := types.ParseLabelFilter(s.cfg.LabelFilter) // validated before
	var ids []string
	n := 0
	for _, c := range s.reg.All() {
		if s.cfg.selects(c.Requirement.ID) && (s.cfg.LabelFilter == "" || filter(c.Labels())) {
			if s.cfg.Shard.Has(n) {
				ids = append(ids, c.Requirement.ID)
			}
			n++
		}
	}
	return ids
}

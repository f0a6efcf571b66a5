package suites

import (
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestBuildSaysItsVersionAndCommit(t *testing.T) {
	const commit = "1a034b2b3cd5d5240635d65f51fc9c78742edd4a"
	checkout := []debug.BuildSetting{{Key: "vcs.revision", Value: commit}, {Key: "vcs.time", Value: "2026-11-28T21:26:40Z"},
		{Key: "vcs.modified", Value: "false"}}
	changed := append(checkout[:2:2], debug.BuildSetting{Key: "vcs.modified", Value: "true"})
	for name, c := range map[string]struct {
		main            debug.Module
		settings        []debug.BuildSetting
		version, commit string
		want            BuildInfo
		identified      bool
	}{
		"a release by the linker": {debug.Module{Version: "(devel)"}, checkout, "1.2.3", "",
			BuildInfo{Version: "1.2.3", Commit: commit, Time: "2026-11-28T21:26:40Z"}, true},
		"an image, without a checkout": {debug.Module{Version: "(devel)"}, nil, "1.2.3", commit, BuildInfo{Version: "1.2.3", Commit: commit},
			true},
		"go install of a tag": {debug.Module{Version: "v1.2.3", Sum: "h1:abc="}, nil, "dev", "",
			BuildInfo{Version: "1.2.3", Sum: "h1:abc="}, true},
		"go install of a commit": {debug.Module{Version: "v0.0.0-20261128212640-1a034b2b3cd5", Sum: "h1:abc="}, nil, "dev", "",
			BuildInfo{Version: "0.0.0-20261128212640-1a034b2b3cd5", Commit: "1a034b2b3cd5", Sum: "h1:abc="}, true},
		"a checkout": {debug.Module{Version: "v1.2.4-0.20261128212640-1a034b2b3cd5"}, checkout, "dev", "",
			BuildInfo{Version: "1.2.4-0.20261128212640-1a034b2b3cd5", Commit: commit, Time: "2026-11-28T21:26:40Z"}, true},
		"a checkout with changes": {debug.Module{Version: "v1.2.3+dirty"}, changed, "dev", "",
			BuildInfo{Version: "1.2.3+dirty", Commit: commit, Time: "2026-11-28T21:26:40Z", Modified: true}, false},
		"nothing known":      {debug.Module{Version: "(devel)"}, nil, "dev", "", BuildInfo{Version: "dev"}, false},
		"a version, no more": {debug.Module{Version: "(devel)"}, nil, "1.2.3", "", BuildInfo{Version: "1.2.3"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			got := buildFrom(&debug.BuildInfo{Main: c.main, Settings: c.settings}, c.version, c.commit)
			assert.Equal(t, c.want, got)
			assert.Equal(t, c.identified, got.Identified())
		})
	}
}

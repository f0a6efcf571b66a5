package suites

import (
	"regexp"
	"runtime/debug"
	"strings"
)

// Commit is the commit that the tool was built from, set by the linker for releases that are built without a checkout.
var Commit = ""

// BuildInfo says which build of the tool this is.
type BuildInfo struct {
	Version string // "dev" if not known
	Commit  string // empty if not known
	Time    string // of the commit
	Sum     string // of the module, as the checksum database has it, for a build by go install
	// Modified says that the checkout had changes that were not committed.
	Modified bool
}

// Build returns what the linker and the Go toolchain wrote into this binary.
func Build() BuildInfo {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return BuildInfo{Version: Version, Commit: Commit}
	}
	return buildFrom(info, Version, Commit)
}

// Identified reports whether others can reproduce the build: from a commit without changes, or from a module version
// whose checksum is known.
func (b BuildInfo) Identified() bool {
	return b.Version != "" && b.Version != "dev" && !b.Modified && (b.Commit != "" || b.Sum != "")
}

// pseudo is the end of a pseudo-version, which names a commit.
var pseudo = regexp.MustCompile(`[.-][0-9]{14}-([0-9a-f]{12})(\+dirty)?$`)

func buildFrom(info *debug.BuildInfo, version, commit string) BuildInfo {
	b := BuildInfo{Version: version, Commit: commit, Sum: info.Main.Sum}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.time":
			b.Time = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	own := info.Main.Version
	if (version == "" || version == "dev") && own != "" && own != "(devel)" {
		b.Version = strings.TrimPrefix(own, "v")
	}
	b.Modified = b.Modified || strings.HasSuffix(own, "+dirty")
	if m := pseudo.FindStringSubmatch(own); m != nil && b.Commit == "" {
		b.Commit = m[1]
	}
	return b
}

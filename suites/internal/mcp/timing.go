package mcp

import "time"

// peek is how long a silent stream is watched: its status and header are all that matter.
const peek = 20 * time.Millisecond

#!/usr/bin/env bash
# Builds the documentation site in build/site from the pages of this folder, generated pages, and files of the repository's root.
# Needs Python 3 and docs/requirements.txt. A broken link is an error.
set -euo pipefail
cd "$(dirname "$0")/.."
rm -rf build
mkdir -p build/docs
cp -r docs/. build/docs/
rm build/docs/build.sh build/docs/requirements.txt
cp SECURITY.md CONTRIBUTING.md CHANGELOG.md build/docs/
go run ./cmd/mcpauth docs build/docs/reference
NO_MKDOCS_2_WARNING=1 python3 -m mkdocs build --strict --quiet

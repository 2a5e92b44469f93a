#!/bin/sh
# Builds the simulator, gets ews-javascript-api 0.15.3 and what it needs, as the lock file has it,
# into a folder of its own below target/, and runs the checks. Arguments go to run.js (such as
# --capture DIR).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
packages=$target/ews-javascript-api-0.15.3
for program in node npm; do
    if ! command -v "$program" >/dev/null; then
        echo "foreign: $program is needed for ews-javascript-api; install Node.js 18 or later with npm" >&2
        exit 1
    fi
done
if ! cmp -s "$here/package-lock.json" "$packages/installed"; then
    mkdir -p "$packages"
    cp "$here/package.json" "$here/package-lock.json" "$packages"
    # No package of these has a reason to run a program of its own while it is installed.
    if ! (cd "$packages" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2); then
        echo "foreign: the npm packages could not be installed; is the package registry reachable?" >&2
        exit 1
    fi
    cp "$here/package-lock.json" "$packages/installed"
fi
cargo build --quiet --locked --manifest-path "$root/Cargo.toml" --package postroom-simulator --example exchange
EWS_PACKAGES=$packages/package.json exec node "$here/run.js" "$target/debug/examples/exchange" "$@"

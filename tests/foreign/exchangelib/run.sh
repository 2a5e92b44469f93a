#!/bin/sh
# Builds the simulator, gets exchangelib 5.6.0 into an environment of its own below target/, and
# runs the checks. Arguments go to run.py (such as --capture DIR). PYTHON names another Python.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
environment=$target/exchangelib-5.6.0
if [ ! -x "$environment/bin/python" ]; then
    "${PYTHON:-python3}" -m venv "$environment"
fi
"$environment/bin/python" -m pip --quiet --disable-pip-version-check install -r "$here/requirements.txt"
cargo build --quiet --manifest-path "$root/Cargo.toml" --package postroom-simulator --example exchange
exec "$environment/bin/python" "$here/run.py" "$target/debug/examples/exchange" "$@"

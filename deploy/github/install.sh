#!/usr/bin/env bash
# Puts rolloutctl on the path of the job, and nothing else of its environment; unless it is there.
set -euo pipefail

if command -v rolloutctl >/dev/null; then
    rolloutctl --version
    exit 0
fi
if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "::error title=rolloutctl::needs Python 3.11 or newer: let actions/setup-python go before"
    exit 1
fi
source=$(cd "$GITHUB_ACTION_PATH/../.." && pwd)
home=$RUNNER_TEMP/rolloutctl
python3 -m venv "$home"
for lock in requirements.lock requirements-build.lock; do
    "$home/bin/python" -m pip install --quiet --disable-pip-version-check \
        --require-hashes --only-binary :all: -r "$source/$lock"
done
"$home/bin/python" -m pip install --quiet --disable-pip-version-check \
    --no-index --no-deps --no-build-isolation "$source"
mkdir -p "$home/path"
ln -sf "$home/bin/rolloutctl" "$home/path/rolloutctl"
echo "$home/path" >>"$GITHUB_PATH"
"$home/path/rolloutctl" --version

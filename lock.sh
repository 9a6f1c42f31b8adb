#!/bin/sh
# Writes requirements.lock: every extra, every supported Python and platform, without index addresses.
set -eu
cd "$(dirname "$0")"
uv=${UV:-.venv/bin/uv}
"$uv" pip compile pyproject.toml --all-extras --universal --python-version 3.11 --quiet \
    --no-header --no-annotate --no-emit-index-url --no-emit-find-links "$@" -o requirements.lock.new
{
    echo "# Written by lock.sh from pyproject.toml; install with: pip install -r requirements.lock"
    echo "# dependencies: $(.venv/bin/python -m tests.lock)"
    cat requirements.lock.new
} >requirements.lock
rm requirements.lock.new

#!/bin/sh
# Makes .venv and installs the locked packages and this project into it; does nothing when both are up to date.
# Usage: sh setup.sh            (what `make` calls; PYTHON=python3.12 sh setup.sh chooses the interpreter)
set -eu
cd "$(dirname "$0")"
python=${PYTHON:-python3}
venv=${VENV:-.venv}

fail() { echo "btresearch: $1" >&2; exit 1; }

command -v "$python" >/dev/null 2>&1 || fail "no $python here: install Python 3.11 or newer (Debian: apt install python3 python3-venv)"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "$("$python" --version) is too old: install Python 3.11 or newer and run PYTHON=python3.11 make"
"$python" -c 'import venv, ensurepip' 2>/dev/null ||
    fail "Python's venv module is missing: install it (Debian: apt install python3-venv)"
command -v make >/dev/null 2>&1 ||
    echo "btresearch: make is missing: install it (Debian: apt install make), or call $venv/bin/btresearch evidence" >&2

stamp=$(cat requirements.lock pyproject.toml setup.sh | cksum)
if [ "$(cat "$venv/.installed" 2>/dev/null)" != "$stamp" ]; then
    echo "btresearch: installing into $venv (about a minute) ..."
    rm -rf "$venv"
    "$python" -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r requirements.lock ||
        fail "the packages could not be installed: see pip's message above"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
    echo "$stamp" >"$venv/.installed"
fi

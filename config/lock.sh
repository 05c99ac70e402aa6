#!/usr/bin/env bash
# Writes requirements.lock (what runs and what checks) and requirements-build.lock (what builds) anew from
# pyproject.toml, for Python 3.11 and newer, every file pinned by hash. Present pins are kept where they still
# fit; `config/lock.sh --upgrade` takes the newest of everything.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

python3 -m venv "$scratch/venv"
"$scratch/venv/bin/python" -m pip --disable-pip-version-check install -qq 'uv==0.13.9'

compile() {
    # --universal: one file for every supported Python; "fewest": one version of a package for all of them.
    # A private find-links folder would add hashes that nobody else can use.
    env -u UV_FIND_LINKS "$scratch/venv/bin/uv" pip compile --quiet --universal --python-version 3.11 \
        --fork-strategy fewest --generate-hashes --no-header --no-emit-index-url --no-emit-find-links "$@"
}
compile pyproject.toml --extra dask --extra parquet --extra dev --output-file requirements.lock "$@"
compile --group build --output-file requirements-build.lock "$@"

if grep -nE '://|--(extra-)?index|--find-links|--trusted-host' requirements.lock requirements-build.lock; then
    echo "lock: the lines above name a place; the lock files must not" >&2
    exit 1
fi

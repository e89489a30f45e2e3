#!/bin/sh
# Locks the dependencies of setup.cfg: runtime for the image, dev (on top of it) for the checks.
set -eu
cd "$(dirname "$0")/.."
"$1/pip-compile" --quiet --upgrade --generate-hashes --strip-extras --allow-unsafe \
  --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
  --output-file requirements/runtime.txt setup.cfg
"$1/pip-compile" --quiet --upgrade --generate-hashes --strip-extras --allow-unsafe \
  --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
  --extra dev --constraint requirements/runtime.txt --output-file requirements/dev.txt setup.cfg

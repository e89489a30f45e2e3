#!/bin/sh
# Removes clusters, operator and CRDs after saying what will go; see hack/deploy.sh.
exec "$(dirname "$0")/hack/deploy.sh" purge

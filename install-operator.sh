#!/bin/sh
# Installs the operator into the current cluster; see hack/deploy.sh for NAMESPACE and IMAGE.
exec "$(dirname "$0")/hack/deploy.sh" deploy

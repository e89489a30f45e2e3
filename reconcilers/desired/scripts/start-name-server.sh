#!/usr/bin/env bash
# start-name-server.sh CONFIG_DIRECTORY RUN_DIRECTORY
#
# namesrv.conf is the user's keys and then ours: of a key given twice the last value counts. It is
# made anew at each start, in a writable place, because the name server rewrites it when an
# administrator changes its configuration. Two line ends keep a backslash at the end of the first
# part from swallowing the second.
set -u
config=$1 run=$2
# shellcheck source=server.sh
. "$config/server.sh"

require_home mqnamesrv
{
  cat "$config/user.conf" && printf '\n\n' && cat "$config/operator.conf"
} >"$run/namesrv.conf" || fail "cannot write $run/namesrv.conf"
run_server mqnamesrv "$run/namesrv.conf"

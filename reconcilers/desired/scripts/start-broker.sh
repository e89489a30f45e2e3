#!/usr/bin/env bash
# start-broker.sh CONFIG_DIRECTORY RUN_DIRECTORY [USER_CONFIG_DIRECTORY]
#
# broker.conf is, of a key given twice the last value counts: our defaults, the user's
# broker-common.conf, the user's keys of the spec, our fixed keys, and who this broker is (from the
# environment). It is made anew at each start, in a writable place, because the broker rewrites it
# when an administrator changes its configuration. A master may end with a brokerPermission: see
# closed.sh.
set -u
ADDRESS_TIMEOUT_S=${ADDRESS_TIMEOUT_S:-60}
config=$1 run=$2 common=${3:+$3/broker-common.conf}
# shellcheck source=server.sh
. "$config/server.sh"
# shellcheck source=closed.sh
. "$config/closed.sh"

# part FILE: its text. Two line ends keep a backslash at the end of it, with or without a line end of
# its own, from swallowing the first line of the next part.
part() {
  cat "$1" && printf '\n\n'
}

user_parts() {
  { [ -z "$common" ] || part "$common"; } && part "$config/user.conf"
}

broker_conf() {
  part "$config/defaults.conf" && user_parts && part "$config/operator.conf" &&
    printf '%s\n' \
      "brokerClusterName=$BROKER_CLUSTER_NAME" \
      "brokerName=$BROKER_NAME" \
      "brokerId=$BROKER_ID" \
      "brokerRole=$BROKER_ROLE" \
      "brokerIP1=$BROKER_IP1" \
      "brokerIP2=$BROKER_IP2" \
      ${permission:+"brokerPermission=$permission"}
}

# is_new STORE: whether no broker has ever used it.
is_new() {
  ! compgen -G "$1/commitlog/[0-9]*" >/dev/null && ! compgen -G "$1/config/*" >/dev/null
}

# asks_who: whether the broker obeys an account only. The operator has none, and could not open it.
asks_who() {
  local key
  for key in aclEnable authenticationEnabled authorizationEnabled; do
    [ "$(user_parts | last_value "$key" 'true|false')" = true ] && return 0
  done
  return 1
}

# start_permission STORE: the brokerPermission of this master's start; nothing: what the user says.
start_permission() {
  local marker=$1/$MARKER state='' own
  [ ! -e "$marker" ] || state=$(<"$marker")
  if is_leaving "$config" "$BROKER_NAME" && [ "$state" != new ]; then
    echo left >"$marker" || return 1
    own=$(user_parts | last_value brokerPermission '[0-9]+')
    log "this group is to go: it takes no messages any more" >&2
    echo $((10#${own:-6} & 4))
    return
  fi
  if [ -z "$state" ]; then
    is_new "$1" || return 0
    if asks_who; then
      log "the store is new, and only accounts may administrate this broker: it starts without topics" >&2
      return
    fi
    echo new >"$marker" || return 1
  fi
  log "closed to clients until the operator has given it topics and groups and opens it" >&2
  echo 1
}

# await_address NAME [IP]: waits until NAME resolves, and to IP if that comes about in time. The
# broker resolves brokerIP1 once, when it starts: unresolved, every send would fail; the address of
# the pod before this one would be written into every message.
await_address() {
  local deadline=$((SECONDS + ADDRESS_TIMEOUT_S)) wanted=${2:+$2 } found
  [[ $1 == *[!0-9.]* && $1 != *:* ]] || return 0 # an address already
  command -v getent >/dev/null || return 0
  while :; do
    found=$(getent ahosts "$1")
    [[ -n $found && $'\n'$found == *$'\n'"$wanted"* ]] && return 0
    [ "$SECONDS" -lt "$deadline" ] || break
    sleep 1
  done
  [ -n "$found" ] || fail "$1 does not resolve: neither brokers nor clients could reach this broker"
  log "$1 resolves to ${found%% *}, not yet to this pod; going on"
}

require_home mqbroker
[ -z "$common" ] || [ -r "$common" ] ||
  fail "the first of spec.volumes has no file ${common##*/}: the broker would run without its configuration"
# The role of a master whose spec names none: what the user's files say last, if it is a master's.
# SLAVE cannot get through, for a master with that role would wait for itself for ever.
[ -n "${BROKER_ROLE:-}" ] || BROKER_ROLE=$(user_parts | last_value brokerRole 'A?SYNC_MASTER')
BROKER_ROLE=${BROKER_ROLE:-ASYNC_MASTER}
rm -f "$run/replicated" # of the container before this one; see probe.sh
permission='' store=$(last_value storePathRootDir '.+' <"$config/operator.conf")
if [ "$BROKER_ID" = 0 ] && [ -d "$store" ]; then
  note_permission "$config" "$run/broker.conf" # of the container before this one, too
  permission=$(start_permission "$store") || fail "cannot write $store/$MARKER"
fi
broker_conf >"$run/broker.conf" || fail "cannot write $run/broker.conf"
await_address "$BROKER_IP2" "$POD_IP"
[ "$BROKER_IP1" = "$BROKER_IP2" ] || await_address "$BROKER_IP1"
trap 'note_permission "$config" "$run/broker.conf"' EXIT
run_server mqbroker "$run/broker.conf"

#!/usr/bin/env bash
# store-guard.sh CONFIG_DIRECTORY STORE
#
# Ends when this master may start. One whose store holds no commit log does not start beside a
# replica that holds messages: the replica would never follow it ("master pushed offset not equal the
# max phy offset in slave"), and what only the replica holds would be shadowed by what comes in.
# So it asks every replica of its group, and
# - while one holds messages it waits, for as long as it takes: somebody has to copy the store back
#   into this volume (and delete this pod: a copy that is still growing must not be started on), or
#   to empty the replicas by deleting their volumes and pods;
# - when all say that they hold none, it starts: a new group, or one that was given up;
# - one that says nothing (away, or not made yet) may hold some. If the operator knows that the
#   volume of this master came after the replica's, a volume was lost, and it waits on; else it is a
#   new group as far as anybody can tell, and waits SILENT_S at most.
set -u
SILENT_S=${SILENT_S:-300}
ANSWER_TIMEOUT_S=5
ASK_AGAIN_S=${ASK_AGAIN_S:-3}
REMIND_S=60
config=$1 store=$2
# shellcheck source=server.sh
. "$config/server.sh"
# shellcheck source=remoting.sh
. "$config/remoting.sh"

# group_conf: what the operator says of the replicas, read again each time, for it may change.
group_conf() {
  local key value
  [ -r "$config/group.conf" ] || fail "$config/group.conf is missing"
  replicas='' domain='' replaced=''
  while IFS='=' read -r key value || [ -n "$key" ]; do
    case $key in
      replicas) replicas=$value ;;
      domain) domain=$value ;;
      replaced) replaced=" $value " ;;
    esac
  done <"$config/group.conf"
  # Nobody to ask would mean that it may start.
  [[ $replicas =~ ^[0-9]+$ ]] || fail "$config/group.conf does not say how many replicas to ask"
}

# commit_log_end HOST: prints the end of its commit log; 1 when it does not say.
commit_log_end() {
  local body=''
  ask "$1" 10911 28 && [ "$code" = 0 ] || return 1
  IFS= read -r -N "$body_length" -t "$READ_TIMEOUT_S" body <&3
  [[ $body =~ \"commitLogMaxOffset\":\"?([0-9]+) ]] && echo "${BASH_REMATCH[1]}"
}

# ask_replica HOST: the end of its commit log in $log_end; empty when it does not say.
ask_replica() {
  local child
  exec 4<> <(:) # a pipe
  { commit_log_end "$1" || echo; } >&4 2>/dev/null &
  child=$!
  IFS= read -r -t "$ANSWER_TIMEOUT_S" log_end <&4 || log_end=''
  kill "$child" 2>/dev/null
  wait "$child" 2>/dev/null
  exec 4>&-
}

# say WORDS: once, and again each minute as long as they stay the same.
said='' said_at=0
say() {
  [ "$*" != "$said" ] || ((SECONDS - said_at >= REMIND_S)) || return 0
  said=$* said_at=$SECONDS
  log "$*"
}

# allowed: whether this master may start, by what its replicas say now. One that falls silent still
# holds what it held.
declare -A held=()
allowed() {
  local number pod log_end holding='' silent=''
  group_conf
  for ((number = 1; number <= replicas; number++)); do
    pod=$BROKER_NAME-replica-$number-0
    ask_replica "$pod.$domain"
    held[$pod]=${log_end:-${held[$pod]:-}}
    case ${held[$pod]} in
      '') silent="$silent $pod" ;;
      0) ;;
      *) holding="$holding $pod (${held[$pod]} bytes)" ;;
    esac
  done
  if [ -n "$holding" ]; then
    say "the store is empty, but messages of this group are held by$holding: not starting, for they would be out of reach. Copy the store back and delete this pod, or give these messages up and delete the volumes and pods of the replicas"
    return 1
  fi
  [ -n "$silent" ] || return 0
  if [[ $replaced == *" $BROKER_NAME "* ]]; then
    say "the store is empty, and its volume is newer than those of the replicas: not starting before it is known that they hold no messages; no answer from$silent"
    return 1
  fi
  ((SECONDS < SILENT_S)) || return 0
  say "the store is empty: waiting for$silent to say what they hold, at most $SILENT_S s in all"
  return 1
}

trap 'exit 143' TERM INT
if compgen -G "$store/commitlog/[0-9]*" >/dev/null; then
  exit 0
fi
while ! allowed; do
  sleep "$ASK_AGAIN_S"
done
log "starting with an empty store: no replica says that it holds messages of this group"

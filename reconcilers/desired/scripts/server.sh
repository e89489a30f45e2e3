# Runs one of the image's own server scripts as a child. Sourced by the start scripts.
#
# The stock scripts do not exec java, so a SIGTERM to them never reaches it: the JVM would be killed
# after the grace period, with its store unclean. Therefore a SIGTERM that arrives here is passed to
# every java process below the child until the child has ended, also to one that starts meanwhile
# (the scripts run `java -version` first).

log() {
  printf '%(%Y-%m-%dT%H:%M:%S%z)T rocketmq-operator: %s\n' -1 "$*"
}

fail() {
  log "$*" >&2
  exit 1
}

# require_home SCRIPT: the image has what is run here.
require_home() {
  [ -n "${ROCKETMQ_HOME:-}" ] ||
    fail "ROCKETMQ_HOME is not set: the image is not laid out like apache/rocketmq"
  [ -r "$ROCKETMQ_HOME/bin/$1" ] ||
    fail "$ROCKETMQ_HOME/bin/$1 is missing: the image is not laid out like apache/rocketmq"
}

# Ours first, the user's last: of two equal JVM flags the last one counts, and every version of the
# stock scripts puts JAVA_OPT_EXT behind its own flags. A heap size of the user's replaces ours as a
# whole: our -Xms over their -Xmx would keep the JVM from starting (-Xms0 means: not given).
export_java_options() {
  local users="${HEAP_OPTS:-} ${BROKER_MEM:-} ${JAVA_OPT_EXT:-}" heap=${OPERATOR_JVM_HEAP:-}
  case $users in
    *-Xmx* | *-XX:MaxHeapSize=*) heap=-Xms0 ;;
  esac
  export JAVA_OPT_EXT="${OPERATOR_JVM_OPTIONS:-} $heap $users"
}

# java_below PID: prints the java processes that descend from it.
java_below() {
  local file line pid rest ancestor
  local -A parent=() command=()
  for file in /proc/[0-9]*/stat; do
    { read -r line <"$file"; } 2>/dev/null || continue
    pid=${line%% *}
    rest=${line#*\(}
    command[$pid]=${rest%\)*}
    rest=${line##*\) ? }
    parent[$pid]=${rest%% *}
  done
  for pid in "${!command[@]}"; do
    [ "${command[$pid]}" = java ] || continue
    ancestor=$pid
    while [ -n "$ancestor" ] && [ "$ancestor" != 0 ] && [ "$ancestor" != "$1" ]; do
      ancestor=${parent[$ancestor]:-}
    done
    [ "$ancestor" = "$1" ] && echo "$pid"
  done
}

# stop_java PID: ends when the process PID has ended.
stop_java() {
  local pid told=' '
  while kill -0 "$1" 2>/dev/null; do
    for pid in $(java_below "$1"); do
      case $told in
        *" $pid "*) ;;
        *)
          told="$told$pid "
          kill -TERM "$pid" 2>/dev/null && log "SIGTERM passed to java, process $pid"
          ;;
      esac
    done
    sleep 0.2
  done
}

# run_server SCRIPT CONF: never returns; exits with the status of the server.
run_server() {
  local child status stopped=''
  cd "$ROCKETMQ_HOME/bin" || fail "cannot enter $ROCKETMQ_HOME/bin"
  export_java_options
  trap 'exit 143' TERM INT
  log "starting $1 with $2"
  sh "./$1" -c "$2" &
  child=$!
  trap 'stopped=yes; stop_java "$child"' TERM INT
  wait "$child"
  status=$?
  # A signal ends the wait early; its trap has returned here, so the child has ended by now.
  if [ -n "$stopped" ]; then
    wait "$child"
    status=$?
  fi
  log "$1 ended with status $status"
  exit "$status"
}

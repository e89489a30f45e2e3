#!/usr/bin/env bash
# probe.sh name-server | probe.sh broker CONF
#
# Ready means more than an open port. A name server answers GET_BROKER_CLUSTER_INFO (106) with
# success. A broker answers GET_BROKER_RUNTIME_INFO (28) with anything (a refusal for want of a
# signature is proof of life), and one of its name servers lists its address under its brokerName; a
# replica has also been connected to its master once since it started. (It learns where the master is
# some 10 s after it is registered: until then a SYNC master refuses every message. Later on a master
# that is away does not take its replica along.)
#
# It speaks the remoting protocol with bash alone (remoting.sh). Its only processes are one for each
# name server, because bash cannot limit the time of a connect (and a cat, once). It reads CONF as
# the broker may have rewritten it, so it asks the name servers that the broker uses now. Servers
# that accept TLS only (tls.server.mode=enforcing) are never ready by it.
#
# It looks often enough to note that a master was opened (closed.sh), should that end without a word.
set -u
# shellcheck source=remoting.sh
. "${0%/*}/remoting.sh"
# shellcheck source=closed.sh
. "${0%/*}/closed.sh"
NAME_SERVERS_TIMEOUT_S=3

# setting KEY: the last value of KEY in the broker's configuration, into $value.
setting() {
  local line
  value=''
  while IFS= read -r line || [ -n "$line" ]; do
    case $line in "$1="*) value=${line#*=} ;; esac
  done <"$conf"
}

# listed NAME_SERVER: whether it answers and lists this broker.
listed() {
  local host=${1%:*} body
  host=${host#[} host=${host%]}
  ask "$host" "${1##*:}" 106 && [ "$code" = 0 ] || return 1
  IFS= read -r -N "$body_length" -t "$READ_TIMEOUT_S" body <&3 || return 1
  [[ $body =~ \""$broker_name"\":\{[^\}]*\""$address"\" ]]
}

# replicated_once: whether this replica has been connected to a master's replication port since the
# start of the container. start-broker.sh removes the marker.
replicated_once() {
  local marker=${conf%/*}/replicated port remote state _
  [ ! -e "$marker" ] || return 0
  setting haListenPort && printf -v port %04X "${value:-10912}"
  while IFS=' ' read -r _ _ remote state _; do
    # 01 is ESTABLISHED: https://docs.kernel.org/networking/proc_net_tcp.html
    [[ $state == 01 && $remote == *":$port" ]] && : >"$marker" && return 0
  done < <(cat /proc/net/tcp /proc/net/tcp6 2>/dev/null)
  return 1
}

not_ready() {
  echo "not ready: $*"
  exit 1
}

name_server_ready() {
  ask 127.0.0.1 9876 106 || not_ready "port 9876 does not answer"
  [ "$code" = 0 ] || not_ready "port 9876 answers with code $code"
}

broker_ready() {
  local broker_name address port name_servers server answer pids='' waiting=0
  setting listenPort && port=$value
  ask 127.0.0.1 "$port" 28 || not_ready "port $port does not answer"
  exec 3>&-
  setting brokerName && broker_name=$value
  setting brokerIP1 && address=$value:$port
  setting namesrvAddr && name_servers=$value
  exec 4<> <(:) # a pipe
  IFS=';'
  # Of the probe's output they hold nothing: at its timeout only the probe itself is killed, and
  # containerd waits (and the kubelet probes no more) until the last process that holds it has ended.
  for server in $name_servers; do
    { if listed "$server"; then echo yes; else echo no; fi >&4; } >/dev/null 2>&1 &
    pids="$pids;$!"
    waiting=$((waiting + 1))
  done
  SECONDS=0
  while ((waiting > 0 && SECONDS < NAME_SERVERS_TIMEOUT_S)) &&
    read -r -t $((NAME_SERVERS_TIMEOUT_S - SECONDS)) answer <&4; do
    waiting=$((waiting - 1))
    [ "$answer" = no ] || break
  done
  # A connect that nobody answers would outlive this probe by minutes.
  kill ${pids#;} 2>/dev/null
  [ "${answer:-}" = yes ] || not_ready "no name server of $name_servers lists $address as $broker_name"
  setting brokerId
  [ "${value:-0}" = 0 ] || replicated_once || not_ready "not connected to the master yet"
}

case $1 in
  name-server) name_server_ready ;;
  broker)
    conf=$2
    [ -r "$conf" ] || not_ready "$conf is not there yet"
    note_permission "${0%/*}" "$conf"
    broker_ready
    ;;
esac

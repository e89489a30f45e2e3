# Whether clients may use this master since its start. Sourced by the scripts that say or note it.
#
# A master whose store is new starts closed (brokerPermission=1: neither read nor written; a user's own
# value is another one), gets topics and groups from the operator, and is opened by it. A file in its
# store keeps that over restarts:
#   new   closed since its first start
#   left  its group was to go when it ran last: should it come back, topics may have been made since
MARKER=rocketmq-operator-closed

# last_value KEY VALUES: of the text read, the last value of KEY that matches VALUES; or nothing.
last_value() {
  local line value=''
  while IFS= read -r line || [ -n "$line" ]; do
    [[ $line =~ ^[[:space:]]*$1[[:space:]]*[=:[:space:]][[:space:]]*($2)[[:space:]]*$ ]] &&
      value=${BASH_REMATCH[1]}
  done
  echo "$value"
}

# is_leaving CONFIG_DIRECTORY GROUP: whether the operator is about to remove this group.
is_leaving() {
  local key value
  [ -r "$1/group.conf" ] || return 1
  while IFS='=' read -r key value || [ -n "$key" ]; do
    [[ $key == leaving && " $value " == *" $2 "* ]] && return 0
  done <"$1/group.conf"
  return 1
}

# note_permission CONFIG_DIRECTORY CONF: keeps the marker as CONF says, which the broker rewrites when
# it is opened. Without a brokerPermission in it nobody has said anything.
note_permission() {
  local line id='' store='' group='' permission=''
  [ -r "$2" ] || return 0
  while IFS= read -r line || [ -n "$line" ]; do
    case $line in
      brokerId=*) id=${line#*=} ;;
      brokerName=*) group=${line#*=} ;;
      storePathRootDir=*) store=${line#*=} ;;
      brokerPermission=*) permission=${line#*=} ;;
    esac
  done <"$2"
  [ "$id" = 0 ] && [ -d "$store" ] && [ "$permission" != 1 ] || return 0
  if is_leaving "$1" "$group"; then
    echo left >"$store/$MARKER"
  elif [ -n "$permission" ] && [ -e "$store/$MARKER" ]; then
    rm -f "$store/$MARKER"
  fi
}

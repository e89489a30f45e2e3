#!/usr/bin/env bash
# directories.sh UID:GID DIRECTORY...
#
# On a HostPath the kubelet makes the directories of a pod as root; the server that runs as another
# user could not write. Each is given to that user, with what is in it, unless it is theirs already.
set -eu
owner=$1
shift
for directory in "$@"; do
  [ "$(stat -c %u:%g "$directory")" = "$owner" ] && continue
  chown -R "$owner" "$directory"
  echo "rocketmq-operator: $directory now belongs to $owner"
done

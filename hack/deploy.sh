#!/bin/sh
# Installs and removes the operator with kubectl alone: no compiler, no Python, any namespace.
#   hack/deploy.sh deploy|undeploy|purge
# Environment: NAMESPACE (rocketmq-operator), IMAGE (the released image), WATCH_NAMESPACES (all),
# KUBECTL (kubectl), CONFIRM=yes (purge without asking). Acts on the current kubectl context.
set -eu

cd "$(dirname "$0")/.."
NAMESPACE=${NAMESPACE:-rocketmq-operator}
IMAGE=${IMAGE:-docker.io/apache/rocketmq-operator:0.1.0}
WATCH_NAMESPACES=${WATCH_NAMESPACES:-}
KUBECTL=${KUBECTL:-kubectl}
# Transfers last: without their clusters there is nothing that they would have to undo first.
KINDS="brokers.rocketmq.apache.org nameservices.rocketmq.apache.org topictransfers.rocketmq.apache.org"
NOT_OURS=app.kubernetes.io/name!=rocketmq-operator
KEPT=pods,pvc,services,statefulsets,deployments,daemonsets,jobs,cronjobs,configmaps,secrets
MADE_BY_US=rocketmq.apache.org/created-by=deploy

say() { printf '%s\n' "$*" >&2; }

server() {
  $KUBECTL config view --minify -o jsonpath='{.clusters[0].cluster.server}'
}

# A folder of its own: another cluster may be deployed to at the same time.
OVERLAYS=build/deploy/$$
trap 'rm -rf "$OVERLAYS"' EXIT

overlay() {  # an overlay of manifests/$1 for this namespace and image; prints its folder
  # Names that are of the whole cluster carry the namespace: a second installation elsewhere keeps
  # its rights when this one goes.
  directory=$OVERLAYS/$NAMESPACE-$1
  rm -rf "$directory" && mkdir -p "$directory"
  cat >"$directory/kustomization.yaml" <<EOF
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: $NAMESPACE
resources:
  - ../../../../manifests/$1
patches:
  - target: {kind: Deployment, name: rocketmq-operator}
    patch: |-
      - {op: replace, path: /spec/template/spec/containers/0/image, value: "$IMAGE"}
      - {op: replace, path: /spec/template/spec/containers/0/args/0, value: "--watch-namespaces=$WATCH_NAMESPACES"}
  - target: {kind: ClusterRole, name: rocketmq-operator}
    options: {allowNameChange: true}
    patch: |-
      - {op: replace, path: /metadata/name, value: "rocketmq-operator:$NAMESPACE"}
  - target: {kind: ClusterRoleBinding, name: rocketmq-operator}
    options: {allowNameChange: true}
    patch: |-
      - {op: replace, path: /metadata/name, value: "rocketmq-operator:$NAMESPACE"}
      - {op: replace, path: /roleRef/name, value: "rocketmq-operator:$NAMESPACE"}
      - {op: replace, path: /subjects/0/namespace, value: "$NAMESPACE"}
  - target: {kind: RoleBinding, name: rocketmq-operator-leader-election}
    patch: |-
      - {op: replace, path: /subjects/0/namespace, value: "$NAMESPACE"}
EOF
  printf '%s' "$directory"
}

deploy() {
  say "deploying $IMAGE into namespace $NAMESPACE of $(server)"
  if ! $KUBECTL get namespace "$NAMESPACE" >/dev/null 2>&1; then
    $KUBECTL create namespace "$NAMESPACE"
    $KUBECTL label namespace "$NAMESPACE" "$MADE_BY_US" \
      pod-security.kubernetes.io/enforce=restricted >/dev/null
  fi
  $KUBECTL apply --server-side --force-conflicts -k manifests/crds
  for kind in $KINDS; do
    $KUBECTL wait --for=condition=Established --timeout=60s "crd/$kind" >/dev/null
  done
  $KUBECTL apply --server-side --force-conflicts -k "$(overlay operator)"
  $KUBECTL -n "$NAMESPACE" rollout status deployment/rocketmq-operator --timeout="${TIMEOUT:-180s}"
}

undeploy() {  # never CRDs, custom resources, their pods or data; never a namespace
  say "removing the operator from namespace $NAMESPACE of $(server); clusters keep running"
  $KUBECTL delete --ignore-not-found -k "$(overlay operator)"
  $KUBECTL -n "$NAMESPACE" delete --ignore-not-found lease/rocketmq-operator
}

listing() {
  for kind in $KINDS; do
    $KUBECTL get "$kind" --all-namespaces --ignore-not-found --no-headers \
      -o custom-columns=KIND:.kind,NAMESPACE:.metadata.namespace,NAME:.metadata.name 2>/dev/null || true
  done
}

confirm() {
  [ "${CONFIRM:-}" = yes ] && return 0
  printf 'type "purge" to delete all of this: ' >&2
  read -r answer
  [ "$answer" = purge ] || { say "nothing was deleted"; exit 1; }
}

purge() {
  say "purge deletes from $(server), in this order:"
  say "1. these RocketMQ clusters, with their pods (PVCs stay unless pvcRetentionPolicy is Delete;"
  say "   data on host paths stays):"
  found=$(listing)
  say "${found:-   (none)}"
  say "2. the operator in namespace $NAMESPACE  3. the CRDs: $KINDS"
  say "4. namespace $NAMESPACE, if deploy created it and nothing else is in it"
  confirm
  for kind in $KINDS; do
    [ -n "$($KUBECTL get crd "$kind" --ignore-not-found -o name)" ] || continue
    $KUBECTL delete "$kind" --all --all-namespaces --timeout=180s
  done
  undeploy
  $KUBECTL delete --ignore-not-found -k manifests/crds
  remove_namespace
}

remove_namespace() {
  made=$($KUBECTL get namespaces -l "$MADE_BY_US" --field-selector "metadata.name=$NAMESPACE" -o name)
  [ -n "$made" ] || return 0
  # Claims of purged clusters hold messages: the namespace stays for their sake.
  held=$($KUBECTL -n "$NAMESPACE" get "$KEPT" -l "$NOT_OURS" -o name)
  left=$(printf '%s\n' "$held" | grep -v /kube-root-ca.crt || true)
  if [ -z "$left" ]; then
    $KUBECTL delete namespace "$NAMESPACE"
  else
    say "namespace $NAMESPACE stays, because it holds:"; say "$left"
  fi
}

case "${1:-}" in
  deploy | undeploy | purge) "$1" ;;
  *) say "usage: $0 deploy|undeploy|purge"; exit 2 ;;
esac

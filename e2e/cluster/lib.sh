# shellcheck shell=bash
# Shared by provision.sh and cluster.sh: where things lie, which versions are
# built. Sourced, never run.

CLUSTER_DIR=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
CACHE=${GODWIT_CLUSTER_CACHE:-$(cd -- "$CLUSTER_DIR/../.." && pwd)/.cache/cluster}
RUN=${GODWIT_CLUSTER_RUN:-$CACHE/run}
mkdir -p "$CACHE"/{builds,lock,tmp,ports} "$RUN"
# Absolute paths only: the components run with their own working directory.
CACHE=$(cd -- "$CACHE" && pwd)
RUN=$(cd -- "$RUN" && pwd)
# shellcheck disable=SC2034 # for common.sh
PART=cluster
# shellcheck source=../common.sh
. "$CLUSTER_DIR/../common.sh"

MODULE=$CLUSTER_DIR/kubernetes
# Part of a build's key: raise it when how things are built changes.
BUILD_FORMAT=2

# module_version PATH: what go.mod asks for, with its v.
module_version() {
  awk -v path="$1" '$1 == path && !seen++ { print $2 }' "$MODULE/go.mod"
}

# What is built depends on these files and on nothing else, so that a checkout
# of the same sources finds the build of another.
build_of() {
  local key
  key=$({ printf '%s\n' "$BUILD_FORMAT"; cat "$MODULE"/{go.mod,go.sum,main.go}; } | sha256sum | cut -c 1-16)
  printf '%s' "$CACHE/builds/kubernetes-$key"
}

# The program of each pod's sandbox and of the node's first process.
pause_of() {
  printf '%s' "$CACHE/builds/pause-$(sha256sum <"$CLUSTER_DIR/pause.c" | cut -c 1-16)"
}

# shellcheck disable=SC2034 # for those who source this
PAUSE_IMAGE=localhost/pause:1

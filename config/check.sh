#!/usr/bin/env bash
# Checks all that users install and apply: chart, config/, samples, GitOps; without a node, with an API server of e2e/cluster. Exit code 0
# when all is well.
# Needs Go, kubectl and helm (config/tools.sh says from where), and the network for Go modules the first time only.
#
#   config/check.sh [--without-cargo]
set -euo pipefail
. "$(dirname "$0")/tools.sh"
cd "$root"

status=0
step() {
  local name=$1 log
  shift
  log=$(mktemp)
  if "$@" >"$log" 2>&1; then
    echo "ok      $name"
  else
    echo "FAILED  $name"
    sed 's/^/        /' "$log"
    status=1
  fi
  rm -f "$log"
}

HELM=$(find_helm) || exit 1
export HELM
# Where the machine has no kubectl, the one built beside helm.
export PATH=$PATH:${HELM%/*}
step "config/ is what the chart and the Lua files render to" config/render.sh --check

# A real API server takes what users apply. Its absence from this tree is said, never passed over.
if [[ -x e2e/cluster/cluster.sh ]]; then
  cluster=packaging-$$
  trap 'e2e/cluster/cluster.sh down "$cluster" >/dev/null 2>&1 || true' EXIT
  GODWIT_PACKAGING_CLUSTER=$(e2e/cluster/cluster.sh up "$cluster" cp) || exit 1
  export GODWIT_PACKAGING_CLUSTER
else
  echo "left out: the API server's view, because e2e/cluster is not there"
fi

# Chart, values, roles, Pod Security, metrics, Argo CD, Flux, kstatus, API server: e2e/packaging has one test for each.
step "packaging tests (e2e/packaging)" go -C e2e/packaging test -count=1 ./...
if [[ ${1:-} != --without-cargo ]]; then
  step "samples against the CRDs, examples of every phase" \
    cargo test --lib --locked --quiet -- manifest::tests::samples conditions::examples
fi
exit "$status"

#!/usr/bin/env bash
# Renders config/ from the chart, which is the one source: CRDs, roles, the operator, and Argo CD's ConfigMap from its Lua files.
#
#   config/render.sh           writes config/ anew (and the chart's copy of the CRDs)
#   config/render.sh --check   says what differs and fails
set -euo pipefail
. "$(dirname "$0")/tools.sh"
cd "$root"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
release=godwit
namespace=godwit-system

# What Helm alone needs is left out.
without_helm() {
  sed -E '/^ +(helm\.sh\/chart|app\.kubernetes\.io\/managed-by): /d; /^# Source: /d' "$1"
}

# One template's objects, or nothing where they are behind values.
rendered() {
  local file=$scratch/chart/godwit/templates/$1
  [[ -f $file ]] && without_helm "$file"
}

header() {
  echo "# Rendered from charts/godwit by config/render.sh; change the chart instead."
}

render() {
  local out=$1 crd
  mkdir -p "$out"/{config/crd,config/rbac,config/manager,charts/godwit/files/crds}
  cp crds/*.yaml "$out/charts/godwit/files/crds/"
  "$(find_helm)" template "$release" charts/godwit --namespace "$namespace" --kube-version "$KUBE_VERSION" \
    --values config/values.yaml --output-dir "$scratch/chart" >/dev/null

  { header; rendered crds.yaml; } >"$out/config/crd/crds.yaml"
  { header; rendered serviceaccount.yaml; rendered rbac.yaml; } >"$out/config/rbac/operator.yaml"
  { header; rendered rbac-users.yaml; } >"$out/config/rbac/users.yaml"
  { header; rendered deployment.yaml; rendered service.yaml; rendered networkpolicy.yaml; } >"$out/config/manager/operator.yaml"
}

# The Lua files as values of argocd-cm.
render_argo() {
  local out=$1 folder=config/gitops/argo-cd/godwit.dev kind action
  mkdir -p "$out/config/gitops/argo-cd"
  {
    echo "# Made from the Lua files below godwit.dev/ by config/render.sh; change those instead."
    echo "# kubectl apply --server-side --field-manager=godwit -f this file: Argo CD's other settings stay as they are."
    printf 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: argocd-cm\n  namespace: argocd\n  labels:\n'
    printf '    app.kubernetes.io/name: argocd-cm\n    app.kubernetes.io/part-of: argocd\ndata:\n'
    for kind in MigrationTask DedicatedCluster; do
      echo "  resource.customizations.health.godwit.dev_$kind: |"
      sed 's/^\(.\)/    \1/' "$folder/$kind/health.lua"
    done
    echo "  resource.customizations.actions.godwit.dev_MigrationTask: |"
    echo "    discovery.lua: |"
    sed 's/^\(.\)/      \1/' "$folder/MigrationTask/actions/discovery.lua"
    echo "    definitions:"
    for action in pause resume precheck-again restart; do
      printf '    - name: %s\n      action.lua: |\n' "$action"
      sed 's/^\(.\)/        \1/' "$folder/MigrationTask/actions/$action/action.lua"
    done
  } >"$out/config/gitops/argo-cd/argocd-cm.yaml"
}

if [[ ${1:-} == --check ]]; then
  render "$scratch/new"
  render_argo "$scratch/new"
  status=0
  while read -r file; do
    diff -u "$root/$file" "$scratch/new/$file" || status=1
  done < <(cd "$scratch/new" && find . -type f | sort)
  if [[ $status != 0 ]]; then
    echo "config/ is not what the chart renders to: run config/render.sh" >&2
  fi
  exit "$status"
fi
cp crds/*.yaml charts/godwit/files/crds/
render "$scratch/new"
render_argo "$scratch/new"
cp -r "$scratch/new/." "$root/"

# Sourced by config/render.sh and config/check.sh: where helm is.

# What helm template is told about the cluster; any version that the chart accepts.
KUBE_VERSION=1.34.0

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# The newest helm that e2e/cluster has built, or nothing.
built_helm() {
  local candidate newest=
  for candidate in "${GODWIT_CLUSTER_CACHE:-$root/.cache/cluster}"/builds/*/helm; do
    if [[ -x $candidate && (-z $newest || $candidate -nt $newest) ]]; then
      newest=$candidate
    fi
  done
  echo "$newest"
}

# Prints the path of helm: $HELM, else that of e2e/cluster, which is built when it is not there, else that of the PATH.
find_helm() {
  local found=${HELM:-$(built_helm)}
  if [[ -z $found && -x $root/e2e/cluster/provision.sh ]]; then
    "$root/e2e/cluster/provision.sh" cp >&2
    found=$(built_helm)
  fi
  found=${found:-$(command -v helm || true)}
  if [[ -z $found ]]; then
    echo "helm is not on this machine: put it on the PATH, or set HELM to where it is" >&2
    return 1
  fi
  echo "$found"
}

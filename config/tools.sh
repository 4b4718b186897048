# Sourced by config/render.sh and config/check.sh: finds helm and kubectl, builds helm into .cache where it is not on the machine.

HELM_VERSION=v3.19.5
# What helm template is told about the cluster; any version that the chart accepts.
KUBE_VERSION=1.34.0

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
tools=${GODWIT_TOOLS_CACHE:-$root/.cache/tools}

# Prints the path of helm: $HELM, that of the PATH, that of e2e/cluster, or our own build of the Go module (two minutes, once).
find_helm() {
  local candidate
  for candidate in "${HELM:-}" "$(command -v helm || true)" "$tools/helm-$HELM_VERSION/helm"; do
    if [[ -n $candidate && -x $candidate ]]; then
      echo "$candidate"
      return
    fi
  done
  local folder=$tools/helm-$HELM_VERSION
  mkdir -p "$folder/module"
  echo "helm is not on this machine: building $HELM_VERSION from its Go module" >&2
  (
    cd "$folder/module"
    [[ -f go.mod ]] || go mod init helm.local >&2
    go get "helm.sh/helm/v3@$HELM_VERSION" >&2
    go get -tool "helm.sh/helm/v3/cmd/helm@$HELM_VERSION" >&2
    CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X helm.sh/helm/v3/internal/version.version=$HELM_VERSION" \
      -o "$folder/helm" helm.sh/helm/v3/cmd/helm >&2
  )
  echo "$folder/helm"
}

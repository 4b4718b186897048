# shellcheck shell=bash
# etcd and the control plane. Sourced by cluster.sh.

# Services are known inside of a cluster only, so all clusters may use the same.
SERVICE_CIDR=10.96.0.0/16
# shellcheck disable=SC2034 # for pki.sh
SERVICE_API=10.96.0.1
# Longer than any start seen on a machine that compiles besides.
READY_SECONDS=${GODWIT_CLUSTER_READY_SECONDS:-120}

server_of() { printf 'https://%s:%d' "$(<"$1/host")" "$(($(<"$1/port") + 2))"; }

# api DIR PATH: what the API server says, as its administrator.
api() {
  curl --silent --fail --max-time 5 --cacert "$1/pki/ca.crt" --cert "$1/pki/admin.crt" --key "$1/pki/admin.key" \
    "$(server_of "$1")$2"
}

api_says() { api "$@" >/dev/null 2>&1; }

# start_etcd DIR: a crash of the machine may take its data along, which nobody keeps.
start_etcd() {
  local dir=$1 port
  port=$(<"$dir/port")
  define "$dir" etcd "$PROGRAM" etcd --name=default "--data-dir=$dir/etcd" --unsafe-no-fsync --log-level=warn \
    --quota-backend-bytes=8589934592 --auto-compaction-retention=5m \
    "--listen-client-urls=http://127.0.0.1:$port" "--advertise-client-urls=http://127.0.0.1:$port" \
    "--listen-peer-urls=http://127.0.0.1:$((port + 1))" "--initial-advertise-peer-urls=http://127.0.0.1:$((port + 1))" \
    "--initial-cluster=default=http://127.0.0.1:$((port + 1))"
  launch "$dir" etcd
}

# Who wrote what, without what clusters write by themselves all the time.
audit_policy() {
  cat <<'YAML'
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  resources:
  - {group: "", resources: [events]}
  - {group: events.k8s.io, resources: [events]}
  - {group: coordination.k8s.io, resources: [leases]}
- level: None
  nonResourceURLs: ["/*"]
YAML
  # Thousands of clients' reads cost an API server more than a little.
  [[ ${GODWIT_CLUSTER_AUDIT:-all} != writes ]] || printf -- '- level: None\n  verbs: [get, list, watch]\n'
  printf -- '- level: Metadata\n'
}

start_apiserver() {
  local dir=$1 mode=$2 host port pki=$1/pki options
  host=$(<"$dir/host")
  port=$(<"$dir/port")
  audit_policy >"$dir/audit-policy.yaml"
  # shellcheck disable=SC2054 # its own commas
  options=("--etcd-servers=http://127.0.0.1:$port" "--bind-address=$host" "--advertise-address=$host"
    "--secure-port=$((port + 2))" "--tls-cert-file=$pki/apiserver.crt" "--tls-private-key-file=$pki/apiserver.key"
    "--client-ca-file=$pki/ca.crt" --service-account-issuer=https://kubernetes.default.svc.cluster.local
    "--service-account-key-file=$pki/sa.pub" "--service-account-signing-key-file=$pki/sa.key"
    "--service-cluster-ip-range=$SERVICE_CIDR" --authorization-mode=Node,RBAC
    --enable-admission-plugins=NodeRestriction --allow-privileged=true
    "--audit-policy-file=$dir/audit-policy.yaml" "--audit-log-path=$dir/audit.log" --audit-log-maxsize=0)
  case $mode in
    node)
      options+=("--kubelet-client-certificate=$pki/apiserver-kubelet-client.crt"
        "--kubelet-client-key=$pki/apiserver-kubelet-client.key" "--kubelet-certificate-authority=$pki/ca.crt"
        --kubelet-preferred-address-types=InternalIP)
      certificate "$dir" apiserver-kubelet-client /O=system:masters/CN=apiserver-kubelet-client
      ;;
    # A loopback address cannot be an endpoint, and nobody asks for it there.
    ctl) options+=(--endpoint-reconciler-type=none) ;;
    # Without controllers no namespace gets the account that pods are refused without.
    cp) options+=(--endpoint-reconciler-type=none --disable-admission-plugins=ServiceAccount) ;;
  esac
  # Memory is there, processor time is not.
  define "$dir" kube-apiserver env GOGC=400 "$PROGRAM" kube-apiserver "${options[@]}"
  launch "$dir" kube-apiserver
  wait_for "$dir" kube-apiserver "$READY_SECONDS" api_says "$dir" /readyz
}

# Only after /readyz: it exits when the roles it needs are not there yet.
start_controllers() {
  local dir=$1 mode=$2 pki=$1/pki controllers='*'
  # Nobody tends the nodes and pods that tests invent, so nothing may judge them.
  [[ $mode != ctl ]] ||
    controllers='*,-node-lifecycle-controller,-taint-eviction-controller,-pod-garbage-collector-controller'
  client "$dir" kube-controller-manager /CN=system:kube-controller-manager
  define "$dir" kube-controller-manager "$PROGRAM" kube-controller-manager "--controllers=$controllers" \
    "--kubeconfig=$dir/kube-controller-manager.kubeconfig" --secure-port=0 --leader-elect=false \
    "--service-account-private-key-file=$pki/sa.key" "--root-ca-file=$pki/ca.crt" \
    "--cluster-signing-cert-file=$pki/ca.crt" "--cluster-signing-key-file=$pki/ca.key" \
    --use-service-account-credentials=true --kube-api-qps=500 --kube-api-burst=1000
  launch "$dir" kube-controller-manager
}

start_scheduler() {
  local dir=$1
  client "$dir" kube-scheduler /CN=system:kube-scheduler
  define "$dir" kube-scheduler "$PROGRAM" kube-scheduler "--kubeconfig=$dir/kube-scheduler.kubeconfig" \
    --secure-port=0 --leader-elect=false
  launch "$dir" kube-scheduler
}

controllers_work() {
  wait_for "$1" kube-controller-manager "$READY_SECONDS" api_says "$1" /api/v1/namespaces/default/serviceaccounts/default
}

# shellcheck shell=bash
# A node on this machine: containerd, kubelet, kube-proxy and the cluster's DNS in
# mount, network and process namespaces of their own. Sourced by cluster.sh.
#
# Its first process holds them: when that ends, however it ends, the kernel ends
# every process of the node and takes its mounts, links and firewall along. Left
# on the machine are control groups and a few sysctls, which stop_node puts back.
#
#   host 10.200.N.254 ── link ── bridge 10.200.N.1 (node, gateway, DNS) ── pods 10.200.N.10 …
#
# The control plane listens on the host's end. What else listens there is
# reached by pods, and every pod is reached from the host.

NETWORK=${GODWIT_CLUSTER_NETWORK:-10.200}
# What kubelet sets for the whole machine, and to which value.
KUBELET_SYSCTLS=(vm.overcommit_memory=1 vm.panic_on_oom=0 kernel.panic=10 kernel.panic_on_oops=1
  kernel.keys.root_maxkeys=1000000 kernel.keys.root_maxbytes=25000000)

runs_in_node() {
  case $1 in
    node | containerd | kubelet | kube-proxy | coredns) return 0 ;;
    *) return 1 ;;
  esac
}

node_init() {
  alive "$1/pid/node" || die "the node of '$(basename -- "$1")' does not run"
  printf '%s' "$PID"
}

in_node() {
  local dir=$1
  shift
  nsenter "--target=$(node_init "$dir")" --mount --net --pid -- "$@"
}

node_address() { printf '%s.%s.1' "$NETWORK" "$(<"$1/net")"; }

# ---- the namespaces -----------------------------------------------------------

make_node() {
  local dir=$1
  [[ $(id -u) -eq 0 ]] || die "a node needs root"
  save_sysctls "$dir"
  define "$dir" node unshare --fork --pid --mount --net --mount-proc --kill-child -- "$(pause_of)/pause"
  launch "$dir" node
  make_network "$dir"
  make_mounts "$dir"
  make_cgroups "$dir"
}

# The first free of 255 networks: adding the link is the test and the claim.
make_network() {
  local dir=$1 init net offset=$((RANDOM % 255)) i
  init=$(node_init "$dir")
  for ((i = 0; i < 255; i++)); do
    net=$(((offset + i) % 255))
    [[ -z $(ip -4 route show "$NETWORK.$net.0/24") ]] || continue
    ip link add "gwk$net" type veth peer name up0 netns "$init" 2>/dev/null && break
  done
  ((i < 255)) || die "no free network in $NETWORK.0.0/16, or none can be made"
  printf '%s' "$net" >"$dir/net"
  printf '%s.%s.254' "$NETWORK" "$net" >"$dir/host"
  ip address add "$(<"$dir/host")/24" dev "gwk$net"
  ip link set "gwk$net" up
  # shellcheck disable=SC2016 # the node's shell expands it
  in_node "$dir" sh -euc '
    ip link set lo up
    ip link add kbr0 type bridge
    ip address add "$1/24" dev kbr0
    ip link set up0 master kbr0
    ip link set up0 up
    ip link set kbr0 up
    # So that an answer from one pod to another passes the rules its question passed.
    sysctl -qw net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=1' sh "$(node_address "$dir")"
}

# The paths that kubelet, containerd and CNI have built in are below these; what
# the host has there is not seen by the node, and the other way round.
make_mounts() {
  local dir=$1
  [[ $dir != /run/* && $dir != /var/l* ]] || die "a node's directory cannot be in $RUN; set GODWIT_CLUSTER_RUN"
  mkdir -p "$dir"/{kubelet,containerd,pod-logs}
  # shellcheck disable=SC2016 # the node's shell expands it
  in_node "$dir" sh -euc '
    for path in /run /var/lib /var/log; do mount -t tmpfs -o mode=755 tmpfs $path; done
    mkdir /run/netns /var/lib/kubelet
    mount --bind "$1/kubelet" /var/lib/kubelet' sh "$dir"
}

# The hierarchies of control groups: one, or several, or (version 1 with 2 beside it) both.
cgroup_roots() { awk '$3 ~ /^cgroup2?$/ { print $2 }' /proc/self/mounts; }

cgroup_of() { printf 'godwit-%s' "$(basename -- "$1")"; }

# A group of its own for all pods, so that two nodes do not tidy up each other's.
make_cgroups() {
  local dir=$1 root
  for root in $(cgroup_roots); do
    mkdir -p -- "$root/$(cgroup_of "$dir")"
    # A cpuset without processors and memory takes no process.
    [[ ! -e $root/cpuset.cpus || ! -e $root/cgroup.clone_children ]] || {
      cat "$root/cpuset.cpus" >"$root/$(cgroup_of "$dir")/cpuset.cpus"
      cat "$root/cpuset.mems" >"$root/$(cgroup_of "$dir")/cpuset.mems"
    }
  done
}

# Only what kubelet will change: a second node finds the first one's values and
# must not take them for the machine's.
save_sysctls() {
  local setting key
  for setting in "${KUBELET_SYSCTLS[@]}"; do
    key=${setting%%=*}
    [[ $(sysctl -n "$key") == "${setting#*=}" ]] || printf '%s=%s\n' "$key" "$(sysctl -n "$key")"
  done >"$1/sysctls"
}

stop_node() {
  local dir=$1 root
  # The link first, so that its network is free at once; the kernel takes its time.
  [[ ! -s $dir/net ]] || ip link del "gwk$(<"$dir/net")" 2>/dev/null || true
  end_process "$dir/pid/node"
  [[ -e $dir/sysctls ]] || return 0
  [[ ! -s $dir/sysctls ]] || sysctl -qp "$dir/sysctls" >&2 || true
  for root in $(cgroup_roots); do remove_cgroup "$root/$(cgroup_of "$dir")"; done
}

# A group goes when its last process is buried, which takes the kernel a moment.
remove_cgroup() {
  local i
  for ((i = 0; i < 100; i++)); do
    [[ -d $1 ]] || return 0
    find "$1" -depth -type d -exec rmdir {} + 2>/dev/null || true
    [[ -d $1 ]] || return 0
    sleep 0.1
  done
  log "control group $1 cannot be removed"
}

# ---- the agents -----------------------------------------------------------------

SOCKET=/run/containerd/containerd.sock

images() { in_node "$1" ctr --address "$SOCKET" --namespace k8s.io images "${@:2}"; }

load_image() { images "$1" import "$2"; }

cni_configuration() {
  cat <<JSON
{"cniVersion": "1.0.0", "name": "pods", "plugins": [
  {"type": "bridge", "bridge": "kbr0", "isGateway": true, "hairpinMode": true, "ipMasq": false, "ipam": {
    "type": "host-local", "dataDir": "/run/cni-addresses",
    "ranges": [[{"subnet": "$1.0/24", "rangeStart": "$1.10", "rangeEnd": "$1.250", "gateway": "$1.1"}]],
    "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
JSON
}

# restrict_oom_score_adj: without CAP_SYS_RESOURCE, as in many sandboxes, no
# process may be protected more than the one that starts it.
containerd_configuration() {
  cat <<TOML
version = 2
root = "$1/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.internal.v1.tracing"]
[grpc]
  address = "$SOCKET"
[plugins."io.containerd.internal.v1.opt"]
  path = "$1/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "$PAUSE_IMAGE"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$1/cni"
TOML
}

kubelet_configuration() {
  local dir=$1 address=$2
  cat <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $address
healthzPort: 0
containerRuntimeEndpoint: unix://$SOCKET
cgroupDriver: cgroupfs
cgroupRoot: /$(cgroup_of "$dir")
failCgroupV1: false
failSwapOn: false
oomScoreAdj: 0
maxOpenFiles: 20000
tlsCertFile: $dir/pki/kubelet-server.crt
tlsPrivateKeyFile: $dir/pki/kubelet-server.key
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $dir/pki/ca.crt}}
authorization: {mode: Webhook}
clusterDomain: cluster.local
clusterDNS: [$address]
resolvConf: $dir/resolv.conf
podLogsDir: $dir/pod-logs
nodeStatusUpdateFrequency: 5s
# The machine's disk and memory are not this cluster's to judge.
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%, nodefs.inodesFree: 1%}
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
YAML
}

proxy_configuration() {
  local dir=$1 address=$2
  cat <<YAML
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
bindAddress: $address
healthzBindAddress: 127.0.0.1:10256
metricsBindAddress: 127.0.0.1:10249
clientConnection: {kubeconfig: $dir/kube-proxy.kubeconfig}
mode: nftables
clusterCIDR: ${address%.*}.0/24
hostnameOverride: "$(basename -- "$dir")"
oomScoreAdj: 0
conntrack: {maxPerCore: 0}
YAML
}

dns_configuration() {
  cat <<COREFILE
.:53 {
  bind $2
  errors
  ready 127.0.0.1:8181
  kubernetes cluster.local in-addr.arpa {
    kubeconfig $1/coredns.kubeconfig
    pods insecure
  }
  cache 5
}
COREFILE
}

start_agents() {
  local dir=$1 name address
  name=$(basename -- "$dir")
  address=$(node_address "$dir")
  mkdir -p "$dir/cni"
  cni_configuration "${address%.*}" >"$dir/cni/10-pods.conflist"
  containerd_configuration "$dir" >"$dir/containerd.toml"
  kubelet_configuration "$dir" "$address" >"$dir/kubelet.yaml"
  proxy_configuration "$dir" "$address" >"$dir/kube-proxy.yaml"
  dns_configuration "$dir" "$address" >"$dir/Corefile"
  printf 'nameserver %s\n' "$address" >"$dir/resolv.conf"
  certificate "$dir" kubelet-server "/CN=$name" "DNS:$name,IP:$address"
  client "$dir" kubelet "/O=system:nodes/CN=system:node:$name"
  client "$dir" kube-proxy /CN=system:kube-proxy
  client "$dir" coredns /CN=system:coredns

  define "$dir" containerd containerd --config "$dir/containerd.toml"
  launch "$dir" containerd
  wait_for "$dir" containerd "$READY_SECONDS" image_known "$dir" "$(pause_of)/pause.tar"
  define "$dir" kubelet "$PROGRAM" kubelet "--config=$dir/kubelet.yaml" "--kubeconfig=$dir/kubelet.kubeconfig" \
    "--hostname-override=$name" "--node-ip=$address"
  launch "$dir" kubelet
  define "$dir" kube-proxy "$PROGRAM" kube-proxy "--config=$dir/kube-proxy.yaml"
  launch "$dir" kube-proxy
  KUBECONFIG=$dir/admin.kubeconfig "$(<"$dir/build")/kubectl" apply -f "$CLUSTER_DIR/dns.yaml" >/dev/null
  define "$dir" coredns "$PROGRAM" coredns -conf "$dir/Corefile"
  launch "$dir" coredns
}

images_listed() { images "$1" list >/dev/null 2>&1; }

# Fails until containerd listens.
image_known() { load_image "$@" >/dev/null 2>&1; }

node_is_ready() {
  # To curl the server would answer with blanks and lines.
  [[ $(api "$1" "/api/v1/nodes/$(basename -- "$1")?pretty=false") == *'"type":"Ready","status":"True"'* ]]
}

# answers DIR PORT PATH: on the node's loopback.
answers() { in_node "$1" curl --silent --fail --max-time 5 --output /dev/null "http://127.0.0.1:$2$3"; }

# Pods can be started, have names and reach Services.
agents_work() {
  wait_for "$1" kubelet "$READY_SECONDS" node_is_ready "$1"
  wait_for "$1" kube-proxy "$READY_SECONDS" answers "$1" 10256 /healthz
  wait_for "$1" coredns "$READY_SECONDS" answers "$1" 8181 /ready
}

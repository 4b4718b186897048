#!/usr/bin/env bash
# Starts and stops real Kubernetes clusters with throw-away data on this machine.
# `up` and `restart` print one line of JSON on stdout; all else is stderr.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=processes.sh
. "$CLUSTER_DIR/processes.sh"
# shellcheck source=pki.sh
. "$CLUSTER_DIR/pki.sh"
# shellcheck source=control.sh
. "$CLUSTER_DIR/control.sh"
# shellcheck source=node.sh
. "$CLUSTER_DIR/node.sh"

usage() {
  cat >&2 <<'USAGE'
cluster.sh up NAME [cp|ctl|node] [--scheduler]    default: node
cluster.sh down NAME                   stops it and deletes all it had
cluster.sh load NAME IMAGE.tar         makes an image known to the node
cluster.sh kubeconfig NAME             path of the administrator's kubeconfig
cluster.sh kill NAME COMPONENT         SIGKILL; for restart
cluster.sh restart NAME COMPONENT      stops it when it runs, starts it with the same options
cluster.sh list                        one line of JSON per cluster
cluster.sh down-all                    every cluster of this run directory
cp: etcd, kube-apiserver.  ctl: and kube-controller-manager.  node: and kube-scheduler and a node for pods.
COMPONENT: etcd kube-apiserver kube-controller-manager kube-scheduler containerd kubelet kube-proxy coredns
USAGE
  exit 2
}

# Three ports a cluster: etcd's two, the API server's. Below the range the kernel
# takes client ports from, and beside that of e2e/lab.
FIRST_PORT=12000
LAST_PORT=20990
# What must run for a cluster of a mode to be one.
component_names() {
  case $1 in
    cp) echo etcd kube-apiserver ;;
    ctl) echo etcd kube-apiserver kube-controller-manager ;;
    node) echo etcd kube-apiserver kube-controller-manager kube-scheduler node containerd kubelet kube-proxy coredns ;;
  esac
}

check_name() {
  # The node is called so as well, and links and cgroups after it.
  [[ $1 =~ ^[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$ ]] || die "'$1' is no name for a cluster: a-z, 0-9 and -, at most 40"
}

cluster_dir() {
  check_name "$1"
  [[ -d $RUN/$1 ]] || die "no cluster '$1' in $RUN"
  printf '%s' "$RUN/$1"
}

# ---- ports ----------------------------------------------------------------------
# ports/PORT names the directory of the cluster that has this port and the two
# after it. The reservation holds as long as that directory exists.

port_free() {
  local owner hex
  if [[ -s $CACHE/ports/$1 ]]; then
    owner=$(<"$CACHE/ports/$1")
    if [[ -d $owner && (! -s $owner/port || $(<"$owner/port") == "$1") ]]; then return 1; fi
  fi
  # Any socket with one of these local ports, except those only waiting to
  # expire (06), would make bind fail.
  printf -v hex '%04X|%04X|%04X' "$1" "$(($1 + 1))" "$(($1 + 2))"
  ! awk -v ports="^($hex)$" '{ n = split($2, a, ":"); if (a[n] ~ ports && $4 != "06") found = 1 }
    END { exit !found }' /proc/net/tcp /proc/net/tcp6 2>/dev/null
}

# Through with_lock. Prints the first of three ports.
reserve_ports() {
  local dir=$1 count=$(((LAST_PORT - FIRST_PORT) / 3)) offset i port
  # Anywhere in the range, so that other caches on this machine rarely meet.
  offset=$((RANDOM % count))
  for ((i = 0; i < count; i++)); do
    port=$((FIRST_PORT + (offset + i) % count * 3))
    if port_free "$port"; then
      printf '%s' "$dir" >"$CACHE/ports/$port"
      printf '%s' "$port"
      return 0
    fi
  done
  die "no free port"
}

# ---- the contract -----------------------------------------------------------------

# describe DIR [MORE]
describe() {
  local dir=$1 more=${2:-} mode build
  mode=$(<"$dir/mode")
  build=$(<"$dir/build")
  [[ $mode != node ]] || more=",\"nodeName\":$(json_string "$(basename -- "$dir")"),\"nodeAddress\":$(json_string "$(node_address "$dir")"),\"hostAddress\":$(json_string "$(<"$dir/host")")$more"
  printf '{"name":%s,"mode":"%s","version":"%s","server":%s,"kubeconfig":%s,"auditLog":%s,"logs":%s,"kubectl":%s,"helm":%s%s}\n' \
    "$(json_string "$(basename -- "$dir")")" "$mode" "$(<"$dir/version")" "$(json_string "$(server_of "$dir")")" \
    "$(json_string "$dir/admin.kubeconfig")" "$(json_string "$dir/audit.log")" "$(json_string "$dir/log")" \
    "$(json_string "$build/kubectl")" "$(json_string "$build/helm")" "$more"
}

# running | broken | starting
state_of() {
  local dir=$1 component
  if alive "$dir/owner"; then echo starting; return 0; fi
  [[ -e $dir/ready ]] || { echo broken; return 0; }
  for component in $(component_names "$(<"$dir/mode")"); do
    alive "$dir/pid/$component" || { echo broken; return 0; }
  done
  echo running
}

# take_away DIR: every process, what it changed on the machine, its files.
take_away() {
  local dir=$1 file
  stop_node "$dir"
  for file in "$dir"/pid/*; do end_process "$file"; done
  [[ ! -s $dir/port ]] || rm -f -- "$CACHE/ports/$(<"$dir/port")"
  rm -rf -- "$dir"
}

# abandon DIR: a start that failed leaves its logs and nothing else.
abandon() {
  local kept
  kept=$(kept_logs "$1")
  rm -rf -- "$kept"
  mkdir -p -- "$(dirname -- "$kept")"
  [[ ! -d $1/log ]] || cp -r -- "$1/log" "$kept"
  take_away "$1"
}

# claim DIR: mkdir is the test and the claim in one. What a killed start, or a
# killed cluster, left behind goes first.
claim() {
  local dir=$1
  mkdir -- "$dir" 2>/dev/null && return 0
  case $(state_of "$dir") in
    running) die "a cluster '$(basename -- "$dir")' runs in $RUN; take it down first" ;;
    starting) die "a cluster '$(basename -- "$dir")' is being started in $RUN" ;;
  esac
  log "taking away what is left of '$(basename -- "$dir")'"
  take_away "$dir"
  mkdir -- "$dir"
}

# ---- commands --------------------------------------------------------------------

cmd_up() {
  (($# >= 1)) || usage
  local name=$1 mode=node dir scheduler='' begin=$SECONDS
  shift
  check_name "$name"
  while (($#)); do
    case $1 in
      cp | ctl | node) mode=$1 ;;
      --scheduler) scheduler=yes ;;
      *) usage ;;
    esac
    shift
  done
  "$CLUSTER_DIR/provision.sh" "$mode" >&2
  dir=$RUN/$name
  with_lock names claim "$dir"
  # Until this is undone below, whatever ends this script takes the cluster along.
  # shellcheck disable=SC2064
  trap "abandon '$dir'" EXIT
  trap 'exit 130' INT TERM HUP
  record "$dir/owner" $$

  mkdir -- "$dir"/{argv,pid,log}
  PROGRAM=$(build_of)/kubernetes
  build_of >"$dir/build"
  module_version k8s.io/kubernetes >"$dir/version"
  printf '%s' "$mode" >"$dir/mode"
  with_lock ports reserve_ports "$dir" >"$dir/port"
  printf 127.0.0.1 >"$dir/host"
  # The node comes first: its network has the address of the control plane.
  [[ $mode != node ]] || make_node "$dir"
  make_pki "$dir" "$(<"$dir/host")"
  start_etcd "$dir"
  start_apiserver "$dir" "$mode"
  [[ $mode == cp ]] || start_controllers "$dir" "$mode"
  [[ $mode != node && -z $scheduler ]] || start_scheduler "$dir"
  [[ $mode != node ]] || start_agents "$dir"
  [[ $mode == cp ]] || controllers_work "$dir"
  [[ $mode != node ]] || agents_work "$dir"

  : >"$dir/ready"
  rm -f -- "$dir/owner"
  trap - EXIT
  log "'$name' is ready ($((SECONDS - begin)) s)"
  describe "$dir"
}

cmd_down() {
  (($# == 1)) || usage
  local dir
  dir=$(cluster_dir "$1")
  take_away "$dir"
}

clusters() {
  local dir
  for dir in "$RUN"/*/; do
    [[ ! -d $dir ]] || basename -- "$dir"
  done
}

cmd_down_all() {
  local name
  for name in $(clusters); do cmd_down "$name" & done
  wait
}

cmd_list() {
  local name dir
  for name in $(clusters); do
    dir=$RUN/$name
    # Without these it is only just being made, or was never finished.
    [[ -s $dir/port && -s $dir/host ]] || continue
    describe "$dir" ",\"state\":\"$(state_of "$dir")\""
  done
}

cmd_kubeconfig() {
  (($# == 1)) || usage
  local dir
  dir=$(cluster_dir "$1")
  printf '%s\n' "$dir/admin.kubeconfig"
}

cmd_load() {
  (($# == 2)) || usage
  local dir
  dir=$(cluster_dir "$1")
  [[ $(<"$dir/mode") == node ]] || die "'$1' has no node to load images into"
  load_image "$dir" "$(readlink -f -- "$2")" >&2
}

component_of() {
  [[ -s $1/argv/$2 && $2 != node ]] || die "'$(basename -- "$1")' has no component '$2'"
}

cmd_kill() {
  (($# == 2)) || usage
  local dir
  dir=$(cluster_dir "$1")
  component_of "$dir" "$2"
  end_process "$dir/pid/$2"
}

# Whether a component that was just started ends because its address is in use.
ports_taken() {
  local dir=$1 component=$2 i
  for ((i = 0; i < 20; i++)); do
    if ! alive "$dir/pid/$component"; then
      tail -n 20 "$dir/log/$component.log" | grep -q 'address already in use'
      return
    fi
    sleep 0.1
  done
  return 1
}

cmd_restart() {
  (($# == 2)) || usage
  local dir component=$2
  dir=$(cluster_dir "$1")
  component_of "$dir" "$component"
  end_process "$dir/pid/$component"
  launch "$dir" "$component"
  # What the killed one listened at, or somebody in between, may keep the port for a moment.
  local try
  for ((try = 0; try < 20; try++)); do
    ports_taken "$dir" "$component" || break
    sleep 0.5
    end_process "$dir/pid/$component"
    launch "$dir" "$component"
  done
  case $component in
    etcd | kube-apiserver) wait_for "$dir" "$component" "$READY_SECONDS" api_says "$dir" /readyz ;;
    containerd) wait_for "$dir" containerd "$READY_SECONDS" images_listed "$dir" ;;
    *)
      # Nothing to ask: what cannot start ends at once.
      sleep 0.5
      alive "$dir/pid/$component" || fail_with_log "$dir" "$component"
      ;;
  esac
  describe "$dir"
}

(($#)) || usage
command=$1
shift
case $command in
  up) cmd_up "$@" ;;
  down) cmd_down "$@" ;;
  down-all) cmd_down_all ;;
  load) cmd_load "$@" ;;
  kubeconfig) cmd_kubeconfig "$@" ;;
  kill) cmd_kill "$@" ;;
  restart) cmd_restart "$@" ;;
  list) cmd_list ;;
  *) usage ;;
esac

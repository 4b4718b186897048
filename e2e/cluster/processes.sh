# shellcheck shell=bash
# The components of a cluster as processes: started from recorded options, known
# by pid and start time, so that no other process is ever mistaken for one.
# Sourced by cluster.sh. A cluster's directory:
#
#   RUN/NAME/  argv/COMPONENT (NUL-separated), pid/COMPONENT ("pid starttime"), log/COMPONENT.log,
#              port, mode, host, pki/, etcd/, audit.log, *.kubeconfig; owner: who is starting it; ready: it was

# end_process FILE: SIGKILL. Nothing here has data that anybody wants to keep.
end_process() {
  local i
  alive "$1" || return 0
  kill -KILL "$PID" 2>/dev/null || true
  for ((i = 0; i < 600; i++)); do
    alive "$1" || return 0
    sleep 0.05
  done
  die "process $PID does not go away"
}

# define DIR COMPONENT COMMAND...: how it is started, now and again.
define() {
  local dir=$1 component=$2
  shift 2
  printf '%s\0' "$@" >"$dir/argv/$component"
}

# launch DIR COMPONENT: in a session of its own, so that a terminal's ^C or a
# test's dying process group does not reach it.
launch() {
  local dir=$1 component=$2 argv pid
  mapfile -d '' -t argv <"$dir/argv/$component"
  if [[ $component != node ]] && runs_in_node "$component"; then
    argv=(nsenter "--target=$(node_init "$dir")" --mount --net --pid -- "${argv[@]}")
  fi
  (cd -- "$dir" && exec setsid "${argv[@]}") </dev/null >>"$dir/log/$component.log" 2>&1 &
  pid=$!
  disown
  # nsenter, and unshare, wait for the one that matters.
  if runs_in_node "$component"; then pid=$(only_child "$pid") || fail_with_log "$dir" "$component"; fi
  record "$dir/pid/$component" "$pid"
}

only_child() {
  local children i
  for ((i = 0; i < 100; i++)); do
    children=$(cat "/proc/$1/task/$1/children" 2>/dev/null) || return 1
    [[ -z $children ]] || { printf '%s' "${children%% *}"; return 0; }
    sleep 0.02
  done
  return 1
}

# wait_for DIR COMPONENT SECONDS CONDITION...: until the condition holds; the
# component's complaints when it dies before or takes too long.
wait_for() {
  local dir=$1 component=$2 end=$((SECONDS + $3))
  shift 3
  until "$@"; do
    alive "$dir/pid/$component" || fail_with_log "$dir" "$component"
    ((SECONDS < end)) || fail_with_log "$dir" "$component"
    sleep 0.1
  done
}

# Where the logs of a cluster go whose start failed, until the next of its name does.
kept_logs() {
  if [[ -e $1/ready ]]; then printf '%s' "$1/log"; else printf '%s' "$CACHE/failed/$(basename -- "$1")"; fi
}

fail_with_log() {
  { grep -E '^[EF][0-9]{4} |[Ee]rror|panic' "$1/log/$2.log" | tail -n 10 >&2; } || true
  { tail -n 5 "$1/log/$2.log" >&2; } || true
  die "$2 is not ready; all it said is in $(kept_logs "$1")/$2.log"
}

#!/usr/bin/env bash
# The operator at scale: thousands of tasks on a real control plane with hollow engines, on one machine.
# Prints a table; ends with 1 when a target is missed. `make test-scale`.
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
godwit=$target/release/godwit
hollow=$target/release/examples/hollow
tasks=${SCALE_TASKS:-5000}
pools=${SCALE_POOLS:-20}
rate=${SCALE_RATE:-50}
# Seconds over which the steady state is measured.
steady=${SCALE_STEADY_SECONDS:-60}

for binary in "$godwit" "$hollow"; do
  [[ -x $binary ]] || { echo "scale: $binary is missing; make test-scale builds it" >&2; exit 1; }
done
# A socket for every engine, and one for every question.
ulimit -n "$(ulimit -H -n)"

work=$(mktemp -d "$target/scale.XXXXXX")
cluster=scale-$$
engines=0
operator=0
clean_up() {
  trap - EXIT INT TERM
  local pid
  for pid in "$operator" "$engines"; do
    ((pid == 0)) || kill "$pid" 2>/dev/null || true
  done
  "$root/e2e/cluster/cluster.sh" down "$cluster" >/dev/null 2>&1 || true
  if [[ -n ${SCALE_KEEP:-} ]]; then say "logs: $work"; else rm -rf "$work"; fi
}
trap clean_up EXIT
trap 'exit 130' INT TERM

say() { printf 'scale: %s\n' "$*" >&2; }
# field FILE NAME: a number or a word of a JSON line
field() { sed -nE 's/.*"'"$2"'": ?"?([^",}]*)"?.*/\1/p' "$1" | tail -1; }
calc() { awk "BEGIN { printf \"%.${2:-1}f\", $1 }"; }
now() { date +%s.%N; }
kubectl() { "$(field "$work/cluster.json" kubectl)" --kubeconfig "$KUBECONFIG" --cache-dir "$work/kubectl" "$@"; }

# cpu PID: seconds of processor time so far
cpu() { awk -v hz="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); print ($12 + $13) / hz }' "/proc/$1/stat"; }
# memory PID FIELD: MiB, of VmRSS now or VmHWM at most
memory() { awk -v field="$2:" '$1 == field { printf "%.0f", $2 / 1024 }' "/proc/$1/status"; }
# writes: how many the operator has made
writes() { grep -F '"username":"system:serviceaccount:godwit-system:godwit"' "$audit" | grep -cE '"verb":"(create|update|patch|delete)"' || true; }
# refused CODE: how many of its requests were answered so
refused() { grep -F '"username":"system:serviceaccount:godwit-system:godwit"' "$audit" | grep -cE "\"code\":$1[,}]" || true; }

start_operator() {
  KUBECONFIG=$work/operator.kubeconfig "$godwit" operator --namespace godwit-system --image godwit:scale --identity "$1" \
    --listen 127.0.0.1:"$port" --log-format json >"$work/$1.log" 2>&1 &
  operator=$!
}
wait_ready() {
  until curl -sf -o /dev/null "http://127.0.0.1:$port/readyz"; do
    kill -0 "$operator" 2>/dev/null || { tail -5 "$work"/*.log >&2; exit 1; }
    sleep 0.1
  done
}

say "$tasks tasks in $pools pools, $rate created a second"
GODWIT_CLUSTER_AUDIT=writes "$root/e2e/cluster/cluster.sh" up "$cluster" ctl >"$work/cluster.json"
KUBECONFIG=$(field "$work/cluster.json" kubeconfig)
export KUBECONFIG
audit=$(field "$work/cluster.json" auditLog)
kubectl apply --server-side -f "$root/crds" >/dev/null
until kubectl wait --for=condition=Established crd --all >/dev/null 2>&1; do sleep 0.2; done
kubectl create namespace godwit-system >/dev/null
"$(field "$work/cluster.json" helm)" template godwit "$root/charts/godwit" --namespace godwit-system --kube-version "$(field "$work/cluster.json" version)" \
  --show-only templates/serviceaccount.yaml --show-only templates/rbac.yaml | kubectl apply --server-side -f - >/dev/null
token=$(kubectl create token godwit -n godwit-system --duration=4h)
cp "$KUBECONFIG" "$work/operator.kubeconfig"
kubectl --kubeconfig "$work/operator.kubeconfig" config set-credentials operator --token="$token" >/dev/null
kubectl --kubeconfig "$work/operator.kubeconfig" config set-context --current --user=operator >/dev/null
port=$((30000 + RANDOM % 2000))

"$hollow" serve >"$work/hollow.json" 2>"$work/hollow.log" &
engines=$!
start_operator scale-1
wait_ready
idle_memory=$(memory "$operator" VmRSS)

began=$(now)
"$hollow" load --tasks "$tasks" --pools "$pools" --rate "$rate" >"$work/load.json"
load_seconds=$(calc "$(now) - $began")
load_cpu=$(cpu "$operator")
load_writes=$(writes)
say "all in sync after $load_seconds s"

# What came last may still be written.
sleep 15
cpu_before=$(cpu "$operator")
writes_before=$(writes)
sleep "$steady"
steady_cpu=$(calc "($(cpu "$operator") - $cpu_before) / $steady" 2)
steady_writes=$(calc "($(writes) - $writes_before) / $steady" 2)
steady_memory=$(memory "$operator" VmRSS)
most_memory=$(memory "$operator" VmHWM)
say "steady state measured"

# Started again, after every task was changed while it was down.
kill -KILL "$operator"
wait "$operator" 2>/dev/null || true
operator=0
"$hollow" change >"$work/change.json"
began=$(now)
start_operator scale-2
wait_ready
ready_seconds=$(calc "$(now) - $began")
"$hollow" settle >"$work/settle.json"
settle_seconds=$(calc "$(now) - $began")
restart_memory=$(memory "$operator" VmHWM)

kubectl get dc -o json >"$work/pools.json"
used=$(sed -nE 's/^ *"used": ([0-9]+).*/\1/p' "$work/pools.json" | awk '{ sum += $1 } END { print sum + 0 }')
pods=$(kubectl get pods -A -l godwit.dev/mode=Run --no-headers | wc -l)
conflicts=$(refused 409)
kill "$engines"
wait "$engines" || true
engines=0

failed=0
rows=()
# row WHAT VALUE WANTED [NUMBER LIMIT]: with a limit, a larger number is a failure
row() {
  rows+=("$1|$2|$3")
  [[ -z ${4:-} ]] || awk "BEGIN { exit !($4 <= $5) }" || { failed=1; say "missed: $1 is $2, wanted $3"; }
}
p99=$(field "$work/load.json" podMillisP99)
row "memory without tasks" "$idle_memory MiB" ""
row "memory with $tasks tasks in sync" "$steady_memory MiB" "< 150 MiB" "$steady_memory" 150
row "most memory, while they were created" "$most_memory MiB" "< 150 MiB" "$most_memory" 150
row "most memory after a restart" "$restart_memory MiB" "< 150 MiB" "$restart_memory" 150
row "processor, steady state" "$steady_cpu cores" "< 0.5 cores" "$steady_cpu" 0.5
row "processor, while tasks were created" "$(calc "$load_cpu / $load_seconds" 2) cores" ""
row "writes, steady state" "$steady_writes/s" "0" "$steady_writes" 0.05
row "writes for a task from apply to in sync" "$(calc "$load_writes / $tasks")" ""
row "apply to pod at $rate/s, p50" "$(field "$work/load.json" podMillisP50) ms" ""
row "apply to pod at $rate/s, p99" "$p99 ms" "< 2000 ms" "$p99" 2000
row "created" "$(calc "$tasks / $(field "$work/load.json" createdSeconds)")/s" ""
row "all tasks in sync after" "$(calc "$(field "$work/load.json" inSyncSeconds)") s" ""
row "ready after a restart" "$ready_seconds s" ""
row "after a restart, $tasks changed tasks taken up" "$settle_seconds s" ""
row "units in use, engines, tasks" "$used, $pods, $tasks" "equal" "$(((used != tasks) + (pods != tasks)))" 0
row "tasks whose engine was started twice" "$(field "$work/hollow.json" runTwice)" "0" "$(field "$work/hollow.json" runTwice)" 0
row "writes refused as conflicts, and made again" "$conflicts" ""

printf '\n| %-46s | %-20s | %-12s |\n' measured operator wanted
printf '|%s|%s|%s|\n' "$(printf -- '-%.0s' {1..48})" "$(printf -- '-%.0s' {1..22})" "$(printf -- '-%.0s' {1..14})"
for line in "${rows[@]}"; do
  IFS='|' read -r what value wanted <<<"$line"
  printf '| %-46s | %-20s | %-12s |\n' "$what" "$value" "$wanted"
done
exit "$failed"

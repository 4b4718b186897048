# Shared by the benchmarks: servers, a manifest, times. Sourced.

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
godwit=${BENCH_GODWIT:-$target/release/godwit}
shop=$target/release/examples/shop

# Rows of each of the five tables; changes of the backlog; megabytes of the large database; seconds under light load.
BENCH_ROWS=${BENCH_ROWS:-500000}
BENCH_CHANGES=${BENCH_CHANGES:-750000}
BENCH_MB=${BENCH_MB:-2048}
BENCH_SECONDS=${BENCH_SECONDS:-30}

for binary in "$godwit" "$shop"; do
  [[ -x $binary ]] || { echo "bench: $binary is missing; make bench builds it" >&2; exit 1; }
done
# Packages of Debian: the peers.
for package in sysbench mydumper; do
  command -v "$package" >/dev/null || apt-get install -y --no-install-recommends "$package" >&2
done

mkdir -p "$target"
work=$(mktemp -d "$target/bench.XXXXXX")
export GODWIT_LAB_RUN=$work/servers
engine=0
clean_up() {
  trap - EXIT INT TERM
  ((engine == 0)) || kill "$engine" 2>/dev/null || true
  "$root/e2e/lab/server.sh" stop-all --now >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

say() { printf '%s\n' "$*" >&2; }
# field FILE NAME: a number or a word of a JSON file
field() { sed -nE 's/.*"'"$2"'": ?"?([^",}]*)"?.*/\1/p' "$1" | head -1; }
# calc EXPRESSION [DECIMALS]
calc() { awk "BEGIN { printf \"%.${2:-1}f\", $1 }"; }
sql() { "$root/e2e/lab/server.sh" client "$1" -N -B -e "$2"; }

# start NAME [options of mysqld]: writes $work/NAME.json
start() {
  local name=$1
  shift
  "$root/e2e/lab/server.sh" start mysql97 "$name" --profile durable -- "$@" >"$work/$name.json"
}
stop() { "$root/e2e/lab/server.sh" stop "$1" --now >/dev/null 2>&1; }
socket() { field "$work/$1.json" socket; }
url() { printf 'mysql://root:%s@127.0.0.1:%s' "$(field "$work/$1.json" password)" "$(field "$work/$1.json" port)"; }

# manifest TASK DATABASE TYPES: from server src to server dst
manifest() {
  cat >"$work/$1.yaml" <<YAML
apiVersion: godwit.dev/v1alpha1
kind: MigrationTask
metadata: { name: $1 }
spec:
  migrationTypes: [$3]
  source: { mysql: { host: 127.0.0.1, port: $(field "$work/src.json" port), credentials: { secretName: login } } }
  destination: { mysql: { host: 127.0.0.1, port: $(field "$work/dst.json" port), credentials: { secretName: login } } }
  objects: [{ database: $2 }]
---
apiVersion: v1
kind: Secret
metadata: { name: login }
stringData: { username: root, password: $(field "$work/src.json" password) }
YAML
}

# timed COMMAND...: sets WALL and CPU (user and system together), in seconds
timed() {
  local TIMEFORMAT='%R %U %S' user system
  { time "$@" >"$work/out" 2>&1; } 2>"$work/time" || { cat "$work/out" >&2; return 1; }
  read -r WALL user system <"$work/time"
  CPU=$(calc "$user + $system" 2)
}

# follow TASK: a run in the background; waits until everything is copied
follow() {
  "$godwit" run -f "$work/$1.yaml" --no-progress --status-file "$work/status.json" >"$work/engine.log" 2>&1 &
  engine=$!
  until [[ $(field "$work/status.json" phase 2>/dev/null) == Replicating ]]; do
    kill -0 "$engine" 2>/dev/null || { cat "$work/engine.log" >&2; return 1; }
    sleep 0.1
  done
}
unfollow() {
  kill -TERM "$engine"
  wait "$engine"
  engine=0
}

results=()
missed=()
# result WHAT GODWIT PEER RATIO WANTED
# WANTED is ">= N" of the ratio, or "< N" of what godwit does; one that is missed fails the whole run.
result() {
  results+=("$1|$2|$3|$4|$5")
  local bound=${5#* }
  case $5 in
    '>='*) awk "BEGIN { exit !($4 >= $bound) }" || missed+=("$1: $4, wanted $5") ;;
    '<'*) awk "BEGIN { exit !($2 < $bound) }" || missed+=("$1: $2, wanted $5") ;;
  esac
}
print_results() {
  printf '\n| %-44s | %-24s | %-30s | %-8s | %-8s |\n' measured godwit peer ratio wanted
  printf '|%s|%s|%s|%s|%s|\n' "$(printf -- '-%.0s' {1..46})" "$(printf -- '-%.0s' {1..26})" "$(printf -- '-%.0s' {1..32})" \
    "$(printf -- '-%.0s' {1..10})" "$(printf -- '-%.0s' {1..10})"
  local line what ours theirs ratio wanted
  for line in "${results[@]}"; do
    IFS='|' read -r what ours theirs ratio wanted <<<"$line"
    printf '| %-44s | %-24s | %-30s | %-8s | %-8s |\n' "$what" "$ours" "$theirs" "$ratio" "$wanted"
  done
  ((${#missed[@]} == 0)) || { printf 'missed: %s\n' "${missed[@]}" >&2; return 1; }
}

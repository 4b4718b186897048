#!/usr/bin/env bash
# All tests against real servers and clusters: integration.sh [test...], default every target in tests/ and in e2e/*/tests/.
#
# Two rows of test targets side by side. Much of a test's time is a wait for a server, a kubelet, a time limit; e2e and
# operator wait most, so each leads a row. What a target prints comes in one piece when it has ended, with its time.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

# Each row begins with what takes longest; both take about as long. What is not named here is added to the first.
rows=("e2e verify_real schema_real precheck_real tablestore binlog model cli" "operator kubernetes")

wanted=("$@")
if ((${#wanted[@]} == 0)); then
  for path in tests/*.rs tests/*/main.rs e2e/*/tests/*/main.rs; do
    [[ -e $path ]] || continue
    name=${path#*tests/} name=${name%/main.rs} name=${name%.rs}
    wanted+=("$name")
  done
fi

# The targets of a row that are wanted, in its order.
of_row() {
  local name
  for name in $1; do
    [[ " ${wanted[*]} " != *" $name "* ]] || echo "$name"
  done
}
rest=()
for name in "${wanted[@]}"; do
  [[ " ${rows[*]} " == *" $name "* ]] || rest+=("$name")
done
mapfile -t first < <(of_row "${rows[0]}")
mapfile -t second < <(of_row "${rows[1]}")
first+=("${rest[@]}")

cargo test --locked --no-run "${wanted[@]/#/--test=}"

said=$(mktemp -d)
trap 'rm -rf -- "$said"' EXIT
# One after the other; a failure does not keep the others from running.
run_row() {
  local name began failed=0
  for name in "$@"; do
    began=$SECONDS
    if cargo test --locked --test "$name" >"$said/$name" 2>&1 </dev/null; then result=passed; else result=FAILED failed=1; fi
    # One write, so that the rows do not mix.
    { cat "$said/$name"; printf '%s: %s in %d s\n\n' "$name" "$result" $((SECONDS - began)); } | cat
  done
  return "$failed"
}

failed=0
run_row "${first[@]}" &
beside=$!
run_row "${second[@]}" || failed=1
wait "$beside" || failed=1
exit "$failed"

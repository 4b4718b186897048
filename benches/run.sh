#!/usr/bin/env bash
# Measurements between real servers, with default durability: benches/run.sh [copy] [apply] [latency] [memory]
# One table at the end. Smaller and quicker: BENCH_ROWS, BENCH_CHANGES, BENCH_MB, BENCH_SECONDS (lib.sh).
set -euo pipefail
here=$(dirname -- "${BASH_SOURCE[0]}")
# shellcheck source=lib.sh
. "$here/lib.sh"
# shellcheck source=copy_and_apply.sh
. "$here/copy_and_apply.sh"
# shellcheck source=latency_and_memory.sh
. "$here/latency_and_memory.sh"

parts=" ${*:-copy apply latency memory} "
if [[ $parts == *copy* || $parts == *apply* ]]; then copy_and_apply "$parts"; fi
if [[ $parts == *latency* ]]; then latency; fi
if [[ $parts == *memory* ]]; then memory; fi
print_results

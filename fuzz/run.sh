#!/usr/bin/env bash
# Builds the fuzzers and runs each for GODWIT_FUZZ_SECONDS (60), or only those that are named. On the stable toolchain, without sanitizers: there is
# no unsafe code here; a panic, an input that takes 20 s, 256 MiB at once or 1 GiB in all are finds. What they find stands in
# fuzz/artifacts, what they learn in .cache/fuzz; fuzz/seeds is only read.
#
#   fuzz/run.sh [TARGET...]      runs
#   fuzz/run.sh seeds FOLDER     takes over what reaches something new, e.g. of logs (tests/binlog/seeds.rs), into fuzz/seeds
set -euo pipefail
cd "$(dirname "$0")/.."
tools=$PWD/.cache/tools
version=0.13.2
bin=$tools/cargo-fuzz-$version/bin
if [[ ! -x $bin/cargo-fuzz ]]; then
  cargo install cargo-fuzz --version $version --locked --debug --root "$tools/cargo-fuzz-$version" --target-dir "$tools/build"
  rm -rf "$tools/build"
fi
export PATH=$bin:$PATH
all=(login dump events payload json gtids definitions statements records manifest plainbuffer)
limits=(-rss_limit_mb=1024 -malloc_limit_mb=256 -timeout=20)
cargo fuzz build --sanitizer none
built=fuzz/target/$(rustc -vV | sed -n 's/^host: //p')/release

if [[ ${1-} == seeds ]]; then
  for target in "${all[@]}"; do
    [[ -d $2/$target ]] || continue
    "$built/$target" -merge=1 -max_len=8192 "${limits[@]}" "fuzz/seeds/$target" "$2/$target"
  done
  exit
fi

failed=()
for target in "${@:-${all[@]}}"; do
  mkdir -p ".cache/fuzz/$target" "fuzz/artifacts/$target"
  log=.cache/fuzz/$target.log
  if "$built/$target" -max_total_time="${GODWIT_FUZZ_SECONDS:-60}" -max_len=16384 -print_final_stats=1 "${limits[@]}" \
    -artifact_prefix="fuzz/artifacts/$target/" ".cache/fuzz/$target" "fuzz/seeds/$target" >"$log" 2>&1; then
    echo "$target: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") executions, $(sed -n 's/.*cov: \([0-9]*\).*/\1/p' "$log" | tail -1) edges, nothing found"
  else
    failed+=("$target")
    tail -30 "$log"
    echo "$target: FOUND, see fuzz/artifacts/$target and $log" >&2
  fi
done
[[ ${#failed[@]} == 0 ]]

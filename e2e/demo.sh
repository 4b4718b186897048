#!/usr/bin/env bash
# Shows what godwit does: two real MySQL servers, a small shop whose application goes on writing, a migration, the proof.
# Everything happens on 127.0.0.1 and in .cache; the servers are gone at the end.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

CACHE=${GODWIT_LAB_CACHE:-$PWD/.cache/lab}
export GODWIT_LAB_CACHE=$CACHE GODWIT_LAB_RUN=$CACHE/demo
GODWIT=${GODWIT:-target/release/godwit}
SERVER=${GODWIT_DEMO_SERVER:-mysql97}
ORDERS=${GODWIT_DEMO_ORDERS:-200000}
LAB=e2e/lab/server.sh
TASK=.cache/demo/shop.yaml
OPEN=.cache/demo/open

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
client() { "$LAB" client "$@"; }
field() { sed -nE "s/.*\"$1\":\"?([^\",}]*).*/\1/p" <<<"$2"; }

# The application ends by itself once its file is gone.
close_shop() {
  rm -f -- "$OPEN"
  wait
}

clean_up() {
  close_shop
  "$LAB" stop-all --now >/dev/null 2>&1 || true
}
trap clean_up EXIT
"$LAB" stop-all --now >/dev/null 2>&1 || true

[[ -x $GODWIT ]] || { echo "no $GODWIT: run make build" >&2; exit 1; }

say "Two servers"
source=$("$LAB" start "$SERVER" source)
destination=$("$LAB" start "$SERVER" destination)
echo "source 127.0.0.1:$(field port "$source"), destination 127.0.0.1:$(field port "$destination"): $SERVER $(field version "$source")"

say "A shop with $ORDERS orders"
client source <<SQL
CREATE DATABASE shop;
USE shop;
CREATE TABLE customers (id INT UNSIGNED PRIMARY KEY AUTO_INCREMENT, name VARCHAR(80) NOT NULL, email VARCHAR(120) NOT NULL UNIQUE, note JSON);
CREATE TABLE orders (id BIGINT UNSIGNED PRIMARY KEY AUTO_INCREMENT, customer INT UNSIGNED NOT NULL, state ENUM('new','paid','sent') NOT NULL,
  total DECIMAL(10,2) NOT NULL, placed DATETIME(6) NOT NULL, KEY by_customer (customer, placed), KEY by_state (state));
CREATE TABLE visits (at DATETIME(6) NOT NULL, page VARCHAR(200) NOT NULL);
CREATE VIEW open_orders AS SELECT id, customer, total FROM orders WHERE state <> 'sent';
SET SESSION cte_max_recursion_depth = 100000000;
INSERT INTO customers (name, email, note)
  WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < GREATEST($ORDERS DIV 10, 1))
  SELECT CONCAT('Müller ', i), CONCAT('m', i, '@example.com'), JSON_OBJECT('vip', i % 7 = 0) FROM n;
INSERT INTO orders (customer, state, total, placed)
  WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $ORDERS)
  SELECT 1 + i % GREATEST($ORDERS DIV 10, 1), ELT(1 + i % 3, 'new', 'paid', 'sent'), i % 9973 / 7, NOW(6) - INTERVAL i SECOND FROM n;
INSERT INTO visits SELECT NOW(6), CONCAT('/item/', id) FROM orders LIMIT 1000;
SQL

# The application: one connection that goes on ordering, paying and cancelling until it closes.
shop() {
  while [[ -e $OPEN ]]; do
    echo "INSERT INTO orders (customer, state, total, placed) VALUES (1 + FLOOR(RAND() * 1000), 'new', RAND() * 100, NOW(6));"
    echo "UPDATE orders SET state = 'paid' WHERE state = 'new' ORDER BY id DESC LIMIT 2;"
    echo "DELETE FROM orders WHERE id = 1 + FLOOR(RAND() * $ORDERS);"
    echo "INSERT INTO visits VALUES (NOW(6), '/cart');"
    sleep 0.02
  done
}

mkdir -p .cache/demo
(umask 077 && cat >"$TASK") <<YAML
apiVersion: godwit.dev/v1alpha1
kind: MigrationTask
metadata: { name: shop }
spec:
  source: { mysql: { host: 127.0.0.1, port: $(field port "$source"), credentials: { secretName: source } } }
  destination: { mysql: { host: 127.0.0.1, port: $(field port "$destination"), credentials: { secretName: destination } } }
  objects:
    - database: shop
  # The demo's servers keep their logs for as long as they live.
  precheck: { ignore: [SourceRetention] }
---
apiVersion: v1
kind: Secret
metadata: { name: source }
stringData: { username: $(field user "$source"), password: $(field password "$source") }
---
apiVersion: v1
kind: Secret
metadata: { name: destination }
stringData: { username: $(field user "$destination"), password: $(field password "$destination") }
YAML

say "The application opens and goes on writing"
touch "$OPEN"
shop | client source --database=shop --force >/dev/null 2>&1 &

say "godwit run -f $TASK --until-caught-up"
"$GODWIT" run -f "$TASK" --until-caught-up

say "The application closes; started again, the migration resumes and applies the rest"
close_shop
"$GODWIT" run -f "$TASK" --until-caught-up

say "godwit verify -f $TASK"
"$GODWIT" verify -f "$TASK"

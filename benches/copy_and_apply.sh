# Full copy against mydumper and myloader, catching up against a native replica. Sourced by run.sh.

data_set() {
  say "data: 4 tables of sysbench and one of 20 columns, $BENCH_ROWS rows each"
  sql src "CREATE DATABASE bench"
  sysbench oltp_common "${sysbench[@]}" --threads=4 prepare >"$work/out" 2>&1 || { cat "$work/out" >&2; return 1; }
  sql src "CREATE TABLE bench.wide (id INT UNSIGNED PRIMARY KEY, a INT, b BIGINT, c SMALLINT, d DECIMAL(12,2), e DOUBLE, f FLOAT, g DATE,
    h DATETIME(6), i TIMESTAMP NULL, j TIME, k YEAR, l VARCHAR(40), m CHAR(20), n VARCHAR(100), o VARBINARY(30), p TINYINT, q ENUM('a','b','c'),
    r TEXT, s BIGINT UNSIGNED, KEY a (a), KEY l (l));
    INSERT INTO bench.wide SELECT id, k, k * 1000003, k % 32000, k / 7, k / 3.7, k / 1.1, '2020-01-01' + INTERVAL k % 2000 DAY,
    '2020-01-01 01:02:03.004005' + INTERVAL k SECOND, '2020-01-01' + INTERVAL k MINUTE, SEC_TO_TIME(k % 86400), 1970 + k % 100, LEFT(c, 20),
    LEFT(pad, 20), LEFT(c, 60), UNHEX(SHA2(pad, 224)), k % 100, 1 + k % 3, pad, k FROM bench.sbtest1"
}

peer_copy() {
  rm -rf "$work/dump"
  mydumper -S "$(socket src)" -u root -p "$password" -B bench -o "$work/dump" -t 4 -v 1 &&
    myloader -S "$(socket dst)" -u root -p "$password" -d "$work/dump" -t 4 -e -v 1
}

compare_copy() {
  local total=$((BENCH_ROWS * 5))
  manifest copy bench "Schema, Full"
  say "copy: godwit"
  timed "$godwit" run -f "$work/copy.yaml" --no-progress
  local wall=$WALL cpu=$CPU
  sql dst "DROP DATABASE bench; DROP DATABASE godwit"
  say "copy: mydumper and myloader"
  timed peer_copy
  local rows
  rows=$(sql dst "SELECT COUNT(*) FROM bench.wide")
  [[ $rows == "$BENCH_ROWS" ]] || { say "the peer copied $rows rows of bench.wide"; return 1; }
  sql dst "DROP DATABASE bench"
  result "full copy, rows a second" "$(calc "$total / $wall" 0)" "mydumper 0.10 $(calc "$total / $WALL" 0)" "$(calc "$WALL / $wall" 2)" ">= 0.8"
  result "client CPU, us a row" "$(calc "$cpu / $total * 1000000" 2)" "mydumper 0.10 $(calc "$CPU / $total * 1000000" 2)" "" "< 3"
}

compare_apply() {
  start replica
  say "apply: a native replica takes the data"
  sql replica "CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', SOURCE_PORT=$(field "$work/src.json" port), SOURCE_USER='root',
    SOURCE_PASSWORD='$password', SOURCE_AUTO_POSITION=1, SOURCE_SSL=1; SET GLOBAL replica_parallel_workers=4; START REPLICA"
  manifest apply bench "Schema, Full, Incremental"
  "$godwit" run -f "$work/apply.yaml" --no-progress --until-caught-up >"$work/out" 2>&1 || { cat "$work/out" >&2; return 1; }
  await_replica
  sql replica "STOP REPLICA"
  say "apply: a backlog of about $BENCH_CHANGES changes"
  sysbench oltp_write_only "${sysbench[@]}" --threads=4 --time=0 --events=$((BENCH_CHANGES / 4)) --db-ps-mode=disable run >"$work/out" 2>&1 ||
    { cat "$work/out" >&2; return 1; }
  say "apply: godwit"
  timed "$godwit" run -f "$work/apply.yaml" --no-progress --until-caught-up
  local wall=$WALL
  say "apply: the replica"
  timed replica_catches_up
  local here there
  here=$(sql dst "CHECKSUM TABLE bench.sbtest1, bench.sbtest4")
  there=$(sql replica "CHECKSUM TABLE bench.sbtest1, bench.sbtest4")
  [[ $here == "$there" ]] || { say "the replica and godwit's destination differ: $here, $there"; return 1; }
  result "catching up, changes a second" "$(calc "$BENCH_CHANGES / $wall" 0)" "replica, 4 workers: $(calc "$BENCH_CHANGES / $WALL" 0)" \
    "$(calc "$WALL / $wall" 2)" ">= 2"
  stop replica
}

await_replica() {
  local awaited
  awaited=$(sql replica "SELECT WAIT_FOR_EXECUTED_GTID_SET('$(sql src "SELECT @@GLOBAL.gtid_executed" | tr -d '\n\\n')', 1200)")
  [[ $awaited == 0 ]] || { sql replica "SHOW REPLICA STATUS\G" >&2; return 1; }
}
replica_catches_up() { sql replica "START REPLICA" && await_replica; }

copy_and_apply() {
  start src
  start dst
  local password sysbench
  password=$(field "$work/src.json" password)
  sysbench=(--mysql-socket="$(socket src)" --mysql-user=root --mysql-password="$password" --mysql-db=bench --tables=4 --table-size="$BENCH_ROWS")
  data_set
  if [[ $1 == *copy* ]]; then compare_copy; fi
  if [[ $1 == *apply* ]]; then compare_apply; fi
  stop src
  stop dst
}

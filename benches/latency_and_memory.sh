# Time from commit to visibility under light load, and the memory of large databases, transactions and rows. Sourced by run.sh.

latency() {
  start src
  start dst
  say "latency: a shop with 1,000 changed rows a second"
  "$shop" load --url "$(url src)" --rows 100000 >/dev/null
  manifest latency shop "Schema, Full, Incremental"
  follow latency
  "$shop" write --url "$(url src)" --threads 4 --rate 1000 --seconds $((BENCH_SECONDS + 2)) >"$work/written.json" &
  local writer=$!
  sleep 1
  "$shop" probe --source "$(url src)" --destination "$(url dst)" --seconds "$BENCH_SECONDS" >"$work/probe.json"
  wait "$writer"
  unfollow
  local changes
  changes=$(calc "($(field "$work/written.json" inserted) + $(field "$work/written.json" updated) + $(field "$work/written.json" deleted)) / $(field "$work/written.json" seconds)" 0)
  result "commit to visible at $changes changes/s, p50, ms" "$(field "$work/probe.json" p50)" "" "" ""
  result "  p99, ms (largest $(field "$work/probe.json" max))" "$(field "$work/probe.json" p99)" "" "" "< 50"
  stop src
  stop dst
}

# The engine's largest resident memory since the last time, in MiB.
peak() {
  awk '/VmHWM/ { printf "%d", $2 / 1024 }' "/proc/$engine/status"
  echo 5 >"/proc/$engine/clear_refs"
}

# await QUERY ANSWER: at the destination
await() {
  local end=$((SECONDS + 300))
  until [[ $(sql dst "$1") == "$2" ]]; do
    ((SECONDS < end)) || { say "the destination does not answer $2 to: $1"; tail -5 "$work/engine.log" >&2; return 1; }
    sleep 0.5
  done
}

memory() {
  # A statement with a row of 60 MB is larger than the default limit.
  start src --max-allowed-packet=256M
  start dst --max-allowed-packet=256M
  local rows=$((BENCH_MB * 1000)) chunk=100000
  say "memory: a database of $BENCH_MB MB, and rows of 60 MB"
  sql src "CREATE DATABASE large; CREATE TABLE large.t (id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY, content VARBINARY(1024) NOT NULL);
    CREATE TABLE large.blobs (id INT PRIMARY KEY, content LONGBLOB NOT NULL); SET SESSION cte_max_recursion_depth=$chunk;
    CREATE TABLE large.hundred AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<$chunk) SELECT i FROM n;
    INSERT INTO large.blobs SELECT i, REPEAT(RANDOM_BYTES(1000), 60000) FROM large.hundred WHERE i<=5"
  local made=0
  while ((made < rows)); do
    sql src "INSERT INTO large.t (content) SELECT RANDOM_BYTES(1000) FROM large.hundred"
    made=$((made + chunk))
  done
  manifest memory large "Schema, Full, Incremental"
  follow memory
  local copied
  copied=$(peak)
  say "memory: a transaction of 300 MB"
  sql src "UPDATE large.t SET content=RANDOM_BYTES(1000) WHERE id<=150000; INSERT INTO large.blobs VALUES (100, 'after it')"
  await "SELECT COUNT(*) FROM large.blobs WHERE id=100" 1
  local transaction
  transaction=$(peak)
  say "memory: changed rows of 60 MB"
  sql src "UPDATE large.blobs SET content=REPEAT(RANDOM_BYTES(1000), 60000) WHERE id<=3; INSERT INTO large.blobs SELECT 200+i,
    REPEAT(RANDOM_BYTES(1000), 60000) FROM large.hundred WHERE i<=3; INSERT INTO large.blobs VALUES (101, 'after them')"
  await "SELECT COUNT(*) FROM large.blobs WHERE id=101" 1
  local blobs
  blobs=$(peak)
  unfollow
  result "peak memory, MiB: copy of $BENCH_MB MB, 60 MB rows" "$copied" "" "" "< 256"
  result "  then a transaction of 300 MB" "$transaction" "" "" "< 256"
  result "  then changed rows of 60 MB" "$blobs" "" "" "< 256"
  stop src
  stop dst
}

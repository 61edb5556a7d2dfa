#!/bin/sh
# SQLite: one process writes through a write-ahead log while two read through mmap; then indexes, a sort and VACUUM.
set -e
dir=$(mktemp -d)
db="$dir/db"
sqlite3 "$db" "PRAGMA journal_mode=WAL; CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT, c REAL);" >/dev/null
write="PRAGMA cache_size=-8000; WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<40000)
INSERT INTO t(b,c) SELECT hex(randomblob(60)), i*1.5 FROM n;"
read="PRAGMA mmap_size=268435456; PRAGMA busy_timeout=10000; SELECT count(*), sum(c), max(b) FROM t;"
for i in 1 2 3; do
    sqlite3 "$db" "PRAGMA busy_timeout=10000; $write" >/dev/null &
    sqlite3 "$db" "$read $read" >/dev/null &
    sqlite3 "$db" "$read" >/dev/null &
    wait
done
sqlite3 "$db" "CREATE INDEX tb ON t(b); PRAGMA mmap_size=268435456; SELECT b FROM t ORDER BY c DESC LIMIT 10 OFFSET 90000;" >/dev/null
sqlite3 "$db" "DELETE FROM t WHERE a%3=0; PRAGMA wal_checkpoint(TRUNCATE); VACUUM;" >/dev/null
rm -r "$dir"

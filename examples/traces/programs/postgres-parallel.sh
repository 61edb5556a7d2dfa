#!/bin/sh
# PostgreSQL: a server with 16 MiB of shared buffers, four clients of pgbench, a query with two parallel workers, an index.
# Run as a user other than root, with $DATA a directory that initdb made.
set -e
bin=${PGBIN:-/usr/lib/postgresql/15/bin}
export PGHOST="$DATA" PGDATABASE=postgres
"$bin/postgres" -D "$DATA" -k "$DATA" -c listen_addresses= -c shared_buffers=16MB -c huge_pages=off -c fsync=off \
    -c max_parallel_workers_per_gather=2 -c min_parallel_table_scan_size=0 -c parallel_setup_cost=0 \
    -c parallel_tuple_cost=0 -c jit=off -c autovacuum=off -c log_min_messages=fatal 2>/dev/null &
server=$!
until "$bin/pg_isready" -q; do sleep 0.1; done
"$bin/pgbench" -q -i -s 1 2>/dev/null
"$bin/pgbench" -c 4 -j 2 -t 25 >/dev/null 2>&1
"$bin/psql" -q -c "SELECT count(*), sum(abalance), avg(length(filler)) FROM pgbench_accounts" >/dev/null
"$bin/psql" -q -c "SET work_mem='16MB'; CREATE INDEX ON pgbench_accounts(abalance, aid)" >/dev/null
kill -INT $server
wait $server

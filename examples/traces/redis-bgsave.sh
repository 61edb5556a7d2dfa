#!/bin/sh
# Redis saves a snapshot (fork) while clients go on writing, then frees its memory.
set -e
dir=$(mktemp -d)
cli="redis-cli -s $dir/socket"
redis-server --port 0 --unixsocket "$dir/socket" --dir "$dir" --save '' --rdbcompression no --loglevel warning &
until $cli ping >/dev/null 2>&1; do sleep 0.05; done
redis-benchmark -s "$dir/socket" -q -c 4 -t set -n 60000 -r 24000 -d 1000
$cli bgsave
redis-benchmark -s "$dir/socket" -q -c 4 -t set -n 6000 -r 24000 -d 1000
sleep 1
$cli flushall
$cli memory purge
$cli shutdown nosave
wait
rm -r "$dir"

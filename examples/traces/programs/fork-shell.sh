#!/bin/bash
# A shell script of the kind that forks all the time: subshells, pipelines, command substitutions, background jobs.
set -e
dir=$(mktemp -d)
cd "$dir"
lines=()
for i in {1..2000}; do lines+=("line $i of a list that the shell itself holds in its memory"); done
total=0
for i in {1..40}; do
    n=$(echo "$i" | sed 's/$/0/')
    total=$((total + n))
    ( lines[i]=changed; echo "${lines[i]}" ) >>out
done
for i in {1..12}; do printf '%s\n' "${lines[@]}" | grep "$i" | sort -r | head -n 3 >>out || true; done
for i in {1..12}; do ( x=$(wc -l <out); y=$(basename "/a/b/$x"); test -n "$y" ) & done
wait
find . -type f -exec sh -c 'wc -c "$1"' _ {} \; >/dev/null
cd /
rm -r "$dir"

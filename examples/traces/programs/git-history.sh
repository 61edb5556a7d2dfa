#!/bin/sh
# git: sixty commits on two branches, a merge, log, blame, grep, gc, and a clone.
set -e
dir=$(mktemp -d)
cd "$dir"
export GIT_CONFIG_NOSYSTEM=1 HOME="$dir" GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org
export GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.org
git init -q -b main one
cd one
seq 1 20000 >numbers
git add numbers
git commit -q -m first
git checkout -q -b side
for i in 1 2 3 4 5 6 7 8; do seq $i 3 9000 >side$i; git add .; git commit -q -m side$i; done
git checkout -q main
for i in 1 2 3 4 5 6 7 8; do seq $i $((i + 20000)) >numbers; git commit -q -a -m main$i; done
git merge -q -m merge side
git log --stat >/dev/null
git blame numbers >/dev/null
git grep -c 77 >/dev/null
git -c gc.autoDetach=false gc -q
git -c pack.threads=2 repack -q -a -d -f
cd ..
git clone -q --no-local one two
git -C two fsck --no-progress
cd /
rm -rf "$dir"

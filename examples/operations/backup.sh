#!/usr/bin/env bash
# backup.sh STORE BACKUP: copies the folder of a server, which may be running, to a new folder.
set -euo pipefail
[ $# = 2 ] || { echo "usage: backup.sh STORE BACKUP" >&2; exit 2; }
store=$1 backup=$2
mkdir "$backup"
# What names something is copied before what it names: that was there first, and is never changed.
for part in store.json channels trust releases uploads payloads parts; do
    [ -e "$store/$part" ] || continue
    # NAME#1 is half of an object. 1 of tar says that a file went while it was looked at: no copied record names it.
    tar -C "$store" --exclude='*#*' -cf - "$part" | tar -C "$backup" -xpf - || [ "${PIPESTATUS[*]}" = "1 0" ]
done
sync -f "$backup"

#!/bin/sh
# From an empty machine to a web view that runs an update which it verified itself: the commands of docs/tutorials/web-view.md.
# Run it in an empty folder. It needs git and python3 with venv, and for what a person would see, node and Chromium.
#   from-nothing.sh              clones what CAPSEAL names, or else what this script is a part of
#   from-nothing.sh installed    without the set-up: `capseal` and `python` are on the path already
set -eu

here=$(cd "$(dirname "$0")" && pwd)
start=$(date +%s)
servers=
trap 'kill $servers 2> /dev/null || true' EXIT

# What a person does and sees in a browser; each start of it is a start of the app.
looks() {
    node "$here/look.js" "$PWD/profile" http://127.0.0.1:8000/ "$@"
    echo "after $(($(date +%s) - start)) s"
}

if [ "${1-}" = installed ]; then
    ln -s "$here/../.." capseal
else
    CAPSEAL=${CAPSEAL:-$here/../..}
    git clone "$CAPSEAL" capseal
    python3 -m venv .venv && . .venv/bin/activate
    pip install './capseal[server,delta]'
fi

capseal init --app com.example.webview --web out/v1
python capseal/examples/web-view/build.py out --trust keys/trust.json --identity keys/recipient.pem --server http://127.0.0.1:8417
capseal serve store > server.log 2>&1 &
servers="$servers $!"
until grep -q http:// server.log || ! kill -0 $!; do sleep 0.1; done # it listens, however slow this machine is
python -m http.server -d out/site 8000 > site.log 2>&1 &
servers="$servers $!"

capseal release --version 1.0 --server http://127.0.0.1:8417
looks "Version 0, built in came with the app" --update "Version 1 installed, and confirmed"

capseal release out/v3 --version 3.0 --server http://127.0.0.1:8417
looks "Version 1 installed, and confirmed" --update "Version 3 installed, and confirmed"
looks "Version 3 installed, and confirmed"

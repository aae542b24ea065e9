#!/bin/sh
# From an empty folder with a small web app to an update that a device runs: five commands, and what the app's start does.
# Run it in an empty folder with `capseal` on the path. Leaves everything there to look at.
set -eu

mkdir www
echo '<h1>Hello</h1>' > www/index.html
echo '{"appId": "com.example.hello", "webDir": "www"}' > capacitor.config.json
port=${PORT:-8417}

# 1. Keys, certificates, trust stores, configuration. In a git project, commit what it made.
capseal init

# 2. A server. It has the public trust store and nothing else: it cannot read bundles, and cannot make any.
capseal serve store --port "$port" 2> server.log &
server=$!
trap 'kill "$server" 2> /dev/null || true' EXIT

# 3. Seal, sign, verify as a device would, publish, note in the release log. It waits for a server that starts.
capseal release --version 1.0.0 --server "http://127.0.0.1:$port"

# 4. What a device does: fetch the latest, every segment verified as it arrives, decrypt, unpack, stage.
capseal device --root device --builtin www install "http://127.0.0.1:$port"

# 5. Let the next start take it.
capseal device --root device --builtin www activate

# That start: the folder that the app runs from now on.
capseal device --root device --builtin www boot

# What the app says once it has started well, within 10 s; else the one before runs at the next start.
capseal device --root device --builtin www confirm

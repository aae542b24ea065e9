#!/bin/sh
# From a small web app to an update that Capgo's plugin is offered, with a sealed bundle of the same content
# beside it. Run it in an empty folder with `capseal` and `curl` on the path. Leaves everything there to look at.
set -eu

mkdir www
echo '<h1>Hello</h1>' > www/index.html
echo '{"appId": "com.example.hello", "webDir": "www"}' > capacitor.config.json
port=${PORT:-8417}
capseal init

# 1. Capgo's own keys: the app ships the public one, as `publicKey` in capacitor.config.json.
capseal capgo keygen

# 2. The file that the plugin reads, and what the server must know about it.
capseal capgo encrypt www -o app.capgo --record app.json

# 3. The same content as a sealed bundle. The seal vouches for the Capgo file, segment by segment.
capseal capgo convert to-sealed app.capgo --record app.json -o app.sealed --version 1.4.2

# 4. A server that answers the plugin. It has no secret, and takes only what the seal vouches for.
capseal serve store --capgo --port "$port" 2> server.log &
server=$!
trap 'kill "$server" 2> /dev/null || true' EXIT

# 5. Publish both: app.capgo is beside the bundle. It waits for a server that starts.
capseal publish app.sealed "http://127.0.0.1:$port"

# What the plugin asks at every start of the app, and then fetches.
curl --silent --show-error --fail "http://127.0.0.1:$port/v1/capgo/updates" --data '{
  "app_id": "com.example.hello", "device_id": "1", "platform": "android", "plugin_version": "7.30.0",
  "version_name": "builtin", "version_build": "1.0.0", "defaultChannel": "production"
}' > answer.json
url=$(sed 's/.*"url": "\([^"]*\)".*/\1/' answer.json)
curl --silent --show-error --fail "$url" --output fetched

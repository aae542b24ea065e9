"""What was Capgo's goes on: keys, configuration and a bundle of its own command line, to a running server."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import capseal
from capseal import TrustStore, UsageError, capgo
from capseal.capgo import CapacitorConfig
from capseal.server import CapgoUpdates
from support.capgo_devices import DeviceOpener
from support.capgo_requests import NEEDED
from support.capgo_tool import Project
from support.command import Result, run
from support.serving import APP, Live, live_server
from support.zips import zip_of

FILES = {"index.html": b"<html>from Capgo</html>", "js/app.js": b"play();" * 3000}
WEB = zip_of(*FILES.items())


@pytest.fixture
def live(store: Path, trust: TrustStore) -> Iterator[Live]:
    with live_server(str(store), trust, extensions=[CapgoUpdates()]) as live:
        yield live


@dataclass(frozen=True)
class Team:
    """A folder of somebody who was with Capgo. made: what its command line printed."""

    folder: Path
    made: dict[str, Any]

    def imports(self, *options: str, server: str | None = None) -> Result:
        where = [] if server is None else ["--server", server]
        line = ["capgo", "import", "web.zip_encrypted.zip", "--version", "1.0.7", "-s", "signer.pem"]
        return run(*line, "-r", "recipient.pub.pem", *options, *where, cwd=self.folder)

    def config(self, **plugin: Any) -> None:
        value = {"appId": APP, "plugins": {"CapacitorUpdater": plugin}}
        (self.folder / "capacitor.config.json").write_text(json.dumps(value))


Founder = Callable[..., Team]


@pytest.fixture
def team(tmp_path: Path, signer: capseal.PrivateKey, recipient: capseal.PrivateKey) -> Founder:
    """Return team(plugin): with Capgo's own command line, as it encrypts for that version of the plugin."""

    def team(plugin: str | None = "8.51.23") -> Team:
        project = Project.make(tmp_path, plugin=plugin)
        (tmp_path / "web.zip").write_bytes(WEB)
        made = project.encrypt(tmp_path / "web.zip", sha256(WEB).hexdigest())
        (tmp_path / "made.json").write_text(json.dumps(made))
        signer.save(tmp_path / "signer.pem")
        (tmp_path / "recipient.pub.pem").write_bytes(recipient.public_key.pem)
        return Team(tmp_path, made)

    return team


@pytest.fixture
def ours(tmp_path: Path, capgo_key: capgo.PrivateKey) -> Team:
    """The same without Capgo's command line, of which the bundle is bit for bit."""
    capgo_key.save(tmp_path)
    (tmp_path / "web.zip").write_bytes(WEB)
    done = run("capgo", "encrypt", "web.zip", "-o", "web.zip_encrypted.zip", "--json", cwd=tmp_path).succeeded()
    (tmp_path / "made.json").write_bytes(done.out)
    team = Team(tmp_path, json.loads(done.out))
    team.config(publicKey=capgo_key.public_key.pem.decode())
    return team


@pytest.mark.parametrize("plugin", [None, "8.51.23"], ids=["v2", "v3"])
def test_a_bundle_of_capgos_command_line_is_installed_by_the_plugin_after_one_command(
    plugin: str | None, live: Live, team: Founder, opened: DeviceOpener
) -> None:
    was = team(plugin)
    done = was.imports("--made", "made.json", "--json", server=live.url).succeeded()
    told = json.loads(done.out)
    assert (told["app"], told["channel"], told["version"]) == (APP, "production", "1.0.7")
    assert told["published"]["version"] == "1.0.7"
    assert told["record"]["session_key"] == was.made["ivSessionKey"]
    public = (was.folder / ".capgo_key_v2.pub").read_text()
    device = opened(live.url, key=public)
    folder = Path(device.update()["folder"])
    assert {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.*")} == FILES
    # Plugins of any age: both checksums are there, whichever one Capgo's command line printed.
    old = live.client.post("/v1/capgo/updates", json=NEEDED | {"plugin_version": "7.29.0"}).json()
    assert old["checksum"] == told["record"]["checksum_v2"]


def test_a_dry_run_checks_all_and_writes_and_sends_nothing(live: Live, ours: Team) -> None:
    before = sorted(path.name for path in ours.folder.iterdir())
    line = ["capgo", "import", "web.zip_encrypted.zip", "--version", "1.0.7", "--made", "made.json", "--dry-run"]
    done = run(*line, "--server", live.url, cwd=ours.folder).succeeded()
    assert f"would be {APP} 1.0.7 on production; nothing was written or sent" in done.out.decode()
    told = json.loads(run(*line, "--server", live.url, "--json", cwd=ours.folder).succeeded().out)
    assert (told["sealed"], told["published"]) == (None, None)
    assert sorted(path.name for path in ours.folder.iterdir()) == before
    assert live.client.post("/v1/capgo/updates", json=NEEDED).json()["error"] == "no_channel"
    altered = bytearray((ours.folder / "web.zip_encrypted.zip").read_bytes())
    altered[100] ^= 1
    (ours.folder / "web.zip_encrypted.zip").write_bytes(altered)
    assert run(*line, cwd=ours.folder).code == 1


def test_a_dry_run_says_what_would_be_in_the_way(
    live: Live, ours: Team, signer: capseal.PrivateKey, recipient: capseal.PrivateKey
) -> None:
    signer.save(ours.folder / "signer.pem")
    (ours.folder / "recipient.pub.pem").write_bytes(recipient.public_key.pem)
    line = ["capgo", "import", "web.zip_encrypted.zip", "--made", "made.json", "--dry-run", "--server", live.url]
    ours.imports("--made", "made.json", server=live.url).succeeded()
    run(*line, "--version", "1.0.8", cwd=ours.folder).failed_with(2, "web.zip_encrypted.zip.sealed: exists already; -f")
    told = run(*line, "--version", "1.0.7", "-f", cwd=ours.folder)
    told.failed_with(2, f"has version 1.0.7 of {APP} on production, as sequence ")
    run(*line, "--version", "1.0.8", "-f", cwd=ours.folder).succeeded()


def test_what_the_app_still_has_to_say_is_told(live: Live, ours: Team) -> None:
    line = ["capgo", "import", "web.zip_encrypted.zip", "--version", "1", "--made", "made.json", "--dry-run", "--json"]
    server = ["--server", f"{live.url}/"]
    (update, stats, channel) = json.loads(run(*line, *server, cwd=ours.folder).succeeded().out)["left_to_do"]
    assert f"{live.url}/v1/capgo/updates" in update
    assert "statsUrl" in stats and "channelUrl" in channel
    public = (ours.folder / ".capgo_key_v2.pub").read_text()
    urls = {"updateUrl": f"{live.url}/v1/capgo/updates/", "statsUrl": "", "channelUrl": ""}
    ours.config(publicKey=public, defaultChannel="beta", **urls)
    told = json.loads(run(*line, *server, cwd=ours.folder).succeeded().out)
    assert (told["left_to_do"], told["channel"]) == ([], "beta")
    ours.config(**urls, appId="com.example.other")
    told = json.loads(run(*line, *server, cwd=ours.folder).succeeded().out)
    assert told["app"] == "com.example.other"
    assert "publicKey" in told["left_to_do"][0]


@pytest.mark.parametrize(
    ("options", "code", "complaint"),
    [
        ([], 2, "give --made FILE.json"),
        (["--made", "made.json", "--checksum", "a"], 2, "not both"),
        (["--made", "web.zip"], 2, "web.zip"),
        (["--made", ".capgo_key_v2.pub"], 2, ".capgo_key_v2.pub"),
        (["--made", "capacitor.config.json"], 2, "expected an object with ivSessionKey and checksum"),
        (["--made", "made.json", "-k", "none"], 3, "none: no such file"),
        (["--made", "made.json", "-k", ".capgo_key_v2.pub"], 2, "this is a public key"),
        (["--made", "made.json", "--app-folder", "none", "--app", APP], 3, "none/.capgo_key_v2: no such file"),
        (["--made", "empty.json"], 1, "checksum: empty"),
        (["--session-key", "a", "--checksum", "0" * 64], 1, "a SHA-256 that nobody signed"),
        (["--made", "made.json", "--capgo-share", "5000"], 2, "5000"),
    ],
)
def test_what_does_not_fit_is_told_in_one_line(ours: Team, options: list[str], code: int, complaint: str) -> None:
    (ours.folder / "empty.json").write_text(json.dumps(ours.made | {"checksum": ""}))
    line = ["capgo", "import", "web.zip_encrypted.zip", "--version", "1", "--no-publish", "--dry-run", *options]
    run(*line, cwd=ours.folder).failed_with(code, complaint)


def test_what_is_not_encrypted_or_of_another_app_is_told_in_one_line(ours: Team) -> None:
    line = ["capgo", "import", "--version", "1", "--made", "made.json", "--no-publish", "--dry-run"]
    run(*line, "web.zip", cwd=ours.folder).failed_with(
        2, "a zip that is not encrypted; 'capseal capgo encrypt web.zip'"
    )
    run(*line, "-", cwd=ours.folder).failed_with(2, "must be a file")
    run(*line, "none.zip", cwd=ours.folder).failed_with(3, "none.zip")
    bundle = "web.zip_encrypted.zip"
    other = capgo.PrivateKey.generate().public_key
    ours.config(publicKey=other.pem.decode())
    run(*line, bundle, cwd=ours.folder).failed_with(2, f"publicKey is {other.key_id}")
    (ours.folder / "capseal.toml").write_text('app = "com.example.mine"\n')
    ours.config()
    run(*line, bundle, cwd=ours.folder).failed_with(2, f"appId is {APP}, capseal.toml's app is com.example.mine")
    run(*line, bundle, "--app", APP, cwd=ours.folder).succeeded()


def test_the_sealed_bundle_vouches_for_the_file_and_says_the_offer(ours: Team, signer: capseal.PrivateKey) -> None:
    run("init", "--app", APP, cwd=ours.folder).succeeded()
    line = ["capgo", "import", "web.zip_encrypted.zip", "--version", "1", "--made", "made.json", "--capgo-share", "10"]
    done = run(*line, cwd=ours.folder).succeeded()
    assert "not published; next: capseal publish web.zip_encrypted.zip.sealed URL" in done.out.decode()
    shown = json.loads(run("inspect", "web.zip_encrypted.zip.sealed", "--json", cwd=ours.folder).succeeded().out)
    assert shown["statement"]["custom"]["capgo_offer"] == {"share": 10, "salt": "1"}
    assert [one["name"] for one in shown["statement"]["attachments"]] == ["app.capgo"]


# capacitor.config.*


PROGRAM = b"""
import type { CapacitorConfig } from '@capacitor/cli';
// appId: 'com.example.old',
const config: CapacitorConfig = {
  appId: 'com.example.game', appName: "game",
  plugins: {
    CapacitorUpdater: {
      updateUrl: `https://updates.example.com`, statsUrl: '',
      publicKey: '-----BEGIN RSA PUBLIC KEY-----\\nMIIB\\n',
      channelUrl: `${process.env.URL}`,
      "defaultChannel": "it's",
    },
  },
};
"""


def test_a_program_is_read_as_text_and_never_run() -> None:
    assert CapacitorConfig.parse(PROGRAM, "capacitor.config.ts") == CapacitorConfig(
        app="com.example.game",
        update_url="https://updates.example.com",
        stats_url="",
        public_key="-----BEGIN RSA PUBLIC KEY-----\nMIIB\n",
        default_channel="it's",
    )
    twice = PROGRAM + b"\nconst other = { appId: 'com.example.other' }\n"
    with pytest.raises(UsageError, match="appId is there 2 times"):
        CapacitorConfig.parse(twice, "capacitor.config.ts")


@given(st.binary(max_size=300))
def test_no_configuration_is_more_than_a_usage_error(data: bytes) -> None:
    for name in capgo.CAPACITOR_CONFIGS:
        try:
            CapacitorConfig.parse(data, name)
        except UsageError as error:
            assert str(error).startswith(name)


@pytest.mark.parametrize(
    "text", ["[]", '{"appId": 1}', '{"plugins": []}', '{"plugins": {"CapacitorUpdater": 1}}', "{", "[" * 100_000]
)
def test_a_json_of_another_shape_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match=r"capacitor\.config\.json"):
        CapacitorConfig.parse(text.encode(), "capacitor.config.json")

"""What a command wrote is still there, whole and under its name, when the power goes after its end: seen by strace."""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from capseal.cli._app import CAPSEAL
from support.command import run
from support.durable_tracing import Trace, leaves, traced
from support.serving_command import free_port, serving

# Each command that writes, with lines that make it write in every way that it has. In this order they make a story,
# in a folder that `init` makes a project of. KEY, LOWER: fingerprints; URL: of a server that takes what is published.
WRITING: dict[str, list[str]] = {
    "init": ["--app com.example.game --web web"],
    "key generate": ["signing -o extra"],
    "key import": ["keys/development.crt.pem --key keys/development.pem -f"],
    "capgo keygen": ["capgo"],
    "seal": [
        "web -o sealed --version 1 --sequence 1",
        "web -o payload --seal seal --version 1 --sequence 1",
        "web -o payload --seal seal --version 2 --sequence 2 -f",
    ],
    "unseal": ["sealed -o out.zip", "sealed -o out.zip -f"],
    "rewrap": ["sealed -o rewrapped", "payload --seal seal -o seal.rewrapped"],
    "cosign": ["sealed -o cosigned -s extra.pem"],
    "split": ["sealed --seal split.seal --payload split.payload"],
    "join": ["--seal split.seal --payload split.payload -o joined"],
    "release": [
        "web --version 3 --sequence 3 --no-publish",
        "web --version 4 --sequence 4 --server URL",
        "web --version 5 --sequence 5 --server URL",
        "web --version 6 --sequence 6 --no-publish --capgo --capgo-key capgo/.capgo_key_v2",
    ],
    "head sign": ["--current 5 --server URL"],
    "head renew": ["--server URL"],
    "head recall": ["releases/com.example.game@production-3.seal -o recall.json", "4 --server URL"],
    "head cosign": ["recall.json -s extra.pem"],
    "fleet rewrap": ["store --select com.example.game -r extra.pub.pem"],
    "fetch": ["URL -o fetched", "URL -o fetched", "URL -o interrupted"],
    "demo": ["web/large"],
    "delta make": ["before web -o recipe", "before web -o recipe -f"],
    "delta apply": ["before recipe -o rebuilt.zip", "before recipe -o rebuilt.zip -f"],
    "capgo encrypt": ["web -o encrypted.zip -k capgo/.capgo_key_v2 --record record.json --files"],
    "fleet seal": ["web/large fleet.sealed --version 1", "web/large fleet.sealed --version 2 -f"],
    "fleet unseal": ["fleet.sealed fleet.out", "fleet.sealed fleet.out -f"],
    "capgo decrypt": ["encrypted.zip -o decrypted.zip -k capgo/.capgo_key_v2.pub --record record.json"],
    "capgo manifest": ["web -o manifest -k capgo/.capgo_key_v2 --base-url https://example.com"],
    "capgo convert to-capgo": ["sealed -o converted.zip -k capgo/.capgo_key_v2 --record converted.json"],
    "capgo convert to-sealed": [
        "encrypted.zip -o converted --version 1 -k capgo/.capgo_key_v2.pub --record record.json"
    ],
    "capgo import": [
        "encrypted.zip --version 7 -o imported --channel capgo --key capgo/.capgo_key_v2 --server URL "
        "--session-key SESSION --checksum CHECKSUM"
    ],
    "capgo statistics": ["URL -o statistics.html"],
    "device install": ["sealed"],
    "device activate": [""],
    "device boot": [""],
    "device confirm": [""],
    "device rollback": [""],
    "device prune": ["--keep 0"],
    "device refresh": ["URL"],
    "trust add": ["extra.pub.pem --threshold 1 --in-place"],
    "trust remove": ["KEY --update update.json"],
    "trust cosign": ["update.json -s extra.pem"],
    "trust apply": ["update.json --trust before.json"],
    "trust heads": ["--max-age 7 --in-place"],
    "trust restart": ["7 --update restart.json"],
    "log store": [""],
    "serve": [""],
    "store export": ["store tree"],
    "store prune": ["store --keep 1"],
}

WRITING_NOTHING = {
    *(
        "dev",
        "verify",
        "inspect",
        "publish",
        "withdraw",
        "completion",
        "doctor",
        "key show",
        "trust show",
        "trust publish",
        "log verify",
        "head show",
        "delta show",
        "fleet verify",
        "fleet scrub",
    ),
    *("delta show", "capgo verify", "device current", "device verify", "device status"),
}


def test_every_command_is_known_to_write_or_to_write_nothing():
    assert sorted(leaves(CAPSEAL)) == sorted([*WRITING, *WRITING_NOTHING])


BY_OBSTORE = ("serve", "store export", "store prune", "fleet rewrap")
"""Commands that write to a store, whose objects obstore names as it likes."""


@dataclass
class Story:
    """traces: what each command did."""

    folder: Path
    traces: dict[str, list[Trace]] = field(default_factory=dict)

    def tell(self, name: str, words: list[str]) -> None:
        topic, _, rest = name.partition(" ")
        options = ["--root", "device", "--builtin", "web/large"] if topic == "device" else []
        log = self.folder / "strace"
        trace = Trace.of(Path("/") if name == "demo" else self.folder)  # which acts elsewhere, and tidies up
        process = traced(topic, *options, *rest.split(), *words, cwd=self.folder, log=log)
        said, _ = process.communicate(timeout=300)
        assert process.returncode == 0, (name, said.decode())
        # obstore names what it wrote at once; the server's code syncs both before it says that it has them.
        late = {"synced_late": r"/(store|tree)/.*#[0-9]+$"} if name in BY_OBSTORE else {}
        self.traces.setdefault(name, []).append(trace.judge(log.read_text(), **late))


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("story").resolve()
    (folder / "web").mkdir()
    (folder / "web" / "large").write_bytes(os.urandom(3_000_000))
    (folder / "web" / "index.html").write_bytes(b"<h1>hello</h1>" * 1000)
    for name in ("before", "capgo", "fetched", "interrupted"):
        (folder / name).mkdir()
    story = Story(folder)
    story.tell("init", WRITING["init"][0].split())
    (folder / "trust.json").write_bytes((folder / "keys" / "trust.json").read_bytes())
    with serving(folder, "--capgo", "--capgo-statistics", "stats.sqlite") as url:
        for name, lines in WRITING.items():
            for line in lines if name not in ("init", "serve") else ():
                if line.endswith("interrupted"):
                    _interrupt_a_fetch(folder)
                key = ""
                if "KEY" in line:
                    (folder / "before.json").write_bytes((folder / "keys" / "trust.json").read_bytes())
                    key = run("key", "show", "extra.pub.pem", cwd=folder).succeeded().out.decode().split()[0]
                words = line.replace("URL", url).replace("KEY", key).split()
                if "CHECKSUM" in words:
                    record = json.loads((folder / "record.json").read_text())
                    texts = {"SESSION": record["session_key"], "CHECKSUM": record["checksum_v3"]}
                    words = [texts.get(word, word) for word in words]
                story.tell(name, words)
    story.traces["serve"] = [_serve(folder)]
    yield story


def _interrupt_a_fetch(folder: Path) -> None:
    """Leave what a fetch that was killed half-way leaves."""
    whole = next((folder / "fetched").glob("*.payload"))
    part = folder / "interrupted" / f".{whole.name}.0123456789abcdef.part"
    part.touch(mode=0o600)
    part.write_bytes(whole.read_bytes()[:1_000_000])


def _serve(folder: Path) -> Trace:
    """Serve a new storage under strace, publish to it, and end it."""
    log = folder / "strace"
    trace = Trace.of(folder)
    port = free_port()
    process = traced("serve", "served", "--trust", "trust.json", "--port", port, cwd=folder, log=log)
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            published = run("publish", "sealed", f"http://127.0.0.1:{port}", "--no-head", cwd=folder)
            if not published.code:
                break
            time.sleep(0.2)
        published.succeeded()
        (pid,) = subprocess.check_output(["pgrep", "-P", str(process.pid)], text=True).split()
        os.kill(int(pid), signal.SIGTERM)
        process.communicate(timeout=60)
    finally:
        process.kill()
    # obstore names what it wrote at once; the server syncs both before it says that it has them.
    return trace.judge(log.read_text(), synced_late=r"/served/.*#[0-9]+$")


ADDING = ("head sign", "head renew", "head recall", "log store")
"""Commands that may only add to a file that has its name."""


@pytest.mark.parametrize("name", WRITING)
def test_what_a_command_wrote_has_its_name_after_a_power_cut(name: str, story: Story) -> None:
    assert [trace.problems for trace in story.traces[name]] == [[]] * len(WRITING[name])
    if not name.startswith("device") and name not in ADDING:
        assert all(trace.namings or trace.made for trace in story.traces[name])


def test_files_under_way_have_names_that_nobody_can_foresee(story: Story) -> None:
    private = re.compile(r"\.[0-9a-f]{16}\.part(\.old)?$|/\.release-\w{8}/|/device/staging/[0-9a-f]{16}$")
    traces = [trace for name in WRITING if name not in BY_OBSTORE for trace in story.traces[name]]
    namings = [naming for trace in traces for naming in trace.namings]
    assert namings
    assert [naming for naming in namings if not any(map(private.search, naming))] == []

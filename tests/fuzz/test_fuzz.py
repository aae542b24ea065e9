"""The short form of the fuzzing in docs/assurance.md; and that the harness sees what it is there to see."""

import json
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from capseal import FormatError
from fuzz.choices import Choices
from fuzz.command import main
from fuzz.keys import fast_key
from fuzz.running import Campaign, Disagreement, Target
from fuzz.targets import TARGETS
from support.places import ROOT
from support.tools import require_tool

EXECUTIONS = {"seal": 250, "seal detached": 250, "push": 250, "client": 100, "server": 60}
EXECUTIONS |= {"web seal": 80, "web seal detached": 80, "web companion": 150}
"""About three seconds each; of the others 500."""


@pytest.mark.parametrize("name", TARGETS)
def test_a_short_fuzzing_finds_nothing_and_gets_past_the_first_check_of(name: str, tmp_path: Path) -> None:
    if name.startswith("web "):
        require_tool("node")
    record = tmp_path / "record"
    executions = EXECUTIONS.get(name, 500)
    command = [sys.executable, "-m", "tests.fuzz", name, "--executions", str(executions), "--findings", str(tmp_path)]
    done = subprocess.run([*command, "--record", str(record)], cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(record.read_text())
    assert found["executions"] == executions
    assert found["accepted"] > executions // 50 and found["refused"], done.stdout
    assert all(found["passed"].values()), done.stdout


def _campaign(tmp_path: Path, run: object) -> Campaign:
    target = Target(name="planted", oracle="none", modules=("capseal.errors",), make=Random.random, run=run)  # type: ignore[arg-type]
    campaign = Campaign(target, tmp_path, seed=1)
    campaign.run(executions=50)
    return campaign


def test_an_expected_error_is_a_refusal_and_no_finding(tmp_path: Path) -> None:
    def run(case: float) -> None:
        if case < 0.5:
            raise FormatError("no")

    campaign = _campaign(tmp_path, run)
    assert not campaign.findings
    assert campaign.accepted + campaign.refusals["FormatError"] == campaign.executions == 50
    assert campaign.accepted and campaign.refusals["FormatError"]


@pytest.mark.parametrize("error", [OverflowError("x"), RecursionError("x"), Disagreement("x"), MemoryError("x")])
def test_every_other_error_is_a_finding_that_can_be_replayed(tmp_path: Path, error: Exception) -> None:
    def run(case: float) -> None:
        raise error

    campaign = _campaign(tmp_path, run)
    assert campaign.found == 50
    [finding] = campaign.findings.values()
    assert type(error).__name__ in finding.what and finding.path.exists()


def test_memory_beyond_the_cap_is_a_finding(tmp_path: Path) -> None:
    campaign = _campaign(tmp_path, lambda case: len(bytearray(4 * 1024**3)) and None)
    assert "MemoryError" in next(iter(campaign.findings.values())).what


def test_a_reader_that_forgets_a_check_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without this, an oracle that agrees with everything would pass as well."""
    from capseal.trust.expect import Expect

    monkeypatch.setattr(Expect, "check", lambda self, statement, now=None: None)
    campaign = Campaign(TARGETS["seal"](), tmp_path, seed=3)
    campaign.run(executions=600)
    assert any("independent reader refuses" in found.what for found in campaign.findings.values())


def test_choices_from_bytes_are_the_same_every_time_and_end_never() -> None:
    def drawn(data: bytes) -> list[object]:
        r = Choices(data)
        return [r.randrange(100), r.random(), r.choice("abc"), r.randbytes(5), r.sample(range(9), 3), r.getrandbits(70)]

    assert drawn(b"") == drawn(b"")
    assert drawn(b"abc") == drawn(b"abc") != drawn(b"abd")


def test_the_keys_that_sign_fast_are_what_cryptography_takes_them_for() -> None:
    key = fast_key("signer")
    key.public_key.verify(key.sign(b"message"), b"message")
    assert key.unwrap(key.public_key.wrap(bytes(32))) == bytes(32)
    assert key.public_key.rsa.key_size >= 3072


def test_the_command_lists_its_targets(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    assert capsys.readouterr().out.splitlines() == list(TARGETS)

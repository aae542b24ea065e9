"""The commands, on this machine's threads and on a cluster at its loopback address."""

import json
from pathlib import Path

import pytest
from distributed import Client

from support.command import Result, run

TESTS = Path(__file__).parents[1]
CONTENT = bytes(range(256)) * 20_000


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    (folder / "content.bin").write_bytes(CONTENT)
    keys = TESTS / "vectors" / "keys"
    named = {"signers": "signer", "recipients": "recipient.pub", "identities": "recipient"}
    config = ['app = "com.example.game"', f'trust = "{keys / "signer.pub.pem"}"']
    config += [f'{name} = ["{keys / file}.pem"]' for name, file in named.items()]
    (folder / "capseal.toml").write_text("\n".join(config))
    return folder


def warned(*words: str, cwd: Path) -> Result:
    """Run a command that seals a file: what it says on standard error is a warning."""
    done = run(*words, cwd=cwd)
    assert done.code == 0, done.err
    assert done.err.count("\n") == 1
    return done


def test_a_bundle_is_sealed_verified_and_opened_on_threads(project: Path) -> None:
    sealed = warned("fleet", "seal", "content.bin", "a.sealed", "--version", "1", "--json", cwd=project)
    report = json.loads(sealed.out)
    assert (report["job"], report["engine"], report["place"], report["tasks"]) == ("seal", "threads", "a.sealed", 1)
    assert "is a file: it is told by its inode" in sealed.err
    assert run("verify", "a.sealed", cwd=project).succeeded()
    assert b"on threads" in run("fleet", "verify", "a.sealed", cwd=project).succeeded().out
    run("fleet", "unseal", "a.sealed", "opened", cwd=project).succeeded()
    assert (project / "opened").read_bytes() == CONTENT


def test_a_bundle_is_sealed_verified_and_opened_on_a_cluster(project: Path, cluster: Client) -> None:
    at = ("--cluster", cluster.scheduler.address, "--task-mib", "1")
    warned("fleet", "seal", "content.bin", "b.sealed", "--version", "1", "--part-mib", "1", *at, cwd=project)
    run("verify", "b.sealed", cwd=project).succeeded()
    report = json.loads(run("fleet", "verify", "b.sealed", "--json", *at, cwd=project).succeeded().out)
    assert (report["engine"], report["bytes"]) == ("dask", len(CONTENT) + 40 + 16 * 10)
    run("fleet", "unseal", "b.sealed", "opened.b", *at, cwd=project).succeeded()
    assert (project / "opened.b").read_bytes() == CONTENT


def test_a_dry_run_writes_nothing(project: Path) -> None:
    before = sorted(project.rglob("*"))
    done = warned("fleet", "seal", "content.bin", "dry.sealed", "--version", "1", "--dry-run", cwd=project)
    assert "would be read in 1 task on threads" in done.out.decode()
    warned("fleet", "seal", "content.bin", "file:///nowhere/at/all", "--version", "1", "--dry-run", cwd=project)
    assert sorted(project.rglob("*")) == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--cluster", "tcp://10.0.0.1:8786"], "without TLS everybody on the way reads the payload's key"),
        (["--cluster", "tls://10.0.0.1:8786"], "needs a certificate of its authority"),
        (["--cluster", "tls://10.0.0.1:8786", "--tls-ca", "x"], "are given together"),
        (["--tls-ca", "x"], "are for --cluster"),
        (["--cluster", "tcp://127.0.0.1:8786", "--jobs", "2"], "--jobs is for this machine's threads"),
    ],
)
def test_a_cluster_that_would_see_keys_is_refused_in_one_line(project: Path, words: list[str], said: str) -> None:
    done = run("fleet", "seal", "content.bin", "no.sealed", "--version", "1", *words, cwd=project)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert said in done.err
    assert not (project / "no.sealed").exists()


def test_what_is_not_there_is_told_in_one_line(project: Path) -> None:
    for place in ("nothing.sealed", f"file://{project}/nothing"):
        done = run("fleet", "verify", place, cwd=project)
        assert (done.code, done.err.count("\n")) == (3, 1)
        assert "no such file" in done.err
    (project / "parts").mkdir()
    done = run("fleet", "verify", f"file://{project}/parts", cwd=project)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "holds no seal" in done.err


def test_a_bundle_with_a_flipped_bit_is_rejected_by_name_of_its_segment(project: Path) -> None:
    warned("fleet", "seal", "content.bin", "c.sealed", "--version", "1", cwd=project)
    data = bytearray((project / "c.sealed").read_bytes())
    data[-1] ^= 1
    (project / "c.sealed").write_bytes(data)
    for words in (["verify", "c.sealed"], ["unseal", "c.sealed", "never"]):
        done = run("fleet", *words, cwd=project)
        assert done.code == 1
        assert "segment 9 at byte" in done.err
    assert not (project / "never").exists()

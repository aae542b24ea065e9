"""Every setting of `capseal serve` comes from an option, a variable or a file, in this order."""

import contextlib
import dataclasses
import json
import os
import pty
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from capseal import PrivateKey, TrustStore, UsageError
from capseal.cli.commands.serve_settings import Settings, table, variable
from capseal.cli.framework.arguments import Declaration
from capseal.server import Limits
from support.command import CAPSEAL, heed_signals, run
from support.places import ROOT
from support.serving import APP, TOKEN, Bundle
from support.serving_command import free_port, serving, serving_pid


@pytest.fixture
def folder(tmp_path: Path, trust: TrustStore) -> Path:
    trust.save(tmp_path / "trust.json")
    return tmp_path


def test_every_limit_is_a_setting() -> None:
    settings = table()
    for field in dataclasses.fields(Limits):
        assert settings[field.name].default == field.default
        assert settings[field.name].env == variable(field.name)
        # The default is a value that the option takes.
        assert settings[field.name].type(str(field.default)) == field.default


def shown(setting: Declaration) -> str:
    """Return a default as the documentation shows it."""
    if setting.default in (None, False):
        return ""
    return f"`{setting.default:g}`" if setting.metavar == "SECONDS" else f"`{setting.default}`"


def drawn() -> str:
    """Return the table of docs/server.md, which the test below prints where it is another one."""
    lines = ["| setting | default | meaning |", "|---|---|---|"]
    for name, one in table().items():
        also = f" `{one.names[-1]}` is the same." if len(one.names) > 1 else ""
        lines.append(f"| `{name}` | {shown(one)} | {one.help}{also} |")
    return "\n".join(lines)


def test_the_documentation_shows_the_table_of_settings() -> None:
    assert drawn() in (ROOT / "docs" / "server.md").read_text(), drawn()


def test_an_option_counts_before_a_variable_and_that_before_the_file(folder: Path) -> None:
    (folder / "server.toml").write_text("[server]\nheaders = 11\n")
    file, variables = {"CAPSEAL_SERVE_CONFIG": "server.toml"}, {"CAPSEAL_SERVE_HEADERS": "12"}

    def most_headers(environment: dict[str, str], *options: str) -> int:
        with serving(folder, *options, environment=environment) as url, httpx.Client(base_url=url) as client:
            count = len(client.build_request("GET", "/livez").headers)
            while client.get("/livez", headers={f"X-{number}": "1" for number in range(count)}).status_code == 200:
                count += 1
            return count + len(client.build_request("GET", "/livez").headers) - 1

    assert most_headers(file) == 11
    assert most_headers(file | variables) == 12
    assert most_headers(file | variables, "--headers", "13") == 13


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[server]\nport = 99999", "[server] port: 99999 is not from 0 to 65535"),
        ("[server]\nport = true", "[server] port: expected a number, found True"),
        ("[server]\nidle_s = 0", "[server] idle_s: 0.0 is not at least 0.1"),
        ("[server]\nhost = 7", "[server] host: expected a string, found 7"),
        ('[server]\nrole = "x"', "[server] role: 'x' is not one of production, development"),
        ('[server]\ncapgo = "yes"', "[server] capgo: expected true or false, found 'yes'"),
        ('[server]\ncors_origin = "x"', "[server] cors_origin: expected a list of strings"),
        ("[server]\nstore = 1", "[server] 'store' is unknown, expected some of trust, host"),
        ("[other]", "'other' is unknown, expected the table [server]"),
        ("server = 1", "server: expected a table"),
        ("[server", "server.toml: "),
    ],
)
def test_a_file_that_says_something_else_is_told_with_its_place(tmp_path: Path, text: str, complaint: str) -> None:
    file = tmp_path / "server.toml"
    file.write_text(text)
    with pytest.raises(UsageError, match=re.escape(complaint)) as caught:
        Settings().over(str(file))
    assert str(caught.value).startswith(str(file))


@pytest.mark.parametrize("name", ["CAPSEAL_SERVE_TOKEN_TOML", "CAPSEAL_SERVE_TOKENFILE"])
def test_a_variable_that_sets_nothing_is_refused_with_the_nearest(folder: Path, name: str) -> None:
    environment = {**os.environ, name: "x"}
    done = subprocess.run(
        [*CAPSEAL, "serve", "store", "--trust", "trust.json"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert done.stderr.startswith(
        f"capseal: {name} is set, but is no setting of serve; the nearest is CAPSEAL_SERVE_TOKEN"
    )


def test_files_that_a_file_names_are_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "server.toml"
    file.write_text('[server]\ntrust = "keys/trust.json"\ntoken_file = "/run/token"\nidle_s = 7\ncapgo = true\n')
    said = Settings(idle_s=9.0).over(str(file))
    assert said["trust"] == str(tmp_path / "keys" / "trust.json")
    assert (said["token_file"], said["idle_s"], said["capgo"], said["port"]) == ("/run/token", 9.0, True, 8417)


def test_a_variable_of_a_switch_says_yes_or_no(folder: Path) -> None:
    environment = {**os.environ, "CAPSEAL_SERVE_CAPGO": "perhaps"}
    done = subprocess.run(
        [*CAPSEAL, "serve", "store"], cwd=folder, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert "invalid value for CAPSEAL_SERVE_CAPGO: 'perhaps' is not one of 1, true, yes, on, 0" in done.stderr
    environment = {**os.environ, "CAPSEAL_SERVE_WORKERS": "two"}
    done = subprocess.run(
        [*CAPSEAL, "serve", "store"], cwd=folder, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert "invalid value for CAPSEAL_SERVE_WORKERS: 'two' is not a whole number" in done.stderr
    refused = run("serve", "store", "--behind-proxy", "--trusted-proxy", "10.0.0.0/8", cwd=folder)
    refused.failed_with(2, "give one of them")


# --- SIGHUP


def wait_for_log(folder: Path, text: str) -> str:
    deadline = time.monotonic() + 20
    while text not in (folder / "log").read_text():
        assert time.monotonic() < deadline, (folder / "log").read_text()
        time.sleep(0.05)
    return (folder / "log").read_text()


def test_sighup_reads_trust_and_tokens_again(folder: Path, bundle: Bundle, signer2: PrivateKey) -> None:
    import hashlib

    (folder / "trust.json").write_bytes(TrustStore.of(signer2.public_key).to_json())
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    tokens = folder / "tokens.toml"
    tokens.write_text(f'[other]\nsha256 = "{"0" * 64}"\nrights = ["publish"]\n')
    with serving(folder, "--tokens", "tokens.toml") as url, httpx.Client(base_url=url) as client:

        def begun() -> int:
            headers = {"Authorization": f"Bearer {TOKEN}"}
            return client.post("/v1/uploads", content=bundle.seal, headers=headers).status_code

        pid = serving_pid(folder)
        assert begun() == 401
        tokens.write_text(f'[ci]\nsha256 = "{digest}"\nrights = ["publish"]\napps = ["{APP}"]\n')
        os.kill(pid, signal.SIGHUP)
        wait_for_log(folder, '"reloaded"')
        assert begun() == 403  # the token is known, and nobody trusts the signer
        (folder / "trust.json").write_text("{")
        os.kill(pid, signal.SIGHUP)
        log = wait_for_log(folder, "not reloaded")
        (line,) = [json.loads(line) for line in log.splitlines() if "not reloaded" in line]
        assert (line["level"], line["message"]) == ("error", "not reloaded, all stays as it was")
        assert "trust.json" in line["error"]
        assert begun() == 403
    assert TOKEN not in (folder / "log").read_text()


def test_a_file_that_would_block_is_not_read_again_and_the_server_ends_as_ever(folder: Path) -> None:
    token = folder / "token"
    token.write_text(TOKEN)
    with serving(folder, "--token-file", "token") as url:
        token.unlink()
        os.mkfifo(token)
        os.kill(serving_pid(folder), signal.SIGHUP)
        log = wait_for_log(folder, "not reloaded")
        assert "token: is no regular file, and cannot be read again" in log
        assert httpx.get(url + "/livez").text == "ok\n"


def test_a_sighup_while_the_server_starts_does_not_end_it_and_is_not_lost(folder: Path) -> None:
    port = free_port()
    command = [*CAPSEAL, "serve", "store", "--trust", "trust.json", "--port", str(port), "--token-file", "token"]
    os.mkfifo(folder / "token")
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(command, cwd=folder, stderr=log)
    try:
        writing = os.open(folder / "token", os.O_WRONLY)  # when the server opens it
        process.send_signal(signal.SIGHUP)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.5)
        assert process.poll() is None
        os.write(writing, TOKEN.encode())
        os.close(writing)
        wait_for_log(folder, "not reloaded")  # it would read the token again
        assert process.poll() is None
        process.terminate()
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()


def _wait_for_capseal_to_mind_sighup(process: "subprocess.Popen[bytes]") -> None:
    """Wait until the process blocks or catches it: before that Python itself starts, however long that takes."""
    bit = 1 << signal.SIGHUP - 1
    deadline = time.monotonic() + 60
    while True:
        status = Path(f"/proc/{process.pid}/status").read_text()
        if any(int(mask, 16) & bit for mask in re.findall(r"^Sig(?:Blk|Cgt):\t(\w+)$", status, re.MULTILINE)):
            return
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.parametrize("after_s", [0, 0.15, 0.3])
def test_a_sighup_however_early_ends_no_server(folder: Path, after_s: float) -> None:
    port = free_port()
    command = [*CAPSEAL, "serve", "store", "--trust", "trust.json", "--port", str(port)]
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(command, cwd=folder, stderr=log)
    try:
        _wait_for_capseal_to_mind_sighup(process)
        time.sleep(after_s)
        process.send_signal(signal.SIGHUP)
        wait_for_log(folder, "Uvicorn running")
        process.terminate()
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()


def test_a_worker_that_follows_another_goes_by_the_files_as_they_are(
    folder: Path, bundle: Bundle, signer2: PrivateKey
) -> None:
    with serving(folder, "--workers", "2") as url:
        wait_for_log(folder, "Application startup complete")
        time.sleep(0.5)
        (folder / "trust.json").unlink()
        TrustStore.of(signer2.public_key).save(folder / "trust.json")
        parent = int(Path(f"/proc/{serving_pid(folder)}/stat").read_text().split()[3])
        os.kill(parent, signal.SIGHUP)
        wait_for_log(folder, '"reloaded"')
        time.sleep(5)  # they have settled
        for worker in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
            os.kill(int(worker), signal.SIGKILL)
        wait_for_log(folder, "worker ended")
        deadline = time.monotonic() + 20
        while True:
            try:
                answers = {
                    httpx.post(f"{url}/v1/uploads", content=bundle.seal, timeout=20).status_code for _ in range(6)
                }
                break
            except httpx.TransportError:
                assert time.monotonic() < deadline
                time.sleep(0.2)
        assert answers == {403}


@contextlib.contextmanager
def on_a_terminal(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """`capseal serve` as a terminal runs it; yield it, and the terminal's other end."""
    ours, theirs = pty.openpty()
    port = free_port()
    command = [*CAPSEAL, "serve", "store", "--trust", "trust.json", "--port", str(port)]
    streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    process = subprocess.Popen(command, cwd=folder, start_new_session=True, preexec_fn=heed_signals, **streams)
    os.close(theirs)
    try:
        yield process, ours
    finally:
        with contextlib.suppress(OSError):
            os.close(ours)
        process.kill()
        process.wait()


def read_until(terminal: int, text: bytes) -> bytes:
    shown = b""
    while text not in shown:
        shown += os.read(terminal, 4096)
    return shown


def test_on_a_terminal_lines_are_for_people_and_its_end_is_the_servers(folder: Path) -> None:
    with on_a_terminal(folder) as (process, terminal):
        shown = read_until(terminal, b"Uvicorn running")
        assert re.search(rb"^\d\d:\d\d:\d\d Uvicorn running", shown.splitlines(keepends=True)[-1])
        os.kill(process.pid, signal.SIGHUP)  # with the terminal open: reload
        assert b"reloaded" in read_until(terminal, b"reloaded")
        assert process.poll() is None
        os.close(terminal)
        os.kill(process.pid, signal.SIGHUP)  # what the kernel sends to whom the terminal controls
        process.wait(20)

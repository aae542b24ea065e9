"""Ctrl-C and SIGTERM end a command at once and leave nothing behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import capseal
from support.command import CAPSEAL, Desk, heed_signals, names, spawn, started, wait_until

CODES = {signal.SIGINT: (130, "interrupted"), signal.SIGTERM: (143, "terminated")}
HUGE_BYTES = 64 * 1024**3  # sparse; no run gets far into it
PATIENCE_S = 10.0


def part(folder: Path) -> int:
    """Return how large the unfinished output is, or 0."""
    return max((path.stat().st_size for path in folder.glob(".*.part")), default=0)


def end(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Send the signal, and assert that the process ends as it should."""
    sent_s = time.monotonic()
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    code, word = CODES[number]
    assert (process.returncode, err.decode()) == (code, f"capseal: {word}\n")
    assert time.monotonic() - sent_s < PATIENCE_S


@pytest.mark.parametrize("number", CODES)
def test_a_signal_during_a_long_seal_leaves_nothing(number, desk: Desk, tmp_path):
    with open(tmp_path / "huge", "wb") as file:
        file.truncate(HUGE_BYTES)
    with started("seal", "huge", "-o", "out", *desk.sealing, cwd=tmp_path) as process:
        wait_until(lambda: part(tmp_path) > 1_000_000)
        end(process, number)
    assert names(tmp_path) == ["huge"]


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("number", CODES)
def test_a_signal_while_a_seal_waits_for_its_input_leaves_nothing(number, jobs, desk: Desk, tmp_path):
    command = ["seal", "-", "-o", "out", "-j", jobs, *desk.sealing]
    with started(*command, cwd=tmp_path, stdin=subprocess.PIPE) as process:
        os.write(process.stdin.fileno(), bytes(200_000))  # more than a pipe holds: when this returns, it reads
        end(process, number)
    assert names(tmp_path) == []


@pytest.mark.parametrize("number", CODES)
def test_a_signal_while_an_unseal_waits_for_its_input_leaves_nothing(number, desk: Desk, tmp_path):
    with started("unseal", "-", "-o", "out", *desk.opening, cwd=tmp_path, stdin=subprocess.PIPE) as process:
        os.write(process.stdin.fileno(), desk.path("dist.sealed").read_bytes()[:700_000])
        wait_until(lambda: any(name.endswith(".part") for name in names(tmp_path)))
        end(process, number)
    assert names(tmp_path) == []


def test_a_signal_while_keys_are_made_leaves_none(tmp_path):
    with started("init", "--app", "a", "--passphrase-fd", "0", cwd=tmp_path, stdin=subprocess.PIPE) as process:
        time.sleep(1.0)  # waits for the passphrase, or is about to
        end(process, signal.SIGINT)
    assert names(tmp_path) == []


def _ignore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def test_a_command_that_was_started_with_interrupts_ignored_goes_on(desk: Desk, tmp_path):
    command = [*CAPSEAL, "seal", "-", "-o", "out", *map(str, desk.sealing)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=tmp_path, preexec_fn=_ignore_interrupts, **pipes) as process:
        os.write(process.stdin.fileno(), bytes(200_000))  # more than a pipe holds: when this returns, it reads
        process.send_signal(signal.SIGINT)
        process.communicate(bytes(1000), timeout=60)
    assert process.returncode == 0
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("command", [("serve", "store", "--trust", "trust"), ("dev", "web", "--no-qr")])
def test_a_server_in_the_background_goes_on_at_ctrl_c_and_ends_when_it_is_terminated(command, desk: Desk, tmp_path):
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "index.html").write_text("hello")
    (tmp_path / "trust").write_bytes(desk.path("signer.pub.pem").read_bytes())
    keys = ("-s", desk.path("signer.pem"), "-r", desk.path("device.pub.pem"), "--app", "a", "--trust", "trust")
    words = [*CAPSEAL, *command, "--port", "0", *(map(str, keys) if command[0] == "dev" else ())]
    with subprocess.Popen(words, cwd=tmp_path, preexec_fn=_ignore_interrupts, stderr=subprocess.PIPE) as process:
        said = b""
        # What comes when uvicorn has its handlers, and listens.
        while not (b"Uvicorn running" in said or b"sealed dev-" in said):
            said = process.stderr.readline()
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1.0)
        process.terminate()
        process.stderr.read()
        assert process.wait(30) == 0


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_a_signal_at_any_moment_leaves_the_whole_output_or_nothing(desk: Desk, tmp_path):
    command = ["seal", desk.path("dist.zip"), "-o", "out", *desk.sealing]
    start_s = time.monotonic()
    spawn(*command, cwd=tmp_path).succeeded()
    (tmp_path / "out").unlink()
    longest_s = 1.3 * (time.monotonic() - start_s)
    rounds, whole, late = 150, 0, 0
    for i in range(rounds):
        with started(*command, cwd=tmp_path) as process:
            time.sleep(longest_s * i / rounds)
            process.send_signal(signal.SIGTERM)
            _, err = process.communicate(timeout=60)
        assert names(tmp_path) in ([], ["out"]), f"round {i}"
        assert process.returncode in (0, 143, -signal.SIGTERM), err
        if names(tmp_path):
            whole += 1
            late += process.returncode != 0
            capseal.inspect(tmp_path / "out")
            (tmp_path / "out").unlink()
    print(f"{rounds} signals: {whole} came after the output was whole, {late} of them before the end")
    assert 0 < whole < rounds


def test_a_second_signal_does_not_interrupt_the_tidying_up():
    program = """if True:
        import os, signal, sys
        from capseal.cli.framework.exit_codes import SIGNALS, catch_signals, code_of
        def run():
            try:
                os.kill(os.getpid(), signal.SIGTERM)
                signal.pause()
            finally:
                for number in SIGNALS:
                    os.kill(os.getpid(), number)
                print("tidied up")
        catch_signals()
        sys.exit(code_of(run, sys.stdout))
    """
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, preexec_fn=heed_signals
    )
    assert (done.returncode, done.stdout, done.stderr) == (143, "tidied up\n", "capseal: terminated\n")


def test_the_demo_takes_its_folder_with_it(tmp_path):
    with open(tmp_path / "huge", "wb") as file:
        file.truncate(200_000_000)
    with started("demo", "huge", cwd=tmp_path, bufsize=0) as process:
        place = next(line for line in iter(process.stdout.readline, b"") if line.startswith(b"in "))
        folder = place.split()[1].decode().rstrip(",")
        assert os.path.isdir(folder)
        process.stdout.readline()
        end(process, signal.SIGTERM)
    assert not os.path.exists(folder)


def ended_by_signals(program: str, *arguments: object, cwd: Path) -> tuple[int, str, str]:
    """Run a program that sends itself signals; return its exit code, and what it wrote on both streams."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, preexec_fn=heed_signals, cwd=cwd)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("number", CODES)
@pytest.mark.parametrize("command", [("export", "store", "tree"), ("prune", "store", "--keep", "1")])
def test_a_signal_in_a_callback_of_a_loop_ends_the_command(command, number, tmp_path):
    program = """if True:
        import asyncio, os, sys
        import capseal.server
        from capseal.cli import main
        async def endless(*_, **__):
            asyncio.get_running_loop().call_soon(os.kill, os.getpid(), int(number))
            await asyncio.sleep(60)
        number = sys.argv.pop(1)
        capseal.server.export_store = capseal.server.prune_store = endless
        main()
    """
    (tmp_path / "store").mkdir()
    code, word = CODES[number]
    done = ended_by_signals(program, int(number), "store", *command, cwd=tmp_path)
    assert done == (code, "", f"capseal: {word}\n")


COROUTINE = """if True:
    import asyncio, os, signal, sys, time
    from capseal.cli.framework.coroutines import run_coroutine
    from capseal.cli.framework.exit_codes import SIGNALS, catch_signals, code_of
    def say(*words):
        print(*words, flush=True)
    def stop():
        os.kill(os.getpid(), signal.SIGTERM)
%s
    catch_signals()
    def run():
        say("returned", run_coroutine(main))
    sys.exit(code_of(run, sys.stdout))
"""


def test_a_signal_ends_tasks_and_generators_before_the_command(tmp_path):
    program = (
        COROUTINE
        % """
    async def numbers():
        try:
            while True:
                yield 1
        finally:
            await asyncio.sleep(0.01)
            say("generator closed")
    async def beside():
        try:
            await asyncio.sleep(60)
        finally:
            say("task ended")
            raise ValueError("told to nobody")
    async def main():
        global task, left
        task, left = asyncio.create_task(beside()), numbers()
        await anext(left)
        asyncio.get_running_loop().call_soon(stop)
        try:
            await asyncio.sleep(60)
        finally:
            say("cancelled")
    """
    )
    said = "cancelled\ntask ended\ngenerator closed\n"
    assert ended_by_signals(program, cwd=tmp_path) == (143, said, "capseal: terminated\n")


def test_a_coroutine_that_swallows_its_cancellation_has_been_terminated_all_the_same(tmp_path):
    program = (
        COROUTINE
        % """
    async def main():
        asyncio.get_running_loop().call_soon(stop)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return "all is well"
    """
    )
    assert ended_by_signals(program, cwd=tmp_path) == (143, "", "capseal: terminated\n")


def test_a_second_signal_ends_a_coroutine_that_hangs_in_tidying_up(tmp_path):
    program = (
        COROUTINE
        % """
    async def main():
        asyncio.get_running_loop().call_soon(stop)
        try:
            await asyncio.sleep(60)
        finally:
            stop()
            say("not at once")
            asyncio.get_running_loop().call_later(1.1, stop)
            await asyncio.sleep(60)
    """
    )
    assert ended_by_signals(program, cwd=tmp_path) == (143, "not at once\n", "")


def test_after_a_coroutine_signals_are_handled_as_before(tmp_path):
    program = (
        COROUTINE
        % """
    before = None
    async def main():
        assert {signal.getsignal(one) for one in SIGNALS} != {before}
        return 1
    catch_signals()
    before = signal.getsignal(signal.SIGTERM)
    run_coroutine(main)
    assert {signal.getsignal(one) for one in SIGNALS} == {before}
    """
    )
    assert ended_by_signals(program, cwd=tmp_path) == (0, "returned 1\n", "")

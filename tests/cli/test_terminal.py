"""What happens on a terminal: passphrases, progress bars, and no binary data."""

import subprocess
import time

import capseal
from capseal.cli.framework import progress
from support.command import CAPSEAL, PASSPHRASE, Desk, Terminal, names, run


def test_a_passphrase_is_asked_for_and_not_shown(desk: Desk, tmp_path):
    with Terminal() as terminal:
        code = terminal.run(
            "unseal", desk.path("dist.sealed"), "-o", "out", *desk.trusting, "-i", desk.path("locked.pem"),
            cwd=tmp_path, answers=[("locked.pem: ", PASSPHRASE)],
        )  # fmt: skip
        assert code == 0, terminal.screen
        assert PASSPHRASE not in terminal.screen
    assert (tmp_path / "out").read_bytes() == desk.path("dist.zip").read_bytes()


def test_a_wrong_passphrase_is_told_in_one_line(desk: Desk, tmp_path):
    with Terminal() as terminal:
        code = terminal.run(
            "unseal", desk.path("dist.sealed"), "-o", "out", *desk.trusting, "-i", desk.path("locked.pem"),
            cwd=tmp_path, answers=[("locked.pem: ", "wrong")],
        )  # fmt: skip
        assert code == 2
        assert "wrong passphrase" in terminal.screen
    assert names(tmp_path) == []


def test_a_new_passphrase_is_asked_for_twice(tmp_path):
    generate = ["key", "generate", "recipient", "-o", "k", "--passphrase"]
    with Terminal() as terminal:
        answers = [("New passphrase: ", "abc"), ("The same again: ", "abc")]
        assert terminal.run(*generate, cwd=tmp_path, answers=answers) == 0
    capseal.load_private_key(tmp_path / "k.pem", passphrase=lambda: b"abc")


def test_two_different_new_passphrases_make_no_key(tmp_path):
    generate = ["key", "generate", "recipient", "-o", "k", "--passphrase"]
    with Terminal() as terminal:
        answers = [("New passphrase: ", "abc"), ("The same again: ", "abd")]
        assert terminal.run(*generate, cwd=tmp_path, answers=answers) == 2
        assert "differ" in terminal.screen
    assert names(tmp_path) == []


def test_binary_data_is_not_written_to_a_terminal(desk: Desk, tmp_path):
    for command in (
        ["seal", desk.path("dist.zip"), *desk.sealing],
        ["unseal", desk.path("dist.sealed"), *desk.opening],
    ):
        with Terminal() as terminal:
            assert terminal.run(*command, "-o", "-", cwd=tmp_path, answers=[]) == 2
            assert "is a terminal" in terminal.screen


def test_a_bar_appears_on_a_terminal_for_what_takes_long_and_is_gone_at_the_end(desk: Desk, tmp_path):
    command = [*CAPSEAL, "seal", "-", "-o", tmp_path / "out", *desk.sealing]
    with Terminal() as terminal:
        with subprocess.Popen(list(map(str, command)), stdin=subprocess.PIPE, stderr=terminal.theirs) as process:
            for _ in range(3):  # a pipe that takes longer than QUIET_S to end
                process.stdin.write(bytes(3_000_000))
                process.stdin.flush()
                time.sleep(progress.QUIET_S / 2 + 0.1)
            process.communicate(timeout=60)
        terminal.read()
        assert process.returncode == 0
        assert "Sealing" in terminal.screen
        assert "/s" in terminal.screen
        assert terminal.screen.rstrip().endswith(("\x1b[2K", "\x1b[?25h"))


def test_no_bar_appears_for_what_is_quick(desk: Desk, tmp_path):
    with Terminal() as terminal:
        code = terminal.run("verify", desk.path("dist.sealed"), *desk.trusting, cwd=tmp_path, answers=[])
        assert code == 0
        assert "Verifying" not in terminal.screen
        assert "\x1b" not in terminal.screen


def test_no_bar_appears_in_a_pipe_and_none_is_kept(desk: Desk, tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "QUIET_S", 0.0)
    run("verify", desk.path("dist.sealed"), *desk.trusting, cwd=tmp_path).succeeded()
    with progress.shown("Sealing", "-") as advance:
        assert advance is None


def test_the_bar_of_a_step_takes_the_place_of_the_one_before_with_its_first_bytes(monkeypatch, tmp_path):
    """Steps are told of before they begin: recipes are made within the sealing."""
    started = []

    class Bar:
        def __init__(self):
            self.on = False

        def add_task(self, label, *, total, completed):
            self.label = label

        def start(self):
            assert not any(one.on for one in started), "two bars at once"
            started.append(self)
            self.on = True

        def update(self, task, *, completed):
            assert self.on

        def stop(self):
            self.on = False

    monkeypatch.setattr(progress, "QUIET_S", 0.0)
    monkeypatch.setattr(progress, "_make", Bar)
    monkeypatch.setattr("sys.stderr", Tty())
    with progress.in_steps() as begin:
        recipes, sealing = begin("Making recipes", tmp_path), begin("Sealing", tmp_path)
        for advance in (recipes, recipes, sealing, sealing):
            advance(1)
    assert [one.label for one in started] == ["Making recipes", "Sealing"]
    assert not any(one.on for one in started)


class Tty:
    def isatty(self):
        return True

    def write(self, text):
        return len(text)

"""What cannot be told, read or held: standard streams that fail, words that are no text, and too little memory."""

import os
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from capseal import UsageError
from support.command import Desk, names, run, shell

DONE, REJECTED, USAGE, ENVIRONMENT = 0, 1, 2, 3

NOT_UTF_8 = os.fsdecode(b"\xff")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an app in it, which can be sealed."""
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "index.html").write_text("x")
    return tmp_path


def _words(values: list[object]) -> str:
    return " ".join(map(str, values))


@pytest.mark.parametrize("unwritable", ["2> /dev/full", "2> >(exec 0<&-)", "2>&-"])
def test_an_error_that_cannot_be_told_keeps_its_exit_code(unwritable, desk: Desk, folder):
    trusting = _words(desk.trusting)
    for command, code in (
        (f"verify nix {trusting}", ENVIRONMENT),
        ("verify", USAGE),
        (f"verify {desk.path('dist.sealed')} --app x {trusting}", REJECTED),
        (f"verify {desk.path('dist.sealed')} {trusting}", DONE),
    ):
        # Time for the pipe's reader to go away.
        script = f"code=0; {{ sleep 0.2; capseal {command}; }} {unwritable} || code=$?; exit $code"
        assert shell(script, cwd=folder).code == code, command


def test_a_bundle_is_sealed_though_the_notes_on_it_cannot_be_told(desk: Desk, folder):
    (folder / "www" / ".git").mkdir()
    sealing = f"seal www -o out {_words(desk.sealing)}"
    assert ".git" in shell(f"capseal {sealing}", cwd=folder).err
    done = shell(f"capseal {sealing} -f 2> /dev/full", cwd=folder)
    assert (done.code, names(folder)) == (DONE, ["out", "www"])


def test_a_rejection_is_one_though_its_json_cannot_be_told(desk: Desk, folder):
    command = f"verify {desk.path('dist.sealed')} --app x --json {_words(desk.trusting)}"
    shell(f"capseal {command} > /dev/full", cwd=folder).failed_with(REJECTED, "expected 'x'")


def test_a_closed_standard_input_is_not_an_empty_one(desk: Desk, folder):
    for command in (f"seal - -o out {_words(desk.sealing)}", f"verify - {_words(desk.trusting)}", "inspect -"):
        shell(f"capseal {command} <&-", cwd=folder).failed_with(ENVIRONMENT, "standard input: closed")
    assert names(folder) == ["www"]


# The second would be warned of only, and match other names than with git.
@pytest.mark.parametrize("pattern", ["[z-a]", "[[:alpha:]]", "!"])
def test_a_pattern_that_cannot_be_read_is_named(pattern, desk: Desk, folder):
    run("seal", "www", "-o", "out", *desk.sealing, "--exclude", pattern, cwd=folder).failed_with(USAGE, repr(pattern))
    (folder / "www" / ".capsealignore").write_text(f"fine\n{pattern}\n")
    run("seal", "www", "-o", "out", *desk.sealing, cwd=folder).failed_with(USAGE, repr(pattern))
    assert names(folder) == ["www"]


def test_a_signer_command_with_an_unclosed_quote_is_named(desk: Desk, folder):
    public = desk.path("signer.pub.pem")
    sealing = ["seal", "www", "-o", "out", "-r", desk.path("device.pub.pem"), "--app", "a", "--version", "1"]
    for signer in (["-s", f"command:{public}:'x"], ["-s", public, "--signer-command", "'x"]):
        run(*sealing, *signer, cwd=folder).failed_with(USAGE, "no closing quotation")


def test_words_that_are_no_utf_8_are_named_where_a_text_is_needed(desk: Desk, folder):
    for words in (
        ["seal", "www", "-o", "out", *desk.sealing, "--app", NOT_UTF_8],
        ["seal", "www", "-o", "out", *desk.sealing, "--channel", NOT_UTF_8],
        ["serve", "store", *desk.trusting, "--host", NOT_UTF_8],
        ["serve", f"s3://{NOT_UTF_8}", *desk.trusting],
        ["fetch", f"http://{NOT_UTF_8}", "-o", ".", *desk.trusting],
    ):
        run(*words, cwd=folder).failed_with(USAGE, "is not UTF-8")
    assert names(folder) == ["www"]


def test_paths_may_be_no_utf_8(desk: Desk, folder):
    assert run("seal", "www", "-o", f"out{NOT_UTF_8}", *desk.sealing, cwd=folder).code == DONE
    assert names(folder) == [f"out{NOT_UTF_8}", "www"]


def test_a_time_that_utc_does_not_have_is_a_usage_error(seal_bytes):
    east, west = (timezone(timedelta(hours=hours)) for hours in (14, -12))
    for created in (datetime(1, 1, 1, tzinfo=east), datetime(9999, 12, 31, 23, tzinfo=west)):
        with pytest.raises(UsageError, match="created"):
            seal_bytes(b"x", created=created)
    assert seal_bytes(b"x", created=datetime(2026, 1, 1, tzinfo=UTC))


def test_an_app_that_no_utf_8_can_spell_is_a_usage_error(seal_bytes):
    with pytest.raises(UsageError, match=r"statement\.app"):
        seal_bytes(b"x", app="\ud800")


def test_too_little_memory_is_told_as_no_mistake_of_capseal(desk: Desk, folder, monkeypatch):
    def hungry(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("capseal.verify", hungry)
    result = run("verify", desk.path("dist.sealed"), *desk.trusting, cwd=folder)
    result.failed_with(ENVIRONMENT, "not enough memory")

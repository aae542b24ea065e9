"""An output is never one of the inputs, nor a file of the project; and an empty value is never taken for none."""

import base64
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import capseal
from capseal import capgo, delta
from support.command import run

REJECTED, USAGE, ENVIRONMENT = 1, 2, 3


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tmp_path = tmp_path_factory.mktemp("project")
    run("init", "--app", "com.example.game", "--web", "web", cwd=tmp_path).succeeded()
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "index.html").write_text("x" * 1000)
    run("seal", "web", "--version", "1", "-o", "a.sealed", cwd=tmp_path).succeeded()
    run("split", "a.sealed", "--seal", "a.seal", "--payload", "a.payload", cwd=tmp_path).succeeded()
    run("key", "generate", "signing", "-o", "extra", "--bits", "3072", cwd=tmp_path).succeeded()
    run("capgo", "keygen", cwd=tmp_path).succeeded()
    run("capgo", "encrypt", "web", "-o", "e.zip", "--record", "e.json", cwd=tmp_path).succeeded()
    return tmp_path


@pytest.fixture
def work(made: Path, tmp_path: Path) -> Path:
    """A project of one's own, with files to read under several names."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path


OVER = [
    "seal web --version 1 -f -s extra.pem -o extra.pem",
    "seal web --version 1 -f -s command:extra.pub.pem:true -o extra.pub.pem",
    "seal web --version 1 -f -r extra.pub.pem -o extra.pub.pem",
    "seal web --version 1 -f -s extra.pem -o p --seal extra.pem",
    "seal web --version 1 -f -o keys/signing.pem",
    "seal web --version 1 -f -o keys/recipient.pub.pem",
    "seal web --version 1 -f -o capseal.toml",
    "seal web --version 1 -f --custom e.json --content-type text/plain -o e.json",
    "unseal a.sealed -f -o keys/recipient.pem",
    "unseal a.payload --seal a.seal -f -o a.seal",
    "unseal a.sealed -f --trust extra.pub.pem -o extra.pub.pem",
    "cosign a.sealed -f -s extra.pem -o extra.pem",
    "split a.sealed -f --seal a.sealed --payload p",
    "split a.sealed -f --seal s --payload a.sealed",
    "join --seal a.seal --payload a.payload -f -o a.payload",
    "capgo encrypt e.zip -f -k .capgo_key_v2 -o .capgo_key_v2",
    "capgo encrypt e.zip -f -o e2.zip --record e.zip",
    "capgo decrypt e.zip -f --record e.json -o e.json",
    "capgo convert to-capgo a.sealed -f -o c.zip --record keys/trust.json",
    "capgo convert to-sealed e.zip -f --version 1 --record e.json -o e.zip",
]


@pytest.mark.parametrize("how", ["its name", "a symbolic link", "a hard link", "another way"])
def test_an_output_that_is_an_input_is_refused_and_nothing_is_lost(work: Path, how: str) -> None:
    before = {path: path.read_bytes() for path in work.rglob("*") if path.is_file()}
    for number, line in enumerate(OVER):
        words = line.split()
        at = max(at for at, word in enumerate(words) if word in ("-o", "--seal", "--payload", "--record"))
        if "split" in line or line.endswith(("e2.zip --record e.zip", "keys/trust.json")):
            at = next(at for at, word in enumerate(words) if work.joinpath(words[at + 1]).exists() and word[:1] == "-")
        target = words[at + 1]
        if how == "a symbolic link":
            os.symlink(work / target, work / f"link{number}")
            words[at + 1] = f"link{number}"
        elif how == "a hard link":
            os.link(work / target, work / f"link{number}")
            words[at + 1] = f"link{number}"
        elif how == "another way":
            words[at + 1] = f"web/../{target}"
        run(*words, cwd=work).failed_with(USAGE, "which is read, and would be lost; write to another file")
    assert {path: path.read_bytes() for path in before} == before


def test_what_is_sealed_opened_or_wrapped_anew_may_take_the_place_of_what_it_was_made_of(work: Path) -> None:
    content = (work / "web" / "index.html").read_bytes()
    (work / "one").write_bytes(content)
    seal = ("seal", "one", "--content-type", "text/plain", "--version", "1", "-o", "one")
    assert run(*seal, cwd=work).code != 0
    assert (work / "one").read_bytes() == content  # without -f nothing is lost
    run(*seal, "-f", cwd=work).succeeded()
    run("rewrap", "one", "-f", "-o", "one", cwd=work).succeeded()
    run("cosign", "one", "-f", "-s", "extra.pem", "-o", "one", cwd=work).succeeded()
    run("unseal", "one", "-f", "-o", "one", cwd=work).succeeded()
    assert (work / "one").read_bytes() == content


IN_FOLDERS = [
    "seal web --version 1 -f -o web/index.html",
    "seal web --version 1 -o web/index.html",
    "seal web --version 1 -f --exclude index.html -o web/index.html",
    "seal web --version 1 -f -o web/deep/app.payload",
    "seal web --version 1 -f -o p --seal web/deep/app.js",
    "seal here --version 1 -f -o web/index.html",
    "seal web --version 1 -f -o there",
    "capgo encrypt web -f -o web/index.html",
    "capgo encrypt web -f -o e2.zip --record web/deep/app.js",
    "delta make web empty -f -o web/index.html",
    "delta make empty web -f -o web/index.html",
    "delta apply web recipe -f -o web/deep/app.js",
]


def test_an_output_never_replaces_a_file_of_a_folder_that_is_read(work: Path) -> None:
    (work / "web" / "deep").mkdir()
    (work / "web" / "deep" / "app.js").write_text("js")
    (work / "web" / "deep" / "app.payload").write_text("a game's own")
    (work / "here").symlink_to(work / "web")
    (work / "there").symlink_to(work / "web" / "index.html")
    (work / "empty").mkdir()
    run("delta", "make", "empty", "web", "-o", "recipe", cwd=work).succeeded()
    before = {path: path.read_bytes() for path in work.rglob("*") if path.is_file()}
    for line in IN_FOLDERS:
        run(*line.split(), cwd=work).failed_with(USAGE, "which is read, and would be lost; write to another file")
    assert {path: path.read_bytes() for path in work.rglob("*") if path.is_file()} == before
    assert (work / "there").is_symlink()


def test_a_bundle_in_the_folder_that_it_is_made_of_is_made_anew(work: Path) -> None:
    for output in (["-o", "web/x.sealed"], ["-o", "web/y"], ["-o", "web/z.payload", "--seal", "web/z.seal"]):
        for _ in range(2):
            assert run("seal", "web", "--version", "1", "-f", *output, cwd=work).code == 0
    assert (work / "web" / "index.html").read_text() == "x" * 1000


def test_the_library_replaces_no_file_of_a_folder_either(work: Path, signer, recipient) -> None:
    page = work / "web" / "index.html"
    with pytest.raises(capseal.UsageError, match="would be lost"):
        capseal.seal(
            work / "web", page, signer=signer, recipients=[recipient.public_key], app="a", version="1", overwrite=True
        )
    with pytest.raises(capseal.UsageError, match="would be lost"):
        capgo.encrypt(work / "web", page, key=capgo.PrivateKey.generate(), overwrite=True)
    with pytest.raises(capseal.UsageError, match="would be lost"):
        delta.make_recipe(work / "web", work / "a.sealed", page, overwrite=True)
    assert page.read_text() == "x" * 1000


def test_a_name_for_people_that_is_also_a_files_is_no_input(work: Path) -> None:
    (work / "production").write_text("old")
    run("seal", "web", "--version", "1", "--channel", "production", "-f", "-o", "production", cwd=work).succeeded()


def test_a_default_output_is_looked_at_too(work: Path) -> None:
    os.link(work / "extra.pem", work / "web.sealed")
    refused = run("seal", "web", "--version", "1", "-f", "-s", "extra.pem", cwd=work)
    refused.failed_with(USAGE, "web.sealed: is also extra.pem, which is read")


def test_two_outputs_are_not_one(work: Path) -> None:
    done = run("capgo", "convert", "to-capgo", "a.sealed", "-o", "x", "--record", "./x", cwd=work)
    done.failed_with(USAGE, "two outputs cannot be the same file")
    assert not (work / "x").exists()


EMPTY = [
    ("seal", "web", "--version", "1", "--channel", ""),
    ("seal", "web", "--version", "1", "--app", ""),
    ("seal", "web", "--version", ""),
    ("seal", "web", "--version", "1", "-s", ""),
    ("seal", "web", "--version", "1", "-o", ""),
    ("seal", "", "--version", "1"),
    ("verify", "a.sealed", "--app", ""),
    ("verify", "a.sealed", "--trust="),
    ("device", "--root", "d", "--builtin", "web", "--channel", "", "status"),
    ("release", "--version", "1", "--server", ""),
    ("release", "--version", "1", "-o", ""),
    ("fetch", "http://127.0.0.1:9", "-o", ".", "--channel", ""),
]


@pytest.mark.parametrize("words", EMPTY, ids=" ".join)
def test_an_empty_value_is_not_taken_for_the_default(work: Path, words: tuple[str, ...]) -> None:
    before = sorted(os.listdir(work))
    run(*words, cwd=work).failed_with(USAGE, "it is empty")
    assert sorted(os.listdir(work)) == before


@pytest.mark.parametrize("name", ["CAPSEAL_SERVER", "CAPSEAL_SIGNER", "CAPSEAL_TOKEN_FILE", "CAPSEAL_PASSPHRASE_FILE"])
@pytest.mark.parametrize("value", ["", " "])
def test_a_variable_that_is_set_but_empty_is_told(work: Path, name: str, value: str, monkeypatch) -> None:
    monkeypatch.setenv(name, value)
    refused = run("release", "--version", "1", cwd=work)
    refused.failed_with(USAGE, f"{name} is set, but empty: unset it, or set it to what option")


KEY = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n"


@pytest.mark.parametrize("name", ["CAPSEAL_SIGNER", "CAPSEAL_ARCHIVE", "CAPSEAL_TOKEN_FILE", "CAPSEAL_PASSPHRASE_FILE"])
@pytest.mark.parametrize("secret", [KEY, KEY.replace("\n", "\\n"), base64.b64encode(KEY.encode()).decode()])
def test_a_key_in_place_of_its_file_s_name_is_refused_and_not_shown(work: Path, name: str, secret: str, monkeypatch):
    monkeypatch.setenv(name, secret)
    refused = run("release", "--version", "1", cwd=work)
    refused.failed_with(USAGE, f"invalid value for {name}: it is a key itself, which is not shown here")
    monkeypatch.delenv(name)
    given = run("release", "--version", "1", "--signer", secret, cwd=work)
    given.failed_with(USAGE, "invalid value for option '--signer': it is a key itself")
    for result in (refused, given):
        assert "PRIVATE" not in result.err
        assert secret[20:40] not in result.err


def test_a_passphrase_in_place_of_its_file_s_name_is_not_shown(work: Path, monkeypatch) -> None:
    monkeypatch.setenv("CAPSEAL_PASSPHRASE_FILE", "hunter2")
    refused = run("key", "generate", "signing", "-o", "another", "--passphrase", cwd=work)
    refused.failed_with(ENVIRONMENT, "passphrase from CAPSEAL_PASSPHRASE_FILE, which is to name a file and is")
    assert "hunter2" not in refused.err


def test_a_seal_that_is_published_alone_is_told(work: Path) -> None:
    refused = run("publish", "a.seal", "http://127.0.0.1:9", cwd=work)
    refused.failed_with(REJECTED, "this is the seal alone: publish the payload beside it")


def test_where_there_is_no_project_release_and_log_say_so(tmp_path: Path) -> None:
    for words in (("release", "--version", "1"), ("log", "verify")):
        run(*words, cwd=tmp_path).failed_with(USAGE, "there is none here or above, and 'capseal init' makes it")


@pytest.mark.parametrize("name", ["app", "channel", "trust", "server"])
def test_an_empty_value_in_the_configuration_is_told(work: Path, name: str) -> None:
    lines = (work / "capseal.toml").read_text().splitlines()
    kept = [line for line in lines if not line.startswith(f"{name} =")]
    (work / "capseal.toml").write_text("\n".join([*kept, f'{name} = ""', ""]))
    run("seal", "web", "--version", "1", cwd=work).failed_with(USAGE, f"{name}: expected a string that is not empty")


@pytest.mark.parametrize("path", ["-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0", "/proc/thread-self/fd/0"])
def test_a_closed_standard_input_is_not_an_empty_bundle_by_any_name(work: Path, path: str) -> None:
    script = 'exec "$0" -m capseal seal "$1" --version 1 -o out <&-'
    done = subprocess.run(["sh", "-c", script, sys.executable, path], cwd=work, capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (3, 1)
    assert "standard input: closed" in done.stderr
    assert not (work / "out").exists()


def test_a_seal_in_the_place_of_its_payload_is_told_as_that(work: Path) -> None:
    refused = run("verify", "a.seal", cwd=work)
    refused.failed_with(REJECTED, "payload ends early")
    refused.failed_with(REJECTED, "a seal by itself has no payload; verify a.payload, beside which it is found")


def test_a_payload_finds_its_seal_beside_it(work: Path) -> None:
    run("verify", "a.payload", cwd=work).succeeded()
    assert run("inspect", "a.payload", cwd=work).succeeded().out == run("inspect", "a.seal", cwd=work).out
    run("unseal", "a.payload", "-o", "plain.zip", cwd=work).succeeded()
    device = ("device", "--root", "d", "--builtin", "web")
    run(*device, "install", "a.payload", cwd=work).succeeded()
    os.rename(work / "a.seal", work / "b.seal")
    for words in (("verify", "a.payload"), ("unseal", "a.payload", "-o", "x"), (*device, "install", "a.payload")):
        refused = run(*words, cwd=work)
        refused.failed_with(USAGE, "a.payload: a payload, and a.seal is not there; name its seal with --seal FILE")
    run("verify", "a.payload", "--seal", "b.seal", cwd=work).succeeded()
    os.rename(work / "a.sealed", work / "c.payload")
    run("verify", "c.payload", cwd=work).succeeded()  # an attached bundle, whatever it is called


def test_a_release_from_a_folder_below_lies_beside_the_configuration(work: Path) -> None:
    below = work / "src" / "app"
    below.mkdir(parents=True)
    done = run("release", "--version", "1", "--no-publish", cwd=below)
    assert done.code == 0, done.err
    assert sorted(path.suffix for path in (work / "releases").iterdir()) == [".payload", ".recipe-fresh", ".seal"]
    assert list(below.iterdir()) == []


def test_one_is_not_many(work: Path) -> None:
    run("release", "--version", "1", "--no-publish", cwd=work)
    assert b"verified: 1 entry, head" in run("log", "verify", cwd=work).succeeded().out
    run("release", "--version", "2", "--no-publish", cwd=work)
    assert b"verified: 2 entries, head" in run("log", "verify", cwd=work).succeeded().out


def test_every_command_that_needs_a_passphrase_takes_it_from_the_variable(work: Path, monkeypatch) -> None:
    (work / "word").write_text("correct horse\n")
    (work / "wrong").write_text("battery\n")
    for name in ("signing", "recipient"):
        kind = name
        run("key", "generate", kind, "-o", f"my-{name}", "--passphrase-file", "word", cwd=work).succeeded()
    monkeypatch.setenv("CAPSEAL_PASSPHRASE_FILE", str(work / "word"))
    signing = ("-s", "my-signing.pem")
    run("seal", "web", "--version", "1", *signing, "-r", "my-recipient.pub.pem", "-o", "m", cwd=work).succeeded()
    trusting = ("--trust", "my-signing.pub.pem")
    run("unseal", "m", "-i", "my-recipient.pem", *trusting, "-o", "m.zip", cwd=work).succeeded()
    run("key", "show", "my-signing.pem", cwd=work).succeeded()
    run("cosign", "a.sealed", *signing, "-o", "cosigned", cwd=work).succeeded()
    run("trust", "add", "my-signing.pub.pem", "--in-place", cwd=work).succeeded()
    assert run("release", "--version", "1", "--no-publish", *signing, cwd=work).code == 0
    # What is said on the command line goes first.
    refused = run("key", "show", "my-signing.pem", "--passphrase-file", "wrong", cwd=work)
    refused.failed_with(USAGE, "my-signing.pem")
    with open(work / "word", "rb") as word:
        fd = os.dup(word.fileno())
        run("key", "show", "my-signing.pem", "--passphrase-fd", fd, cwd=work).succeeded()
    # A key that is made has a passphrase if that is asked for.
    run("key", "generate", "signing", "-o", "open", cwd=work).succeeded()
    assert b"ENCRYPTED" not in (work / "open.pem").read_bytes()
    run("key", "generate", "signing", "-o", "locked", "--passphrase", cwd=work).succeeded()
    assert b"ENCRYPTED" in (work / "locked.pem").read_bytes()


def test_the_longest_names_can_be_sealed_and_released(work: Path) -> None:
    names = ("--app", "a" * 128, "--channel", "c" * 128)
    for version in (1, 2):
        assert run("release", "--version", version, "--no-publish", *names, cwd=work).code == 0
    kinds = sorted(path.suffix for path in (work / "releases").iterdir())
    assert kinds == [".payload", ".payload", ".recipe-fresh", ".recipe-fresh", ".seal", ".seal"]

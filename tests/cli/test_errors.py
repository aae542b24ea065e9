"""Every mistake gets one clear line and its exit code, and leaves no file behind."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from capseal import Role, TrustedKey, TrustStore
from support.command import CAPSEAL, Desk, files_limited_to, names, permissions_obeyed, run, shell, spawn

REJECTED, USAGE, ENVIRONMENT = 1, 2, 3

# Command line ("@x" is the file x on the desk), exit code, and what the line says.
MISTAKES = {
    "missing source": ("seal nix.zip SEALING", ENVIRONMENT, "nix.zip: no such file or directory"),
    "missing bundle": ("verify nix TRUSTING", ENVIRONMENT, "nix: no such file or directory"),
    "missing seal": ("verify @dist.zip --seal nix TRUSTING", ENVIRONMENT, "nix: no such file or directory"),
    "missing folder of the output": ("seal @dist.zip -o a/b SEALING", ENVIRONMENT, "a/b: no such file or directory"),
    "missing signer": ("seal @dist.zip -o b -s nix -r @device.pub.pem --app a --version 1", 3, "nix: no such"),
    "missing trust": ("verify @dist.sealed --trust nix", ENVIRONMENT, "nix: no such file or directory"),
    "no signer": ("seal @dist.zip -o b -r @device.pub.pem --app a --version 1", USAGE, "no signer: give -s FILE"),
    "no recipient": ("seal @dist.zip -o b -s @signer.pem --app a --version 1", USAGE, "no recipient: give -r FILE"),
    "no app": ("seal @dist.zip -o b -s @signer.pem -r @device.pub.pem --version 1", USAGE, "no app: give --app ID"),
    "no version": ("seal @dist.zip -o b -s @signer.pem -r @device.pub.pem --app a", USAGE, "'--version'"),
    "no trust": ("verify @dist.sealed", USAGE, "nobody is trusted: give --trust FILE"),
    "no identity": ("unseal @dist.sealed -o b TRUSTING", USAGE, "no identity: give -i FILE"),
    "no output from a pipe": ("seal - SEALING", USAGE, "give -o FILE"),
    "unknown command": ("frobnicate", USAGE, "no such command 'frobnicate'"),
    "unknown flag": ("verify --frobnicate", USAGE, "no such option"),
    "not a number": ("verify @dist.sealed --min-sequence x TRUSTING", USAGE, "--min-sequence"),
    "unknown role": ("verify @dist.sealed --role boss TRUSTING", USAGE, "--role"),
    "output is a folder": ("seal @dist.zip -o folder SEALING", USAGE, "folder: is a directory"),
    "output exists": ("seal @dist.zip -o taken SEALING", USAGE, "taken: exists already; -f replaces it"),
    "unsealed exists": ("unseal @dist.sealed -o taken OPENING", USAGE, "taken: exists already"),
    "payload exists": ("seal @dist.zip --seal s -o taken SEALING", USAGE, "taken: exists already"),
    "seal exists": ("seal @dist.zip --seal taken -o p SEALING", USAGE, "taken: exists already"),
    "seal is payload": ("seal @dist.zip --seal p -o ./p SEALING", USAGE, "cannot be the same file"),
    "detached to a pipe": ("seal @dist.zip --seal s -o - SEALING", USAGE, "both outputs must be files"),
    "bundle is a folder": ("verify folder TRUSTING", USAGE, "folder: is a directory"),
    "link in a folder": ("seal linked -o b SEALING", USAGE, "links are not followed: put what it"),
    "bad app id": ("seal @dist.zip -o b -s @signer.pem -r @device.pub.pem --app ? --version 1", USAGE, "not a name"),
    "same signer twice": ("seal @dist.zip -o b SEALING -s @signer.pem", USAGE, "2 signers of 1 keys"),
    "custom is no object": ("seal @dist.zip -o b SEALING --custom list.json", USAGE, "expected a JSON object"),
    "custom is no JSON": ("seal @dist.zip -o b SEALING --custom taken", USAGE, "taken at character 0"),
    "custom is missing": ("seal @dist.zip -o b SEALING --custom nix", ENVIRONMENT, "nix: no such file"),
    "downgrade above": ("seal @dist.zip -o b SEALING --sequence 3 --allow-downgrade-to 3", USAGE, "not below"),
    "public key as signer": ("seal @dist.zip -o b SEALING -s @device.pub.pem", USAGE, "it is a public key"),
    "private key as recipient": ("seal @dist.zip -o b SEALING -r @device.pem", USAGE, "this is a private key"),
    "not a key": ("unseal @dist.sealed -o b TRUSTING -i @dist.zip", USAGE, "dist.zip: "),
    "not a trust store": ("verify @dist.sealed --trust list.json", USAGE, "not a PEM public key"),
    "no terminal": ("unseal @dist.sealed -o b TRUSTING -i @locked.pem", USAGE, "no terminal to ask on"),
    "wrong passphrase": (
        "unseal @dist.sealed -o b TRUSTING -i @locked.pem --passphrase-file taken", USAGE, "locked.pem: cannot load",
    ),
    "empty passphrase": (
        "unseal @dist.sealed -o b TRUSTING -i @locked.pem --passphrase-file empty", USAGE, "1 to 4096 bytes",
    ),
    "missing passphrase file": (
        "unseal @dist.sealed -o b TRUSTING -i @locked.pem --passphrase-file nix", ENVIRONMENT, "from nix: no such file",
    ),
    "closed passphrase descriptor": (
        "unseal @dist.sealed -o b TRUSTING -i @locked.pem --passphrase-fd 77", USAGE, "bad file descriptor",
    ),
    "two passphrases": (
        "unseal @dist.sealed -o b OPENING --passphrase-file taken --passphrase-fd 0", USAGE, "exclude one another",
    ),
    "not a bundle": ("verify @dist.zip TRUSTING", REJECTED, "byte 0: not a sealed bundle"),
    "not a bundle to unseal": ("unseal @dist.zip -o b OPENING", REJECTED, "byte 0: not a sealed bundle"),
    "not a bundle to inspect": ("inspect @dist.zip", REJECTED, "byte 0: not a sealed bundle"),
    "not a bundle to split": ("split @dist.zip --seal s --payload p", REJECTED, "byte 0: not a sealed bundle"),
    "no bundle by its name": ("verify @dist.zip TRUSTING", REJECTED, "dist.zip: byte 0: not a sealed bundle"),
    "empty bundle": ("verify empty TRUSTING", REJECTED, "seal ends early: 0 bytes"),
    "empty bundle by its name": ("inspect empty", REJECTED, "empty: seal ends early: 0 bytes, at least 12"),
    "short, no bundle": ("verify list.json TRUSTING", REJECTED, "list.json: not a sealed bundle, it has 2 bytes"),
    "short to inspect": ("inspect list.json", REJECTED, "list.json: not a sealed bundle, it has 2 bytes and starts"),
    "short to unseal": ("unseal list.json -o b OPENING", REJECTED, "list.json: not a sealed bundle, it has 2 bytes"),
    "short to split": ("split list.json --seal s --payload p", REJECTED, "list.json: not a sealed bundle, it has 2"),
    "short to rewrap": (
        "rewrap list.json -o b OPENING -s @signer.pem -r @other.pub.pem", REJECTED, "list.json: not a sealed bundle",
    ),
    "short to publish": ("publish list.json http://127.0.0.1:9", REJECTED, "list.json: not a sealed bundle"),
    "short to cosign": ("cosign list.json -o b TRUSTING -s @signer2.pem", REJECTED, "list.json: not a sealed bundle"),
    "two stores to show": ("trust show list.json --trust taken", USAGE, "list.json and --trust taken: only one"),
    "no store to export": ("store export nix pub", ENVIRONMENT, "nix: no such folder"),
    "no store to prune": ("store prune nix --keep 1", ENVIRONMENT, "nix: no such folder"),
    "wrong identity": ("unseal @dist.sealed -o b TRUSTING -i @other.pem", REJECTED, "no identity fits"),
    "wrong trust": ("verify @dist.sealed --trust @signer2.pub.pem", REJECTED, "which no trusted key matches"),
    "wrong app": ("verify @dist.sealed TRUSTING --app a", REJECTED, "'com.example.game', expected 'a'"),
    "wrong channel": ("unseal @dist.sealed -o b OPENING --channel beta", REJECTED, "'production', expected 'beta'"),
    "old sequence": ("verify @dist.sealed TRUSTING --min-sequence 8", REJECTED, "sequence 7 is not above 7"),
    "truncated": ("verify truncated TRUSTING", REJECTED, "payload ends early"),
    "appended": ("unseal appended -o b OPENING", REJECTED, "goes on after its end"),
    "altered": ("unseal altered -o b OPENING", REJECTED, "segment 1 at byte 524288: digest"),
    "altered, rewrapped": ("rewrap altered -o b OPENING -s @signer.pem -r @other.pub.pem", REJECTED, "segment 1 "),
    "altered, cosigned": ("cosign altered -o b TRUSTING -s @signer2.pem", REJECTED, "segment 1 "),
    "cosigned twice": ("cosign @dist.sealed -o b TRUSTING -s @signer.pem", USAGE, "has signed this bundle already"),
    "two cosigners": ("cosign @dist.sealed -o b TRUSTING -s @signer.pem -s @other.pem", USAGE, "one at a time"),
    "joined to another": ("join --seal @dist.zip --payload @dist.zip -o b", REJECTED, "not a sealed bundle"),
}  # fmt: skip


@pytest.fixture(scope="module")
def bench(desk: Desk, tmp_path_factory) -> Path:
    """A folder full of things to make mistakes with."""
    folder = tmp_path_factory.mktemp("mistakes")
    (folder / "folder").mkdir()
    (folder / "linked").mkdir()
    (folder / "linked" / "link").symlink_to("/etc/passwd")
    (folder / "taken").write_text("mine")
    (folder / "empty").touch()
    (folder / "list.json").write_text("[]")
    sealed = desk.path("dist.sealed").read_bytes()
    (folder / "truncated").write_bytes(sealed[:-1])
    (folder / "appended").write_bytes(sealed + b"x")
    altered = bytearray(sealed)
    altered[-100] ^= 1
    (folder / "altered").write_bytes(altered)
    return folder


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_gets_one_line_and_its_exit_code_and_leaves_nothing(mistake, bench: Path, desk: Desk):
    line, code, fragment = MISTAKES[mistake]
    options = {"SEALING": desk.sealing, "TRUSTING": desk.trusting, "OPENING": desk.opening}
    arguments: list[object] = []
    for word in line.split():
        arguments += options.get(word, [desk.path(word[1:]) if word.startswith("@") else word])
    before = names(bench)
    start = spawn if mistake == "no terminal" else run
    start(*arguments, cwd=bench).failed_with(code, fragment)
    assert names(bench) == before
    assert (bench / "taken").read_text() == "mine"


MISSING = (
    "seal @dist.zip -o b SEALING -s nix",
    "seal @dist.zip -o b SEALING -r nix",
    "seal nix -o b SEALING",
    "verify nix TRUSTING",
    "verify @dist.sealed --trust nix",
    "verify @dist.sealed TRUSTING --seal nix",
    "unseal @dist.sealed -o b TRUSTING -i nix",
    "rewrap @dist.sealed -o b OPENING -r nix -s @signer.pem",
    "cosign @dist.sealed -o b TRUSTING -s nix",
    "split nix --seal s --payload p",
    "join --seal nix --payload nix -o b",
    "inspect nix",
    "key show nix",
    "key import nix --key @signer.pem",
    "trust show nix",
    "trust add nix --trust @signer.pub.pem",
    "trust remove 12345678 --trust nix",
    "trust cosign nix -s @signer.pem",
    "trust apply nix --trust nix",
    "trust publish nix --server http://127.0.0.1:9 --app a",
    "log verify nix --trust @signer.pub.pem",
    "log verify taken --trust nix",
    "head show nix",
    "head cosign nix -s @signer.pem",
    "head recall nix -o b --app a --trust @signer.pub.pem --release-signer @signer.pem",
    "delta make nix @dist.zip -o b",
    "delta make folder nix -o b",
    "delta apply folder nix -o b",
    "delta show nix",
    "publish nix http://127.0.0.1:9",
    "publish @dist.sealed http://127.0.0.1:9 --token-file nix",
    "fetch http://127.0.0.1:9 -o b --app a --trust nix",
    "fleet seal nix b SEALING",
    "fleet verify nix TRUSTING",
    "fleet unseal @dist.sealed b TRUSTING -i nix",
    "fleet scrub folder --trust nix",
    "capgo encrypt @dist.zip -o b -k nix",
    "capgo verify nix -k nix --record nix",
    "capgo decrypt @dist.zip -k nix --session-key a --checksum b -o b",
    "capgo manifest folder -o b -k nix --base-url http://a.test",
    "capgo import @dist.zip --version 1 --made nix",
    "capgo import taken --version 1 --session-key a --checksum b -k nix --app a",
    "capgo statistics http://127.0.0.1:9 --token-file nix",
    "capgo convert to-capgo @dist.sealed -o b OPENING -k nix",
    "serve store --trust nix",
    "serve store --trust @signer.pub.pem --token-file nix",
    "dev folder --app a -s nix -r @device.pub.pem --trust @signer.pub.pem",
    "init --app a --signing-key nix",
    "device --root r --builtin folder --app a --trust nix install @dist.sealed -i @device.pem",
    "device --root r --builtin folder --app a --trust @signer.pub.pem install @dist.sealed -i nix",
    "device --root r --builtin folder --app a --trust @signer.pub.pem install nix -i @device.pem",
    "device --root r --builtin nix --app a --trust @signer.pub.pem status",
    "store export nix b",
    "store prune nix --keep 1",
    "demo nix",
)
"""Command lines that name a file which is not there, for whatever a command reads files for: nix."""


@pytest.mark.parametrize("line", MISSING)
def test_a_file_that_is_not_there_is_the_environments_fault_whatever_it_is_for(
    line: str, bench: Path, desk: Desk, tmp_path: Path
) -> None:
    pytest.importorskip("distributed")
    options = {"SEALING": desk.sealing, "TRUSTING": desk.trusting, "OPENING": desk.opening}
    arguments: list[object] = []
    for word in line.split():
        arguments += options.get(word, [desk.path(word[1:]) if word.startswith("@") else word])
    for name in ("folder", "taken"):
        (tmp_path / name).symlink_to(bench / name)
    run(*arguments, cwd=tmp_path).failed_with(ENVIRONMENT, "nix")


def test_a_rejection_is_json_too_where_json_was_asked_for(bench: Path, desk: Desk):
    result = run("verify", "altered", "--json", *desk.trusting, cwd=bench)
    result.failed_with(REJECTED, "segment 1 ")
    verdict = json.loads(result.out)
    assert (verdict["verified"], verdict["error"]) == (False, "TamperedError")
    assert (verdict["segment"], verdict["offset"]) == (1, 524288)


def test_what_only_a_development_key_signed_is_rejected_unless_the_role_says_so(desk: Desk, signer, tmp_path):
    other = TrustedKey(TrustStore.of(signer.public_key).keys[0].key, Role.DEVELOPMENT)
    TrustStore((other,)).save(tmp_path / "trust.json")
    verify = ["verify", desk.path("dist.sealed"), "--trust", "trust.json"]
    run(*verify, cwd=tmp_path).failed_with(REJECTED, "development key only")
    assert run(*verify, "--role", "development", cwd=tmp_path).code == 0


def test_an_output_that_exists_is_kept_unless_force_is_given(desk: Desk, tmp_path):
    (tmp_path / "out").write_text("mine")
    result = run("unseal", desk.path("dist.sealed"), "-o", "out", *desk.opening, cwd=tmp_path)
    result.failed_with(USAGE, "out: exists already; -f replaces it")
    assert (tmp_path / "out").read_text() == "mine"


def test_force_replaces_an_existing_output(desk: Desk, tmp_path):
    (tmp_path / "out").write_text("mine")
    assert run("unseal", desk.path("dist.sealed"), "-o", "out", "-f", *desk.opening, cwd=tmp_path).code == 0
    assert (tmp_path / "out").read_bytes() == desk.path("dist.zip").read_bytes()


def test_files_and_folders_without_permission_are_named(desk: Desk, tmp_path):
    (tmp_path / "secret.zip").touch(mode=0o000)
    (tmp_path / "closed").mkdir(mode=0o000)
    (tmp_path / "readonly").mkdir(mode=0o555)
    (tmp_path / "key.pem").touch(mode=0o000)
    seal = ["-o", "b", *desk.sealing]
    cases: list[tuple[list[object], int, str]] = [
        (["seal", "secret.zip", *seal], ENVIRONMENT, "secret.zip: permission denied"),
        (["seal", "closed", *seal], ENVIRONMENT, "closed: permission denied"),
        (["seal", desk.path("dist.zip"), *desk.sealing, "-o", "readonly/b"], ENVIRONMENT, "readonly/b: permission"),
        (["seal", desk.path("dist.zip"), *seal, "-s", "key.pem"], ENVIRONMENT, "key.pem: permission denied"),
        (["key", "generate", "recipient", "-o", "readonly/k"], ENVIRONMENT, "readonly/k.pem: permission denied"),
    ]
    before = names(tmp_path)
    for arguments, code, fragment in cases:
        with permissions_obeyed():
            result = run(*arguments, cwd=tmp_path)
        result.failed_with(code, fragment)
    assert names(tmp_path) == before
    assert names(tmp_path / "readonly") == []


def test_an_output_that_cannot_grow_is_named_and_removed(desk: Desk, tmp_path):
    for command in (
        ["seal", desk.path("dist.zip"), *desk.sealing],
        ["unseal", desk.path("dist.sealed"), *desk.opening],
    ):
        with files_limited_to(300_000):
            result = run(*command, "-o", "out", cwd=tmp_path)
        result.failed_with(ENVIRONMENT, "out: file too large")
        assert names(tmp_path) == []


def test_a_full_disk_is_told_and_leaves_nothing_on_it(desk: Desk, tmp_path):
    mount = ["unshare", "--mount", "--map-root-user"]
    script = """
        mkdir disk && mount -t tmpfs -o size=512k tmpfs disk && cd disk || exit 99
        "$@"; code=$?
        ls -A; exit $code
    """
    command = [*CAPSEAL, "seal", desk.path("dist.zip"), *desk.sealing, "-o", "out"]
    done = subprocess.run(
        [*mount, "sh", "-c", script, "sh", *map(str, command)], cwd=tmp_path, capture_output=True, text=True
    )
    if done.returncode == 99 or "unshare" in done.stderr:
        pytest.skip(f"no disk of our own can be mounted here: {done.stderr.strip()}")
    assert (done.returncode, done.stdout, done.stderr) == (
        ENVIRONMENT,
        "",
        "capseal: out: no space left on device, while sealing\n",
    )


@pytest.mark.parametrize("command", ["inspect @dist.sealed", "verify @dist.sealed TRUSTING", "doctor", "--version"])
def test_an_output_that_takes_nothing_is_told(command, desk: Desk, tmp_path):
    words: list[object] = []
    for word in command.split():
        words += desk.trusting if word == "TRUSTING" else [desk.path(word[1:]) if word.startswith("@") else word]
    with open("/dev/full", "wb") as full:
        run(*words, cwd=tmp_path, stdout=full.fileno()).failed_with(
            ENVIRONMENT, "standard output: no space left on device"
        )


def test_a_closed_standard_output_is_told_and_no_file_takes_its_place(desk: Desk, tmp_path):
    unseal = f"unseal {desk.path('dist.sealed')} -o out {' '.join(map(str, desk.opening))}"
    for command in ("--version", "--help", unseal, unseal.replace("-o out", "-o -")):
        shell(f"capseal {command} >&-", cwd=tmp_path).failed_with(ENVIRONMENT, "bad file descriptor")
    assert (tmp_path / "out").read_bytes() == desk.path("dist.zip").read_bytes()


def test_closed_standard_streams_do_not_matter_where_they_are_not_used(desk: Desk, tmp_path):
    verify = f"capseal verify {desk.path('dist.sealed')} {' '.join(map(str, desk.trusting))}"
    assert shell(f"{verify} <&- 2>&-", cwd=tmp_path).code == 0
    assert shell(f"{verify} --app x <&- >&- 2>&-", cwd=tmp_path).code == REJECTED
    assert shell("capseal nix 2>&-", cwd=tmp_path).code == USAGE


def test_a_reader_that_goes_away_is_told(desk: Desk, tmp_path):
    read, write = os.pipe()
    os.close(read)
    command = ["unseal", desk.path("dist.sealed"), "-o", "-", *desk.opening]
    try:
        run(*command, cwd=tmp_path, stdout=write).failed_with(ENVIRONMENT, "broken pipe")
    finally:
        os.close(write)


def test_names_that_could_steer_a_terminal_are_escaped_in_messages(tmp_path):
    result = run("verify", "\x1b[2J\n\u202egpj", "--trust", "x", cwd=tmp_path)
    result.failed_with(ENVIRONMENT, "x: no such file")
    result = run("inspect", "\x1b[2J\n\u202egpj", cwd=tmp_path)
    result.failed_with(ENVIRONMENT, "\\x1b[2J\\n\\u202egpj: no such file or directory")


def test_names_that_are_not_utf_8_are_told_all_the_same(tmp_path):
    run("inspect", os.fsdecode(b"\xff"), cwd=tmp_path).failed_with(ENVIRONMENT, "\\udcff: no such file")


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("seal {f} -o - {sealing} > /dev/full", "standard output: no space left on device, while sealing"),
        ("seal {f} -o /dev/stdout {sealing} > /dev/full", "standard output: no space left on device, while sealing"),
        ("seal {f} -o /dev/full -f {sealing}", "/dev/full: no space left on device, while sealing"),
        ("verify {sealed} {trusting} > /dev/full", "standard output: no space left on device, in 'capseal verify'"),
    ],
)
def test_what_has_no_space_is_named(command, told, desk: Desk, tmp_path):
    values = {"f": desk.path("dist.zip"), "sealed": desk.path("dist.sealed")}
    values |= {name: " ".join(map(str, getattr(desk, name))) for name in ("sealing", "trusting")}
    done = shell(f"capseal {command.format(**values)}", cwd=tmp_path)
    assert (done.code, done.err) == (ENVIRONMENT, f"capseal: {told}\n")


def test_a_spool_that_has_no_space_is_named(desk: Desk, tmp_path):
    (tmp_path / "large").write_bytes(os.urandom(900_000))
    with files_limited_to(500_000):
        command = f"capseal seal - -o - {' '.join(map(str, desk.sealing))} < large | cat > out"
        done = shell(f"export TMPDIR={tmp_path}; {command}", cwd=tmp_path)
    told = f"capseal: temporary file in {tmp_path}: file too large, while sealing\n"
    assert (done.code, done.err) == (ENVIRONMENT, told)


def test_standard_output_has_other_names(desk: Desk, tmp_path):
    values = " ".join(map(str, desk.opening))
    for name in ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"):
        done = shell(f"capseal unseal {desk.path('dist.sealed')} -o {name} {values} > out", cwd=tmp_path)
        assert (done.code, done.out, done.err) == (0, b"", "")
        assert (tmp_path / "out").read_bytes() == desk.path("dist.zip").read_bytes()
        assert names(tmp_path) == ["out"]

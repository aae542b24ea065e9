"""The command line does what it says, with and without a configuration file."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import capseal
from support.command import PASSPHRASE, Desk, names, run, shell
from support.places import ROOT
from support.zips import zip_of

# Word for word what the documentation promises; no configuration file.
PROMISED = """\
capseal key generate signing   -o signer        # signer.pem (0600) and signer.pub.pem
capseal key generate recipient -o device        # device.pem (0600) and device.pub.pem
capseal seal dist.zip -o dist.sealed -s signer.pem -r device.pub.pem --app com.example.game --version 1.2.3
capseal verify  dist.sealed --trust signer.pub.pem --json
capseal inspect dist.sealed --json
capseal unseal  dist.sealed -o out.zip -i device.pem --trust signer.pub.pem
capseal split   dist.sealed --seal dist.seal --payload dist.payload
capseal verify  dist.payload --seal dist.seal --trust signer.pub.pem
"""
README = ROOT / "README.md"


def json_values(text: bytes) -> list[dict[str, object]]:
    decoder, values, rest = json.JSONDecoder(), [], text.decode("ascii")
    while "{" in rest:
        value, end = decoder.raw_decode(rest[rest.index("{") :])
        values.append(value)
        rest = rest[rest.index("{") + end :]
    return values


@pytest.fixture(scope="module")
def promised(tmp_path_factory) -> tuple[Path, bytes]:
    """The folder after the promised lines, and what they printed."""
    folder = tmp_path_factory.mktemp("promised")
    (folder / "dist.zip").write_bytes(zip_of(("a", os.urandom(1_500_000))))
    done = shell(PROMISED, cwd=folder)
    assert (done.code, done.err) == (0, "")
    return folder, done.out


def test_the_promised_lines_work_word_for_word(promised):
    folder, _ = promised
    assert (folder / "out.zip").read_bytes() == (folder / "dist.zip").read_bytes()
    parts = (folder / "dist.seal").read_bytes() + (folder / "dist.payload").read_bytes()
    assert parts == (folder / "dist.sealed").read_bytes()


def test_the_readme_promises_the_same_lines():
    readme = README.read_text()
    assert [line for line in PROMISED.splitlines() if line not in readme] == []


def test_private_keys_are_for_their_owner_only_and_public_halves_for_everybody(promised):
    folder, _ = promised
    for name in ("signer", "device"):
        assert (folder / f"{name}.pem").stat().st_mode & 0o777 == 0o600
        assert (folder / f"{name}.pub.pem").stat().st_mode & 0o444
    assert capseal.load_private_key(folder / "signer.pem").rsa.key_size == 4096
    assert capseal.load_private_key(folder / "device.pem").rsa.key_size == 3072


def test_json_tells_verified_from_unverified(promised):
    folder, out = promised
    verdict, claims = json_values(out)[:2]
    signer = capseal.load_public_key(folder / "signer.pub.pem").fingerprint
    assert list(claims) == ["statement", "signatures", "verified"]
    assert claims["verified"] is False
    assert claims["signatures"][0]["keyid"] == signer
    assert verdict["verified"] is True
    assert verdict["statement"] == claims["statement"]
    assert verdict["statement"]["app"] == "com.example.game"
    assert verdict["statement"]["version"] == "1.2.3"
    assert verdict["signers"] == [{"keyid": signer, "role": "production"}]
    assert verdict["unchecked_signatures"] == []


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A folder after `capseal init`, with a bundle and a folder to seal."""
    folder = tmp_path_factory.mktemp("project")
    run("init", "--app", "com.example.game", cwd=folder).succeeded()
    (folder / "dist.zip").write_bytes(zip_of(("a", os.urandom(100_000))))
    (folder / "www" / "assets").mkdir(parents=True)
    (folder / "www" / "index.html").write_text("<h1>hello</h1>")
    (folder / "www" / "assets" / "a.bin").write_bytes(os.urandom(5_000) + bytes(295_000))
    return folder


def test_after_init_seal_verify_and_unseal_need_nothing_else(project):
    run("seal", "dist.zip", "--version", "1.2.3", cwd=project).succeeded()
    verdict = run("verify", "dist.sealed", cwd=project).succeeded()
    assert b"com.example.game 1.2.3" in verdict.out
    run("unseal", "dist.sealed", "-o", "out.zip", cwd=project).succeeded()
    assert (project / "out.zip").read_bytes() == (project / "dist.zip").read_bytes()
    assert (project / "keys" / "signing.pem").stat().st_mode & 0o777 == 0o600
    assert (project / "keys" / "recipient.pem").stat().st_mode & 0o777 == 0o600


def test_the_configuration_of_a_parent_folder_is_found_and_its_paths_still_fit(project):
    below = project / "www" / "assets"
    run("seal", ".", "--version", 2, "-o", "../../assets.sealed", cwd=below).succeeded()
    run("unseal", "../../assets.sealed", "-o", "../../assets.zip", cwd=below).succeeded()
    assert (project / "assets.zip").read_bytes().startswith(b"PK\x03\x04")


def test_a_folder_is_sealed_as_a_zip_that_deflate_makes_smaller(project):
    run("seal", "www", "--version", 3, cwd=project).succeeded()
    run("seal", "www", "--version", 3, "--deflate", "-o", "small.sealed", cwd=project).succeeded()
    run("unseal", "www.sealed", "-o", "www.zip", cwd=project).succeeded()
    with zipfile.ZipFile(project / "www.zip") as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["assets/", "assets/a.bin", "index.html"]
    assert (project / "small.sealed").stat().st_size < 0.1 * (project / "www.sealed").stat().st_size


def test_with_a_configuration_a_bundle_of_another_app_is_rejected(project):
    run("seal", "dist.zip", "--version", 1, "--app", "com.example.x", "-o", "x.sealed", cwd=project).succeeded()
    run("verify", "x.sealed", cwd=project).failed_with(1, "'com.example.x', expected 'com.example.game'")
    run("verify", "x.sealed", "--app", "com.example.x", cwd=project).succeeded()
    run("unseal", "x.sealed", "-o", "x.zip", cwd=project).failed_with(1, "'com.example.x', expected 'com.example.game'")
    assert not (project / "x.zip").exists()


@pytest.mark.parametrize("existing", ["keys/signing.pem", "keys/recipient.pub.pem", "keys/trust.json", "capseal.toml"])
def test_init_never_overwrites_anything_and_leaves_nothing_half_made(existing, tmp_path):
    (tmp_path / existing).parent.mkdir(exist_ok=True)
    (tmp_path / existing).write_text("mine")
    run("init", "--app", "com.example.game", cwd=tmp_path).failed_with(2, f"{existing}: exists already")
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [(path, path.read_text()) for path in files] == [(tmp_path / existing, "mine")]


def test_init_refuses_an_app_id_that_no_seal_could_hold(tmp_path):
    run("init", "--app", "not an id", cwd=tmp_path).failed_with(2, "not a name")
    assert names(tmp_path) == []


def test_init_keeps_private_keys_out_of_version_control(project, tmp_path):
    if subprocess.run(["git", "--version"], capture_output=True).returncode:
        pytest.skip("git is not installed")
    subprocess.run(["git", "init", "-q", "."], cwd=project, check=True)
    listed = subprocess.run(
        ["git", "ls-files", "--others", "--exclude-standard"], cwd=project, check=True, capture_output=True, text=True
    ).stdout.split()
    assert "keys/signing.pub.pem" in listed
    assert not {"keys/signing.pem", "keys/recipient.pem"} & set(listed)


@pytest.mark.parametrize(
    ("toml", "fragment"),
    [
        ("app = ", "invalid value"),
        ("apps = 'x'", "'apps' is unknown, expected one of app,"),
        ("app = 3", "app: expected a string"),
        ("signers = 'a.pem'", "signers: expected a list"),
        ("signers = ['']", "signers: expected a string that is not empty"),
    ],
)
def test_a_bad_configuration_is_refused_with_its_name_and_place(toml, fragment, tmp_path):
    (tmp_path / "capseal.toml").write_text(toml)
    result = run("verify", "x", cwd=tmp_path)
    result.failed_with(2, "capseal.toml: ")
    assert fragment in result.err.lower() or fragment in result.err


def test_a_configuration_that_somebody_else_left_in_a_parent_folder_is_refused(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root can give a file to somebody else")
    (tmp_path / "capseal.toml").write_text("app = 'x'")
    os.chown(tmp_path / "capseal.toml", 12345, 12345)
    (tmp_path / "below").mkdir()
    run("verify", "x", cwd=tmp_path / "below").failed_with(2, "belongs to user 12345")


def test_bundles_pass_through_pipes(desk: Desk, tmp_path):
    done = shell(
        f"cat {desk.path('dist.zip')} | capseal seal - -o - {' '.join(map(str, desk.sealing))}"
        f" | capseal unseal - -o - {' '.join(map(str, desk.opening))} | cmp - {desk.path('dist.zip')}",
        cwd=tmp_path,
    )
    assert (done.code, done.err) == (0, "")


def test_standard_input_and_output_may_be_files(desk: Desk, tmp_path):
    # '>>' is the hard one: the seal comes last but stands first, and nothing can be written before the end.
    content = desk.path("dist.zip").read_bytes()
    (tmp_path / "all").write_bytes(b"before")
    for name, mode in (("new", "wb"), ("all", "ab")):
        with open(tmp_path / name, mode, buffering=0) as file:
            run("seal", desk.path("dist.zip"), "-o", "-", *desk.sealing, cwd=tmp_path, stdout=file.fileno()).succeeded()
    for name, start in (("new", 0), ("all", len("before"))):
        bundle = (tmp_path / name).read_bytes()[start:]
        opened = run("unseal", "-", "-o", "-", *desk.opening, cwd=tmp_path, stdin=bundle).succeeded()
        assert opened.out == content


def test_a_message_never_gets_into_the_data(desk: Desk, tmp_path):
    opening = " ".join(map(str, desk.opening))
    lines = f"capseal unseal {desk.path('dist.sealed')} -o /dev/stdout {opening} | cmp - {desk.path('dist.zip')}"
    shell(lines, cwd=tmp_path).succeeded()


def test_detached_sealing_rewrap_cosign_and_join_fit_together(desk: Desk, tmp_path):
    seal = ["-o", "p", "--seal", "s", *desk.sealing]
    run("seal", desk.path("dist.zip"), *seal, cwd=tmp_path).succeeded()
    rewrap = ["-s", desk.path("signer.pem"), "-r", desk.path("other.pub.pem"), *desk.opening]
    run("rewrap", "p", "--seal", "s", "-o", "s2", *rewrap, cwd=tmp_path).succeeded()
    cosign = ["-s", desk.path("signer2.pem"), *desk.trusting]
    run("cosign", "p", "--seal", "s2", "-o", "s3", *cosign, cwd=tmp_path).succeeded()
    run("join", "--payload", "p", "--seal", "s3", "-o", "b", cwd=tmp_path).succeeded()
    unseal = ["-i", desk.path("other.pem"), *desk.trusting]
    run("unseal", "b", "-o", "out", *unseal, cwd=tmp_path).succeeded()
    assert (tmp_path / "out").read_bytes() == desk.path("dist.zip").read_bytes()
    run("unseal", "b", "-o", "out2", *desk.opening, cwd=tmp_path).failed_with(1, "no identity fits")


def test_a_signature_by_a_key_that_is_not_trusted_is_reported_as_unchecked(desk: Desk, tmp_path):
    cosign = ["-s", desk.path("signer2.pem"), *desk.trusting]
    run("cosign", desk.path("dist.sealed"), "-o", "both", *cosign, cwd=tmp_path).succeeded()
    stranger = capseal.load_public_key(desk.path("signer2.pub.pem")).fingerprint
    verdict = json.loads(run("verify", "both", "--json", *desk.trusting, cwd=tmp_path).out)
    assert verdict["unchecked_signatures"] == [stranger]
    assert (
        f"a signature by {stranger} was not checked" in run("verify", "both", *desk.trusting, cwd=tmp_path).out.decode()
    )


def test_two_signers_two_recipients_and_everything_else_that_a_seal_says(desk: Desk, tmp_path):
    (tmp_path / "custom.json").write_text('{"notes": ["\\u001b[31m red", "\\u007f", "\\u0085"]}')
    extra = ["-s", desk.path("signer2.pem"), "-r", desk.path("other.pub.pem"), "--sequence", 9, "--channel", "beta",
             "--allow-downgrade-to", 4, "--custom", "custom.json", "-o", "b", "-j", 2]  # fmt: skip
    run("seal", desk.path("dist.zip"), *desk.sealing, *extra, cwd=tmp_path).succeeded()
    shown = run("inspect", "b", "--json", cwd=tmp_path)
    statement = json.loads(shown.out)["statement"]
    assert (statement["sequence"], statement["channel"], statement["policy"]) == (9, "beta", {"allow_downgrade_to": 4})
    assert len(statement["encryption"]["recipients"]) == len(json.loads(shown.out)["signatures"]) == 2
    assert statement["custom"]["notes"][0] == "\x1b[31m red"
    lines = run("inspect", "b", cwd=tmp_path)
    assert lines.out.decode().startswith("UNVERIFIED: ")
    for text in (shown.out.decode(), lines.out.decode()):
        assert all(c.isprintable() or c == "\n" for c in text)


def test_key_show_prints_the_fingerprints_that_seals_use(desk: Desk, tmp_path):
    fingerprint = capseal.load_public_key(desk.path("device.pub.pem")).fingerprint
    (tmp_path / "pw").write_text(PASSPHRASE + "\n")
    for file in ("device.pem", "device.pub.pem", "locked.pem"):
        shown = run("key", "show", desk.path(file), "--passphrase-file", "pw", cwd=tmp_path)
        assert shown.out.decode().startswith(f"{fingerprint}  RSA-3072  ")
        assert ("private" in shown.out.decode()) == ("pub" not in file)


def test_key_generate_never_overwrites_and_never_leaves_half_a_pair(tmp_path):
    (tmp_path / "k.pub.pem").write_text("mine")
    run("key", "generate", "recipient", "-o", "k", cwd=tmp_path).failed_with(2, "k.pub.pem: exists already")
    assert names(tmp_path) == ["k.pub.pem"]
    run("key", "generate", "recipient", "-o", "n", "--bits", 2048, cwd=tmp_path).failed_with(2, "3072 to 8192")
    assert names(tmp_path) == ["k.pub.pem"]


def test_a_passphrase_comes_from_a_file_or_a_descriptor(desk: Desk, tmp_path):
    (tmp_path / "pw").write_bytes(PASSPHRASE.encode() + b"\r\n")
    locked = ["-i", desk.path("locked.pem"), *desk.trusting]
    by_file = run("unseal", desk.path("dist.sealed"), "-o", "a", *locked, "--passphrase-file", "pw", cwd=tmp_path)
    read, write = os.pipe()
    os.write(write, PASSPHRASE.encode())
    os.close(write)
    by_fd = run("unseal", desk.path("dist.sealed"), "-o", "b", *locked, "--passphrase-fd", read, cwd=tmp_path)
    assert (by_file.code, by_fd.code) == (0, 0)
    made = run("key", "generate", "recipient", "-o", "k", "--passphrase-file", "pw", cwd=tmp_path)
    assert made.code == 0
    assert b"ENCRYPTED" in (tmp_path / "k.pem").read_bytes()
    capseal.load_private_key(tmp_path / "k.pem", passphrase=PASSPHRASE.encode)


def test_the_version_is_told_without_loading_anything_but_the_standard_library():
    loaded = []
    for program in (["-c", "pass"], ["-m", "capseal", "--version"]):
        command = [sys.executable, "-X", "importtime", *program]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        names = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
        loaded.append(names - set(sys.stdlib_module_names))
    assert done.stdout == f"capseal {capseal.__version__}\n"
    started, told = loaded
    assert told - started == {"capseal"}


def test_help_is_there_for_every_command(tmp_path):
    listed = run("--help", cwd=tmp_path)
    listed.succeeded()
    commands = [
        "init",
        "seal",
        "verify",
        "unseal",
        "inspect",
        "rewrap",
        "cosign",
        "split",
        "join",
        "demo",
        "doctor",
        "key",
    ]
    assert [command for command in commands if f" {command} " not in listed.out.decode()] == []


def test_doctor_names_versions_and_kernels(tmp_path):
    from capseal.native import hashing as _hashing

    done = run("doctor", cwd=tmp_path).succeeded()
    for fact in (capseal.__version__, "OpenSSL", *_hashing.candidates()):
        assert fact in done.out.decode()
    assert done.out.count(b"hash kernel") == len(_hashing.candidates())


def test_a_folder_with_nothing_in_it_is_sealed_with_a_warning(promised):
    folder, _ = promised
    (folder / "void" / "inner").mkdir(parents=True)
    sealing = ("-s", "signer.pem", "-r", "device.pub.pem", "--app", "com.example.game", "--version", "1")
    done = run("seal", "void", "-o", "void.sealed", *sealing, cwd=folder)
    assert done.code == 0
    assert "capseal: warning: void has nothing in it that ships; devices would run an empty app\n" in done.err
    (folder / "void" / "inner" / "file").touch()
    assert "nothing in it" not in run("seal", "void", "-f", "-o", "void.sealed", *sealing, cwd=folder).err

"""capseal init, key import, doctor and trust, as a user runs them."""

import json
import os
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from capseal import Role, load_private_key, load_public_key, load_trust
from capseal.trust.certificates import load_certificates
from support.command import heed_signals
from support.softhsm import softhsm_token
from support.tools import require_tool


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project as `capseal init` makes it; tests that change it take a copy."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "capacitor.config.json").write_text('{"appId": "com.example.game", "webDir": "www"}')
    (folder / "www").mkdir()
    (folder / "www" / "index.html").write_text("hello")
    done = run(folder, "init")
    assert "app id com.example.game, as capacitor.config.json says" in done.stdout
    return folder


def run(folder, *arguments, code=0, **keywords):
    done = subprocess.run(
        [sys.executable, "-m", "capseal", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        **keywords,
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


def test_init_makes_everything_and_the_doctor_finds_only_that_the_root_is_not_elsewhere_yet(project, tmp_path):
    (found,) = json.loads(run(project, "doctor", "--json").stdout)
    assert (found["severity"], found["where"]) == ("warning", "keys/root.pem")
    shutil.move(project / "keys/root.pem", tmp_path / "stick.pem")
    try:
        assert run(project, "doctor", "--project").stdout == "project       com.example.game: no findings\n"
        assert json.loads(run(project, "doctor", "--json").stdout) == []
    finally:
        shutil.move(tmp_path / "stick.pem", project / "keys/root.pem")
    production = load_trust(project / "keys/trust.json")
    development = load_trust(project / "keys/trust-development.json")
    signing = load_public_key(project / "keys/signing.pub.pem")
    assert [(t.key, t.role) for t in production.keys] == [(signing, Role.PRODUCTION)]
    assert [t.role for t in development.keys] == [Role.PRODUCTION, Role.DEVELOPMENT]
    assert 'web = "www"' in (project / "capseal.toml").read_text()
    for store in (production, development):
        assert store.root.keys == (load_public_key(project / "keys/root.pub.pem"),)
        assert store.heads.production.keys == (load_public_key(project / "keys/head.pub.pem"),)
    assert production.heads.development is None
    for name in ("signing", "development", "recipient", "archive", "root", "head", "development-head"):
        assert os.stat(project / f"keys/{name}.pem").st_mode & 0o777 == 0o600


def test_inits_certificate_is_valid_for_ten_years_and_travels_with_signatures(project, tmp_path):
    (certificate,) = load_certificates(project / "keys/signing.crt.pem")
    years = (certificate.not_valid_after_utc - datetime.now(UTC)) / timedelta(days=365.25)
    assert 9.99 < years < 10.01
    run(project, "seal", "www", "--version", "1", "-o", str(tmp_path / "b.sealed"))
    claims = json.loads(run(project, "inspect", "--json", str(tmp_path / "b.sealed")).stdout)
    assert len(claims["signatures"][0]["x5c"]) == 1
    run(project, "verify", str(tmp_path / "b.sealed"))
    verified = run(project, "verify", "--trust", "keys/signing.crt.pem", str(tmp_path / "b.sealed"))
    assert "(production, certificate CN=com.example.game)" in verified.stdout


def test_git_would_not_take_the_private_parts(project):
    git = require_tool("git")
    subprocess.run([git, "init", "-q", "."], cwd=project, check=True)
    listed = subprocess.run(
        [git, "ls-files", "-o", "--exclude-standard"], cwd=project, capture_output=True, text=True, check=True
    )
    names = {name for name in listed.stdout.split() if name.startswith("keys/")}
    assert names == {
        *(
            f"keys/{name}.pub.pem"
            for name in ("signing", "development", "recipient", "archive", "root", "head", "development-head")
        ),
        *("keys/signing.crt.pem", "keys/development.crt.pem"),
        *("keys/trust.json", "keys/trust-development.json", "keys/.gitignore"),
    }


def test_init_takes_keys_that_are_there_already_and_makes_the_others(tmp_path, signer, signer2, head_signer):
    for name, key in (("s", signer), ("r", signer2), ("h", head_signer)):
        key.save(tmp_path / f"{name}.pem")
        (tmp_path / f"{name}.pub.pem").write_bytes(key.public_key.pem)
    openssl = require_tool("openssl")
    options = "-sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32 -sigopt rsa_mgf1_md:sha256"
    root = f"command:r.pub.pem:{openssl} dgst {options} -sign r.pem"
    words = ("--app", "com.example.game", "--signing-key", "s.pem", "--root-key", root)
    assert "no key has two purposes" in run(tmp_path, "init", *words, "--head-key", "s.pem", code=2).stderr
    assert not (tmp_path / "keys").exists()
    said = run(tmp_path, "init", *words, "--head-key", "h.pem").stdout
    assert "keys/recipient.pem" in said and "keys/root.pem" not in said and "keys/signing" not in said
    made = {path.name for path in (tmp_path / "keys").iterdir()}
    assert {"root.pub.pem", "development.pem"} <= made and not {"root.pem", "signing.pem", "head.pem"} & made
    store = load_trust(tmp_path / "keys/trust.json")
    assert (store.keys[0].key, store.root.keys, store.heads.production.keys) == (
        signer.public_key,
        (signer2.public_key,),
        (head_signer.public_key,),
    )
    # What signs is what capseal.toml names: the root by its command.
    run(tmp_path, "trust", "heads", "--max-age", "5", "--update", "2.json")
    assert (
        "is requested with what made it" in run(tmp_path, "init", "--app", "a.b", "--csr", *words[2:4], code=2).stderr
    )


def test_init_takes_a_root_key_that_never_leaves_its_token(tmp_path_factory, tmp_path, signer2):
    with softhsm_token(tmp_path_factory.mktemp("softhsm"), key="root") as (uri, _):
        said = run(tmp_path, "init", "--app", "com.example.game", "--root-key", uri).stdout
        assert "keys/root.pem" not in said and not (tmp_path / "keys/root.pem").exists()
        root = load_public_key(tmp_path / "keys/root.pub.pem")
        for name in ("trust", "trust-development"):
            assert load_trust(tmp_path / f"keys/{name}.json").root.keys == (root,)
        (tmp_path / "new.pub.pem").write_bytes(signer2.public_key.pem)
        run(tmp_path, "trust", "add", "new.pub.pem", "--update", "2.json")
        assert (tmp_path / "2.json").exists()
    assert load_trust(tmp_path / "keys/trust.json").root.keys == (root,)


def test_init_overwrites_nothing_and_leaves_nothing_behind(project, tmp_path):
    told = run(project, "init", code=2).stderr
    assert "exists already" in told and "this is a project already: 'capseal doctor' tells what it lacks" in told
    assert "give --app ID" in run(tmp_path, "init", code=2).stderr
    assert os.listdir(tmp_path) == []


def test_a_developers_own_development_key_is_made_as_the_doctor_says(project):
    run(project, "key", "generate", "signing", "-o", "keys/anna")
    run(
        project,
        "trust",
        "add",
        "keys/anna.pub.pem",
        "--trust",
        "keys/trust-development.json",
        "--role",
        "development",
        "--in-place",
    )
    config = project / "capseal.toml"
    config.write_text(config.read_text().replace("keys/development.pem", "keys/anna.pem"))
    assert run(project, "doctor", "--project").returncode == 0


def test_a_company_ca_certifies_the_key_that_init_made(tmp_path):
    openssl = require_tool("openssl")

    def ssl(*arguments):
        subprocess.run([openssl, *arguments], cwd=tmp_path, check=True, capture_output=True)

    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "index.html").write_text("hello")
    run(tmp_path, "init", "--csr", "--app", "com.example.game")
    assert not (tmp_path / "keys/signing.crt.pem").exists()
    ssl("req", "-x509", "-newkey", "rsa:3072", "-nodes", "-keyout", "ca.key", "-subj", "/CN=Company", "-out", "ca.pem")
    ssl(
        *("x509", "-req", "-in", "keys/signing.csr.pem", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "90"),
        *("-copy_extensions", "copy", "-out", "issued.pem"),
    )
    assert "'CN=Company', which issued" in run(tmp_path, "key", "import", "issued.pem", code=2).stderr
    (tmp_path / "chain.pem").write_bytes((tmp_path / "ca.pem").read_bytes() + (tmp_path / "issued.pem").read_bytes())
    assert "--subject 'CN=Company'" in run(tmp_path, "key", "import", "chain.pem").stdout
    assert "exists already" in run(tmp_path, "key", "import", "chain.pem", code=2).stderr
    run(tmp_path, "key", "import", "chain.pem", "-f")
    # From now on the CA is trusted, and the key no longer by itself.
    run(tmp_path, "trust", "add", "keys/signing.crt.pem", "--subject", "CN=Company", "--in-place")
    own = load_public_key(tmp_path / "keys/signing.pub.pem").fingerprint[:8]
    shown = run(tmp_path, "trust", "remove", own, "--in-place").stdout
    assert "CN=Company" in shown and "key  " not in shown
    run(tmp_path, "seal", "www", "--version", "1")
    run(tmp_path, "verify", "www.sealed")
    # What the CA revokes is refused as soon as the list is in the store.
    (tmp_path / "index.txt").touch()
    (tmp_path / "ca.conf").write_text(
        "[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\ndefault_md=sha256\ndefault_crl_days=9\n"
    )
    signed = ("-config", "ca.conf", "-keyfile", "ca.key", "-cert", "ca.pem")
    ssl("ca", *signed, "-revoke", "issued.pem")
    ssl("ca", *signed, "-gencrl", "-out", "crl.pem")
    run(tmp_path, "trust", "add", "crl.pem", "--in-place")
    assert "was revoked at" in run(tmp_path, "verify", "www.sealed", code=1).stderr


def test_a_rotation_by_command(project, tmp_path, signer2):
    # The signing key signs none of it: the root does, which is named in capseal.toml.
    store = tmp_path / "trust.json"
    store.write_bytes((project / "keys/trust.json").read_bytes())
    field = tmp_path / "field.json"
    field.write_bytes(store.read_bytes())
    signer2.save(tmp_path / "new.pem")
    (tmp_path / "new.pub.pem").write_bytes(signer2.public_key.pem)
    old = load_public_key(project / "keys/signing.pub.pem").fingerprint
    second, third = str(tmp_path / "2.json"), str(tmp_path / "3.json")
    run(project, "trust", "add", str(tmp_path / "new.pub.pem"), "--trust", str(store), "--update", second)
    run(project, "trust", "remove", old[:16], "--trust", str(store), "--update", third)
    assert "UNVERIFIED: an update of trust store" in run(project, "trust", "show", third).stdout
    assert "version 3, was 1" in run(project, "trust", "apply", third, second, "--trust", str(field)).stdout
    assert load_trust(field) == load_trust(store)
    assert "version 3, as before" in run(project, "trust", "apply", third, second, "--trust", str(field)).stdout


def test_show_takes_a_store_by_its_option_as_the_other_commands_do(project):
    store = "keys/trust-development.json"
    shown = run(project, "trust", "show", "--trust", store).stdout
    assert shown == run(project, "trust", "show", store).stdout != run(project, "trust", "show").stdout


def test_a_key_that_is_no_root_makes_no_update(project, tmp_path, signer2):
    store = tmp_path / "trust.json"
    shutil.copy(project / "keys/trust.json", store)
    (tmp_path / "new.pub.pem").write_bytes(signer2.public_key.pem)
    words = ("--trust", str(store), "--update", str(tmp_path / "2.json"), "-s", "keys/signing.pem")
    told = run(project, "trust", "add", str(tmp_path / "new.pub.pem"), *words, code=2).stderr
    assert "is no root key of this trust store" in told
    assert store.read_bytes() == (project / "keys/trust.json").read_bytes()
    assert not (tmp_path / "2.json").exists()


def test_a_store_with_a_root_is_not_edited_unless_that_is_said(project, tmp_path, signer2):
    store = tmp_path / "trust.json"
    shutil.copy(project / "keys/trust.json", store)
    (tmp_path / "new.pub.pem").write_bytes(signer2.public_key.pem)
    signing = load_public_key(project / "keys/signing.pub.pem").fingerprint
    before = store.read_bytes()
    for words in (
        ("add", str(tmp_path / "new.pub.pem")),
        ("remove", signing),
        ("heads", "--max-age", "3"),
        ("restart", "7"),
    ):
        told = run(project, "trust", *words, "--trust", str(store), code=2).stderr
        assert "has a root" in told and "--update FILE, or --in-place" in told and told.count("\n") == 1
        assert store.read_bytes() == before
    both = ("--in-place", "--update", str(tmp_path / "2.json"), "--trust", str(store))
    assert "--in-place" in run(project, "trust", "heads", "--max-age", "3", *both, code=2).stderr
    run(project, "trust", "heads", "--max-age", "3", "--in-place", "--trust", str(store))
    assert (load_trust(store).version, load_trust(store).heads.max_age_s) == (1, 3 * 86400)


def test_a_projects_store_stays_until_an_update_has_its_signatures(project, tmp_path, signer, signer2):
    copy = tmp_path / "copy"
    shutil.copytree(project, copy)
    for name, key in (("other", signer), ("new", signer2)):
        key.save(copy / f"{name}.pem")
        (copy / f"{name}.pub.pem").write_bytes(key.public_key.pem)
    run(copy, "trust", "add", "other.pub.pem", "--purpose", "root", "--threshold", "2", "--in-place")
    before = load_trust(copy / "keys/trust.json")
    said = run(copy, "trust", "add", "new.pub.pem", "--update", "updates/2.json").stdout
    assert "1 of 2 signatures of version 2's root; keys/trust.json stays at version 1" in said
    assert "next: capseal trust cosign updates/2.json" in said
    assert load_trust(copy / "keys/trust.json") == before
    assert "the threshold is 2" in run(copy, "trust", "apply", "updates/2.json", code=1).stderr
    said = run(copy, "trust", "cosign", "updates/2.json", "-s", "other.pem").stdout
    assert f"signed by {signer.public_key.fingerprint[:16]}, too: 2 of 2 signatures" in said
    run(copy, "trust", "apply", "updates/2.json")
    assert load_trust(copy / "keys/trust.json").version == 2
    assert load_trust(copy / "updates/1.json") == before


def test_every_purpose_is_changed_by_command_and_devices_follow(project, tmp_path, signer, signer2, recipient):
    store, field = tmp_path / "trust.json", tmp_path / "field.json"
    for path in (store, field):
        path.write_bytes((project / "keys/trust.json").read_bytes())
    before = load_trust(store)
    for name, key in (("a", signer), ("b", signer2), ("c", recipient)):
        key.save(tmp_path / f"{name}.pem")
        (tmp_path / f"{name}.pub.pem").write_bytes(key.public_key.pem)
    a, b, c = (str(tmp_path / name) for name in "abc")
    on = ("--trust", str(store))

    def update(*words, code=0, signers=("keys/root.pem",)):
        path = tmp_path / f"{len(updates) + 2}.json"
        by = [word for one in signers for word in ("-s", one)]
        done = run(project, "trust", *words, *on, "--update", str(path), *by, code=code)
        if not code:
            updates.append(str(path))
        return done.stderr or done.stdout

    updates = []
    # Two of three root keys; the new ones sign that they are.
    said = update("add", f"{a}.pub.pem", f"{b}.pub.pem", "--purpose", "root", "--threshold", "2")
    assert said.count("root         ") == 3 and "2 of 3" in said
    run(project, "trust", "cosign", updates[0], "-s", f"{a}.pem")
    # One is lost: the others replace it.
    lost = load_public_key(project / "keys/root.pub.pem").fingerprint
    assert "threshold 2 and 1 keys" in update(
        "remove", lost, signer.public_key.fingerprint, code=2, signers=(f"{a}.pem", f"{b}.pem")
    )
    update("remove", lost[:16], signers=(f"{a}.pem", f"{b}.pem"))
    # The head key is stolen: another, and the epoch rises.
    stolen = load_public_key(project / "keys/head.pub.pem").fingerprint
    update("add", f"{c}.pub.pem", "--purpose", "head", signers=(f"{a}.pem", f"{b}.pem"))
    update("remove", stolen, signers=(f"{a}.pem", f"{b}.pem"))
    update("heads", "--max-age", "3", "--until", "2040-01-31", signers=(f"{a}.pem", f"{b}.pem"))
    said = update("restart", "7", signers=(f"{a}.pem", f"{b}.pem"))
    assert (
        "restart      at sequence 7" in said and "heads        valid for at most 3 days, none after 2040-01-31" in said
    )
    run(project, "trust", "apply", *updates, "--trust", str(field))
    now = load_trust(field)
    assert now == load_trust(store)
    assert (now.version, now.epoch) == (7, 3)
    assert now.heads.production.keys == (recipient.public_key,)
    assert now.keys == before.keys
    # What a release key signs is no update.
    refused = run(
        project,
        "trust",
        "add",
        f"{c}.pub.pem",
        *on,
        "--update",
        str(tmp_path / "x.json"),
        "-s",
        "keys/signing.pem",
        code=2,
    )
    assert "no key has two purposes" in refused.stderr


def test_the_release_log_says_at_once_that_a_store_begins(project, tmp_path, signer2):
    copy = tmp_path / "copy"
    shutil.copytree(project, copy)
    run(copy, "release", "--version", "1", "--allow-dirty", "--no-publish")
    (copy / "new.pub.pem").write_bytes(signer2.public_key.pem)
    old = str(tmp_path / "1.json")
    shutil.copy(copy / "keys/trust.json", old)
    said = run(copy, "trust", "add", "new.pub.pem", "--update", "2.json").stdout
    assert "releases.log: trust store version 2 begins" in said
    shown = run(copy, "log", "verify", "--trust", "keys/trust.json", "--trust", old).stdout
    assert "trust store version 2 begins" in shown and "verified: 2 entries" in shown
    signer2.save(copy / "new.pem")
    second = str(tmp_path / "2-store.json")
    shutil.copy(copy / "keys/trust.json", second)
    signing = load_public_key(copy / "keys/signing.pub.pem").fingerprint
    told = run(copy, "trust", "remove", signing, "--update", "3.json").stderr
    assert "does not say yet that version 3 begins" in told and "capseal log store -s KEY" in told
    told = run(copy, "log", "verify", "--trust", "keys/trust.json", "--trust", old, "--trust", second, code=1).stderr
    assert "version 3 is here: the entry of that update is missing" in told
    assert "version 3 begins" in run(copy, "log", "store", "-s", "new.pem").stdout


def test_rewrap_and_cosign_note_their_seals_in_the_log(project, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(project, copy)
    run(copy, "release", "--version", "1", "--allow-dirty", "--no-publish")
    (payload,) = (copy / "releases").glob("*.payload")
    said = run(copy, "rewrap", str(payload), "-o", "again.seal").stdout
    assert "releases.log: the new seal is noted in place of the one before" in said
    assert "in place of seal" in run(copy, "log", "verify").stdout
    run(copy, "key", "generate", "signing", "-o", "other", "--bits", "3072")
    told = run(copy, "cosign", str(payload), "-o", "both.seal", "-s", "other.pem").stderr
    assert "warning: the new seal is not in releases.log: releases.log: entry 3: signed by" in told


def test_a_threshold_can_rise_with_the_keys_and_fall_with_them(project, tmp_path, signer, signer2):
    store = tmp_path / "trust.json"
    store.write_bytes((project / "keys/trust.json").read_bytes())
    for name, key in (("a", signer), ("b", signer2)):
        (tmp_path / f"{name}.pub.pem").write_bytes(key.public_key.pem)
    files = [str(tmp_path / f"{name}.pub.pem") for name in "ab"]
    run(project, "trust", "add", *files, "--threshold", "2", "--in-place", "--trust", str(store))
    assert load_trust(store).threshold == 2
    both = [key.public_key.fingerprint for key in (signer, signer2)]
    on = ("--in-place", "--trust", str(store))
    assert "threshold 2" in run(project, "trust", "remove", *both, *on, code=2).stderr
    run(project, "trust", "remove", *both, "--threshold", "1", *on)
    assert load_trust(store) == load_trust(project / "keys/trust.json")
    assert "names 0 entries" in run(project, "trust", "remove", "12345678", *on, code=2).stderr
    assert "names 0 entries" in run(project, "trust", "remove", both[0][:7], *on, code=2).stderr


def test_a_key_can_come_from_a_file_descriptor(project, tmp_path):
    read, write = os.pipe()
    os.write(write, load_private_key(project / "keys/signing.pem").pem())
    os.close(write)
    sealed = str(tmp_path / "b.sealed")
    run(project, "seal", "www", "--version", "1", "-o", sealed, "-s", f"/dev/fd/{read}", pass_fds=[read])
    os.close(read)
    run(project, "verify", sealed)


def test_a_command_signs_for_the_command_line(project, tmp_path):
    openssl = require_tool("openssl")
    options = "-sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32 -sigopt rsa_mgf1_md:sha256"
    command = f"{openssl} dgst {options} -sign keys/signing.pem"
    seal = ("seal", "www", "--version", "1", "-f", "-o", str(tmp_path / "b.sealed"))
    for signer in (
        ("-s", f"command:keys/signing.pub.pem:{command}"),
        ("-s", "keys/signing.pub.pem", "--signer-command", command),
    ):
        run(project, *seal, *signer)
        run(project, "verify", "--trust", "keys/signing.crt.pem", str(tmp_path / "b.sealed"))
    assert "no command" in run(project, *seal, "-s", "command:a.pem", code=2).stderr
    # What is configured is a private key, which has no business beside a command.
    assert "this is a private key" in run(project, *seal, "--signer-command", command, code=2).stderr
    two = ("-s", "keys/signing.pub.pem", "-s", "keys/development.pub.pem", "--signer-command", command)
    assert "signs with one" in run(project, *seal, *two, code=2).stderr


def test_the_development_server_shows_where_it_is_and_ends_when_it_is_told_to(project, tmp_path):
    arguments = ("dev", "--port", "0", "--no-qr")
    command = [sys.executable, "-m", "capseal", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=project, text=True, preexec_fn=heed_signals, **pipes) as server:
        try:
            url = server.stdout.readline().split()[0]
            while "sealed dev-" not in server.stderr.readline():
                assert server.poll() is None
            fetched = ("fetch", url, "-o", str(tmp_path), "--channel", "development")
            development = ("--role", "development", "--trust", "keys/trust-development.json")
            assert "which no trusted key matches" in run(project, *fetched, code=1).stderr
            run(project, *fetched, *development)
            server.send_signal(signal.SIGINT)
            assert server.wait(30) == 0
        finally:
            server.kill()
    assert len(list(tmp_path.glob("*.payload"))) == 1

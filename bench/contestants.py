"""Who seals and unseals a file: capseal, the plain copy that is its ceiling, and the peers."""

import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from . import pins
from .measure import CommandError, Step

SCRIPTS = os.path.join(os.path.dirname(__file__), "scripts")
APP = "com.example.bench"
AES_KEY = "00" * 32
AES_IV = "00" * 16
RSA_BITS = "3072"


@dataclass(frozen=True, slots=True)
class Site:
    """Where a group runs. keys: a folder with key.pem, key.pub and key.crt; plain: the file to be sealed."""

    folder: str
    keys: str
    plain: str

    def at(self, name: str) -> str:
        """Return the path of a file in the folder."""
        return os.path.join(self.folder, name)

    def key(self, name: str) -> str:
        """Return the path of a key file."""
        return os.path.join(self.keys, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """One way to make a file secret and authentic, and back.

    needs: what must be installed: programs, or names in pins.toml. prepare: makes keys, untimed. sealed,
    unsealed: the files that appear. after_seal: gives the unseal steps where they depend on what sealing said.
    every_round: False for those that the short form runs once; full_only: it leaves them out.
    """

    name: str
    seal: Sequence[Step]
    unseal: Sequence[Step]
    sealed: Sequence[str]
    unsealed: str
    role: str = "peer"
    needs: Sequence[str] = ()
    note: str = ""
    prepare: Callable[[], None] = lambda: None
    after_seal: Callable[[], Sequence[Step]] | None = None
    cwd: str | None = None
    env: dict[str, str] = field(default_factory=dict)
    every_round: bool = False
    full_only: bool = False

    def missing(self) -> str | None:
        """Return why this one cannot take part, None where it can."""
        found = pins.found()
        for name in self.needs:
            present = found[name] is not None if name in found else shutil.which(name) is not None
            if not present:
                return f"{name} is not installed"
        return None


def make_keys(folder: str) -> None:
    """Write the RSA key pair that everybody who can uses, and a certificate for it."""
    key = os.path.join(folder, "key.pem")
    _run("openssl", "genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", f"rsa_keygen_bits:{RSA_BITS}", "-out", key)
    _run("openssl", "pkey", "-in", key, "-pubout", "-out", os.path.join(folder, "key.pub"))
    _run(
        *("openssl", "req", "-x509", "-key", key, "-subj", "/CN=bench", "-days", "30"),
        *("-out", os.path.join(folder, "key.crt")),
    )


def capseal_argv(site: Site, verb: str, source: str, sink: str = "", *, jobs: int = 0) -> tuple[str, ...]:
    """Return the command line of seal, verify or unseal. jobs: threads, 0 for one per core."""
    # The script that pip made, started as its first line says: by the interpreter beside it.
    argv = [sys.executable, os.path.join(os.path.dirname(sys.executable), "capseal"), verb, source]
    if verb == "seal":
        argv += ["--app", APP, "--version", "1", "-s", site.key("key.pem"), "-r", site.key("key.pub"), "-o", sink]
    else:
        argv += ["--trust", site.key("key.pub")]
    if verb == "unseal":
        argv += ["-i", site.key("key.pem"), "-o", sink]
    return (*argv, *(("-j", str(jobs)) if jobs else ()))


def contestants(site: Site, names: Sequence[str] | None = None) -> list[Contestant]:
    """Return capseal, cp and the peers, or those peers whose names start with one of `names`."""
    everyone = [
        _cp(site),
        _capseal(site),
        _age(site),
        _openssl(site, "ctr"),
        _openssl(site, "cbc"),
        _cms(site),
        _gpg(site),
        _naive(site),
        _script(site, "tink streaming", "tink_stream.py", [site.key("tink.json")], needs=["tink"], note=_NO_SIGNATURE),
        _script(site, "PyNaCl secretstream", "secretstream.py", [], needs=["pynacl"], note=_NO_SIGNATURE),
        _script(site, "aws-encryption-sdk, 1 MiB frames", "aws_sdk.py", ["1048576"], needs=_AWS),
        _script(site, "aws-encryption-sdk, defaults", "aws_sdk.py", ["0"], needs=_AWS, full_only=True),
        _rclone(site),
        _capgo(site),
    ]
    return [
        one
        for one in everyone
        if names is None or one.role != "peer" or any(one.name.startswith(name) for name in names)
    ]


_NO_SIGNATURE = "symmetric key only: no signature, no key wrap"
_AWS = ["aws-encryption-sdk", "aws-cryptographic-material-providers"]


def _cp(site: Site) -> Contestant:
    copy = site.at("cp.out")
    return Contestant(
        name="cp",
        role="ceiling",
        seal=[Step(("cp", site.plain, copy))],
        unseal=[Step(("cp", site.plain, copy))],
        sealed=[copy],
        unsealed=copy,
        note="copies, nothing else",
        every_round=True,
    )


def _capseal(site: Site) -> Contestant:
    sealed, plain = site.at("capseal.sealed"), site.at("capseal.plain")
    return Contestant(
        name="capseal",
        role="capseal",
        seal=[Step(capseal_argv(site, "seal", site.plain, sealed))],
        unseal=[Step(capseal_argv(site, "unseal", sealed, plain))],
        sealed=[sealed],
        unsealed=plain,
        every_round=True,
    )


def _age(site: Site) -> Contestant:
    key, recipient = site.key("age.key"), site.key("age.pub")
    sealed, plain = site.at("age.age"), site.at("age.plain")

    def prepare() -> None:
        if not os.path.exists(key):
            _run("age-keygen", "-o", key)
            _run("age-keygen", "-y", "-o", recipient, key)

    return Contestant(
        name="age",
        seal=[Step(("age", "-R", recipient, "-o", sealed, site.plain))],
        unseal=[Step(("age", "-d", "-i", key, "-o", plain, sealed))],
        sealed=[sealed],
        unsealed=plain,
        needs=["age", "age-keygen"],
        note="not signed",
        prepare=prepare,
        every_round=True,
    )


def _openssl(site: Site, mode: str) -> Contestant:
    sealed, signature, plain = (site.at(f"openssl-{mode}.{end}") for end in ("enc", "sig", "plain"))
    crypt = ("openssl", "enc", f"-aes-256-{mode}", "-K", AES_KEY, "-iv", AES_IV)
    digest = ("openssl", "dgst", "-sha256")
    return Contestant(
        name=f"openssl enc ({mode.upper()}) + dgst",
        seal=[
            Step((*crypt, "-in", site.plain, "-out", sealed)),
            Step((*digest, "-sign", site.key("key.pem"), "-out", signature, sealed)),
        ],
        unseal=[
            Step((*digest, "-verify", site.key("key.pub"), "-signature", signature, sealed)),
            Step((*crypt, "-d", "-in", sealed, "-out", plain)),
        ],
        sealed=[sealed, signature],
        unsealed=plain,
        needs=["openssl"],
        note="the AES key is not wrapped",
        every_round=True,
    )


def _cms(site: Site) -> Contestant:
    sealed, plain = site.at("cms.cms"), site.at("cms.plain")
    key, certificate = site.key("key.pem"), site.key("key.crt")
    sign = ["openssl", "cms", "-sign", "-binary", "-nodetach", "-stream", "-outform", "DER", "-md", "sha256"]
    sign += ["-signer", certificate, "-inkey", key, "-in", site.plain]
    encrypt = ["openssl", "cms", "-encrypt", "-binary", "-stream", "-aes-256-gcm", "-outform", "DER"]
    encrypt += ["-out", sealed, certificate]
    decrypt = ["openssl", "cms", "-decrypt", "-inform", "DER", "-in", sealed, "-inkey", key, "-recip", certificate]
    verify = ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-CAfile", certificate, "-out", plain]
    return Contestant(
        name="openssl cms",
        seal=[_pipe(sign, encrypt)],
        unseal=[_pipe(decrypt, verify)],
        sealed=[sealed],
        unsealed=plain,
        needs=["openssl"],
        note="sign | encrypt: two processes at once",
    )


def _gpg(site: Site) -> Contestant:
    home = site.key("gnupg")
    sealed, plain = site.at("gpg.gpg"), site.at("gpg.plain")
    gpg = ("gpg", "--homedir", home, "--batch", "--yes", "--quiet", "--trust-model", "always")

    def prepare() -> None:
        if not os.path.exists(home):
            os.mkdir(home, 0o700)
            _run(*gpg, "--passphrase", "", "--quick-gen-key", "bench", "default", "default", "never")

    return Contestant(
        name="gpg",
        seal=[Step((*gpg, "-z", "0", "-u", "bench", "-r", "bench", "-o", sealed, "-es", site.plain))],
        unseal=[Step((*gpg, "-o", plain, "-d", sealed))],
        sealed=[sealed],
        unsealed=plain,
        needs=["gpg"],
        note="-z 0: without its compression, which is slower still",
        prepare=prepare,
        every_round=True,
    )


def close_contestants(keys: str) -> None:
    """End what the peers left running: gpg's agent for our own home folder."""
    home = os.path.join(keys, "gnupg")
    if os.path.exists(home):
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "gpg-agent"], check=False, capture_output=True)


def _naive(site: Site) -> Contestant:
    return _script(
        site,
        "cryptography + hashlib loop",
        "naive.py",
        [site.key("key.pem")],
        needs=[],
        note="one tag for the whole file: plaintext is written before it is known to be authentic",
        every_round=True,
    )


def _script(
    site: Site,
    name: str,
    script: str,
    arguments: Sequence[str],
    *,
    needs: Sequence[str],
    note: str = "",
    every_round: bool = False,
    full_only: bool = False,
) -> Contestant:
    stem = script.removesuffix(".py") + "".join(arguments[:1]).replace("/", "_")
    sealed, plain = site.at(stem[-100:] + ".sealed"), site.at(stem[-100:] + ".plain")
    program = (sys.executable, os.path.join(SCRIPTS, script))

    def prepare() -> None:
        if script == "tink_stream.py" and not os.path.exists(arguments[0]):
            _run(*program, "keygen", "", "", arguments[0])

    return Contestant(
        name=name,
        seal=[Step((*program, "encrypt", site.plain, sealed, *arguments))],
        unseal=[Step((*program, "decrypt", sealed, plain, *arguments))],
        sealed=[sealed],
        unsealed=plain,
        needs=needs,
        note=note,
        prepare=prepare,
        every_round=every_round,
        full_only=full_only,
    )


def _rclone(site: Site) -> Contestant:
    store, config = site.at("rclone"), site.key("rclone.conf")
    rclone = ("rclone", "--config", config)
    plain = site.at("rclone.plain")

    def prepare() -> None:
        password = _run("rclone", "obscure", "bench").strip()
        with open(config, "w") as file:
            file.write(
                f"[crypt]\ntype = crypt\nremote = {store}\nfilename_encryption = off\n"
                f"directory_name_encryption = false\npassword = {password}\n"
            )

    return Contestant(
        name="rclone crypt",
        seal=[Step((*rclone, "copyto", site.plain, "crypt:bundle"))],
        unseal=[Step((*rclone, "copyto", "crypt:bundle", plain))],
        sealed=[store],
        unsealed=plain,
        needs=["rclone"],
        note=_NO_SIGNATURE,
        prepare=prepare,
    )


def _capgo(site: Site) -> Contestant:
    project = site.at("capgo")
    zipped, said = os.path.join(project, "bundle.zip"), os.path.join(project, "said.json")
    sealed = zipped + "_encrypted.zip"
    node = ("node", pins.capgo_cli() or "capgo", "bundle")

    def prepare() -> None:
        os.makedirs(os.path.join(project, "dist"))
        config = {"appId": APP, "appName": "bench", "webDir": "dist", "plugins": {"CapacitorUpdater": {}}}
        package = {"name": "bench", "version": "1.0.0", "dependencies": {"@capgo/capacitor-updater": "7.30.0"}}
        for name, content in (("capacitor.config.json", config), ("package.json", package)):
            with open(os.path.join(project, name), "w") as file:
                json.dump(content, file)
        key_create = ["node", str(pins.capgo_cli()), "key", "create", "-f"]
        # It writes the keys and then ends on a question, so its exit status says nothing.
        subprocess.run(
            key_create, cwd=project, stdin=subprocess.DEVNULL, capture_output=True, check=False, env=os.environ | quiet
        )
        os.link(site.plain, zipped)

    def unseal_steps() -> list[Step]:
        with open(said) as file:
            answer = json.load(file)
        return [Step((*node, "decrypt", sealed, answer["ivSessionKey"], "--checksum", answer["checksum"]))]

    quiet = {"CAPGO_DISABLE_TELEMETRY": "1"}
    checksum = _sha256(site.plain) if pins.capgo_cli() else ""
    return Contestant(
        name="Capgo CLI",
        seal=[Step((*node, "encrypt", zipped, checksum, "--json"), stdout=said)],
        unseal=[],
        sealed=[sealed],
        unsealed=sealed + "_decrypted.zip",
        needs=["@capgo/cli"],
        note="the SHA-256 that it is given is not counted; the ciphertext is not authenticated",
        prepare=prepare,
        after_seal=unseal_steps,
        cwd=project,
        env=quiet,
    )


def _pipe(first: Sequence[str], second: Sequence[str]) -> Step:
    return Step(("sh", "-c", f"{shlex.join(first)} | {shlex.join(second)}"))


def _run(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise CommandError(f"{' '.join(argv[:3])}: {done.stderr.strip()[-400:]}")
    return done.stdout


def _sha256(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

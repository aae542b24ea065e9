"""Everything that the doctor finds wrong with a project."""

import os
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from capseal import Chain, Role, TrustedCertificate, TrustedKey, TrustStore
from capseal.project.config import Config
from capseal.project.doctor import Severity, diagnose
from capseal.trust.certificates import make_certificate
from capseal.trust.key_sets import HeadPolicy, KeySet
from support.company import Company
from support.tools import require_tool

NOW = datetime(2026, 11, 22, tzinfo=UTC)


class Project:
    """A project in which nothing is wrong, with the keys that the suite has anyway."""

    def __init__(self, folder: Path, signer, development_signer, recipient, root, head):
        self.folder = folder
        self.purposes = {
            "root": KeySet.of(root.public_key),
            "heads": HeadPolicy(86400, NOW + timedelta(days=1000), KeySet.of(head.public_key)),
            "created": NOW,
        }
        (folder / "www").mkdir()
        (folder / "www" / "index.html").touch()
        for name, key in (("signing", signer), ("development", development_signer), ("recipient", recipient)):
            key.save(folder / f"{name}.pem")
            (folder / f"{name}.pub.pem").write_bytes(key.public_key.pem)
        self.production, self.development = (
            TrustedKey(signer.public_key),
            TrustedKey(development_signer.public_key, Role.DEVELOPMENT),
        )
        self.trust("trust.json", TrustStore((self.production,)))
        self.trust("trust-development.json", TrustStore((self.production, self.development)))
        self.config = {
            "app": "com.example.game",
            "web": self.path("www"),
            "signers": [self.path("signing.pem")],
            "development_signers": [self.path("development.pem")],
            "recipients": [self.path("recipient.pub.pem")],
            "identities": [self.path("recipient.pem")],
            "trust": self.path("trust.json"),
            "development_trust": self.path("trust-development.json"),
        }

    def path(self, name):
        return str(self.folder / name)

    def trust(self, name, store):
        self.bare(name, replace(store, **self.purposes))

    def bare(self, name, store):
        (self.folder / name).write_bytes(store.to_json())

    def findings(self, **changes):
        # The keys of the suite are short for speed: that one warning is looked at by a test of its own.
        found = diagnose(Config(**(self.config | changes)), now=NOW, folder=str(self.folder))
        return [
            f"{f.severity}: {os.path.basename(f.where)}: {f.what}" for f in found if "are the default" not in f.what
        ]


@pytest.fixture
def project(tmp_path, signer, development_signer, recipient, roots, head_signer):
    return Project(tmp_path, signer, development_signer, recipient, roots[0], head_signer)


def test_nothing_is_found_where_nothing_is_wrong(project):
    assert project.findings() == []


@pytest.mark.parametrize("name", ["app", "signers", "recipients", "trust"])
def test_what_the_configuration_lacks_is_found(project, name):
    assert f"error: capseal.toml: {name} is missing" in project.findings(
        **{name: None if name in ("app", "trust") else ()}
    )


def test_a_private_key_that_others_may_read_is_found(project):
    os.chmod(project.path("signing.pem"), 0o640)
    assert project.findings() == ["error: signing.pem: others may read it (mode 0640)"]


def test_a_private_key_that_is_not_there_is_found(project):
    os.unlink(project.path("recipient.pem"))
    assert project.findings() == ["error: recipient.pem: the private key cannot be read: No such file or directory"]


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("signing", "for whoever releases: ask who holds it"),
        ("development", "or make one of your own: capseal key generate signing -o NAME && capseal trust add"),
        ("recipient", "for whoever opens bundles: ask who holds it"),
    ],
)
def test_in_a_clone_the_doctor_says_whose_a_private_key_is(project, name, advice):
    os.unlink(project.path(f"{name}.pem"))
    (found,) = (f for f in diagnose(Config(**project.config), now=NOW) if f.severity is Severity.ERROR)
    assert "it is private" in found.advice and "not in git" in found.advice and advice in found.advice
    os.unlink(project.path(f"{name}.pub.pem"))
    found = diagnose(Config(**project.config), now=NOW)
    assert "correct the path in capseal.toml" in [f.advice for f in found if f.where == project.path(f"{name}.pem")]


def test_a_private_key_in_the_web_folder_is_found(project, signer):
    os.makedirs(project.path("www/assets"))
    Path(project.path("www/assets/index.html")).touch()
    signer.save(project.path("www/assets/copy.key"))
    Path(project.path("www/assets/certificate.pem")).write_text("-----BEGIN CERTIFICATE-----\n")
    assert project.findings() == ["error: copy.key: a private key is in the web folder, and would be shipped with it"]
    (found,) = project.findings(web=project.path("www/assets"), signers=[project.path("www/assets/copy.key")])[:1]
    assert found.startswith("error: copy.key: the private key is in the web folder")


def test_a_private_key_that_git_tracks_is_found(project):
    git = require_tool("git")
    subprocess.run([git, "init", "-q"], cwd=project.folder, check=True)
    assert project.findings() == []
    subprocess.run([git, "add", "signing.pem"], cwd=project.folder, check=True)
    assert project.findings() == ["error: signing.pem: the private key is tracked by git"]


def test_capgos_private_key_is_looked_after_as_every_other(project, capgo_key):
    git = require_tool("git")
    assert project.findings() == []
    capgo_key.save(project.folder)
    subprocess.run([git, "init", "-q"], cwd=project.folder, check=True)
    assert project.findings() == []
    subprocess.run([git, "add", ".capgo_key_v2"], cwd=project.folder, check=True)
    assert project.findings() == ["error: .capgo_key_v2: Capgo's private key is tracked by git"]
    (project.folder / ".capgo_key_v2").chmod(0o640)
    assert "error: .capgo_key_v2: others may read Capgo's private key (mode 0640)" in project.findings()
    (project.folder / ".capgo_key_v2").rename(project.folder / "www" / ".capgo_key_v2")
    shipped = "error: .capgo_key_v2: a private key is in the web folder, and would be shipped with it"
    assert project.findings() == [shipped]


def test_one_key_for_production_and_development_is_found(project):
    found = project.findings(development_signers=project.config["signers"])
    assert "error: signing.pem: signs for production and for development" in found


def test_a_development_key_in_the_production_store_is_found(project):
    project.trust("trust.json", TrustStore((project.production, project.development)))
    short = project.development.key.fingerprint[:16]
    assert project.findings() == [f"error: trust.json: development key {short} is in the production trust store"]
    project.trust("trust.json", TrustStore((project.production, TrustedKey(project.development.key))))
    assert project.findings() == [f"error: trust.json: development key {short} is trusted for production"]


def test_a_development_certificate_in_the_production_store_is_found(project, signer2):
    certificate = make_certificate(signer2, name="dev", now=NOW).certificates[0]
    project.trust(
        "trust.json",
        TrustStore((project.production,), certificates=(TrustedCertificate(certificate, Role.DEVELOPMENT),)),
    )
    assert project.findings() == [
        "error: trust.json: development certificate 'CN=dev' is in the production trust store"
    ]


def test_a_key_that_is_trusted_beside_the_ca_that_vouches_for_it_is_found(project, signer, signer2, recipient):
    """What a CA revokes must not stay trusted: the key that init put into the stores goes when the CA comes."""
    company = Company(signer2, recipient, signer)
    (project.folder / "signing.crt.pem").write_bytes(Chain.of([company.own, company.issuing, company.root]).pem)
    ca = (TrustedCertificate(company.root),)
    assert [found for found in project.findings() if "expires soon" not in found] == []
    both = {"trust.json": (), "trust-development.json": (project.development,)}
    for name, others in both.items():
        project.trust(name, TrustStore((project.production, *others), certificates=ca))
    assert [found for found in project.findings() if "expires soon" not in found] == [
        f"error: {name}: trusts key {signer.public_key.fingerprint[:16]} by itself beside 'CN=Root', "
        "which vouches for it: neither its certificate's end nor a revocation would change anything"
        for name in both
    ]
    for name, others in both.items():
        project.trust(name, TrustStore(others, certificates=ca))
    assert [found for found in project.findings() if "expires soon" not in found] == []


def test_a_signer_that_the_store_does_not_trust_is_found(project, signer2):
    project.trust("trust.json", TrustStore.of(signer2.public_key))
    project.trust("trust-development.json", TrustStore((TrustedKey(signer2.public_key), project.development)))
    (found,) = project.findings()
    assert found.startswith("error: trust.json: does not trust the signer ")


def test_too_few_signers_for_the_threshold_are_found(project, signer2):
    other = TrustedKey(signer2.public_key)
    project.trust("trust.json", TrustStore((project.production, other), 2))
    project.trust("trust-development.json", TrustStore((project.production, other, project.development), 2))
    assert project.findings() == ["warning: trust.json: the threshold is 2, capseal.toml names 1 signers"]


@pytest.mark.parametrize(
    ("days", "found"),
    [
        (61, None),
        (59, "warning: {}: certificate 'CN=Ada' expires soon"),
        (-1, "error: {}: certificate 'CN=Ada' expired"),
    ],
)
def test_certificates_that_expire_are_found(project, signer, days, found):
    # Made so that it ends that many days from now.
    chain = make_certificate(signer, name="Ada", days=100, now=NOW + timedelta(days=days - 100))
    (project.folder / "signing.crt.pem").write_bytes(chain.pem)
    assert [f.partition(",")[0].partition(" on ")[0] for f in project.findings()] == (
        [found.format("signing.crt.pem")] if found else []
    )
    store = TrustStore((project.production,), certificates=(TrustedCertificate(chain.certificates[0]),))
    os.unlink(project.path("signing.crt.pem"))
    project.trust("trust.json", store)
    assert [f.partition(",")[0].partition(" on ")[0] for f in project.findings()] == (
        [found.format("trust.json").replace("certificate", "trusted certificate")] if found else []
    )


def test_short_and_unusable_keys_are_found(project):
    found = diagnose(Config(**project.config), now=NOW)
    assert [(f.severity, f.what) for f in found] == [
        (Severity.WARNING, "signing key has 3072 bits, 4096 are the default")
    ]
    openssl = require_tool("openssl")
    key = subprocess.run([openssl, "genrsa", "2048"], capture_output=True, check=True).stdout
    public = subprocess.run([openssl, "rsa", "-pubout"], input=key, capture_output=True, check=True).stdout
    (project.folder / "signing.pub.pem").write_bytes(public)
    assert "error: signing.pub.pem: RSA key has 2048 bits, from 3072 to 8192 are allowed" in project.findings()


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("recipient.pub.pem", "unusable recipients: not a PEM public key"),
        ("trust.json", "unusable trust store: PEM data: not a PEM public key"),
        ("trust-development.json", "unusable trust store: PEM data: not a PEM public key"),
    ],
)
def test_unusable_files_are_found(project, name, what):
    (project.folder / name).write_text("nonsense")
    assert [f for f in project.findings() if f"{name}: {what}" in f] != []


def test_an_unusable_certificate_is_found(project):
    (project.folder / "signing.crt.pem").write_text("nonsense")
    (found,) = project.findings()
    assert found.startswith("error: signing.crt.pem: unusable certificate")


def test_an_identity_that_is_no_recipient_is_found(project, other_recipient):
    (project.folder / "recipient.pub.pem").write_bytes(other_recipient.public_key.pem)
    other_recipient.save(project.path("other.pem"))
    assert project.findings() == []
    (project.folder / "third.pub.pem").write_bytes(project.production.key.pem)
    assert project.findings(identities=[project.path("third.pem")])[-1] == (
        "warning: third.pem: is no recipient: it will open none of the bundles"
    )


def test_a_web_folder_that_is_not_there_is_found(project):
    assert project.findings(web=project.path("dist")) == ["warning: dist: the web folder is not there"]


def test_signers_that_are_not_files_are_left_alone(project):
    references = ["pkcs11:token=ci;object=release?module-path=/m", f"command:{project.path('signing.pub.pem')}:kms"]
    assert [f for f in project.findings(signers=references) if "pkcs11" in f or "command:" in f] == []


def test_a_web_folder_without_a_start_page_is_found(project):
    os.unlink(project.path("www/index.html"))
    assert project.findings() == ["warning: www: has no index.html: a web view would show nothing"]


def _with_purposes(project, roots, head_signer, folder):
    for name, key in (("root", roots[0]), ("head", head_signer)):
        (project.folder / folder).mkdir(exist_ok=True)
        key.save(project.folder / folder / f"{name}.pem")
        (project.folder / folder / f"{name}.pub.pem").write_bytes(key.public_key.pem)
    return {f"{name}_signers": [project.path(f"{folder}/{name}.pem")] for name in ("root", "head")}


def test_a_root_key_beside_the_release_key_is_found_until_it_is_elsewhere(project, roots, head_signer):
    beside = _with_purposes(project, roots, head_signer, ".")
    (found,) = project.findings(**beside)
    assert found.startswith("warning: root.pem: the root key lies beside the release key")
    os.unlink(project.path("root.pem"))
    assert project.findings(**beside) == []
    assert project.findings(**_with_purposes(project, roots, head_signer, "stick")) == []


def test_a_root_that_others_may_read_is_found_wherever_it_is(project, roots, head_signer):
    elsewhere = _with_purposes(project, roots, head_signer, "stick")
    os.chmod(project.path("stick/root.pem"), 0o604)
    assert project.findings(**elsewhere) == ["error: root.pem: others may read it (mode 0604)"]


def test_a_store_without_root_or_heads_is_found(project):
    project.bare("trust.json", TrustStore((project.production,)))
    assert [found.split(":")[2].split(",")[0].strip() for found in project.findings()] == [
        "has no root",
        "has no heads",
    ]


def test_a_root_or_head_key_that_the_store_does_not_have_is_found(project, roots, head_signer, signer2):
    named = _with_purposes(project, (signer2,), roots[1], "stick")
    assert [
        found.split(" ", 3)[3].rsplit("/", 1)[1] for found in project.findings(**named) if "trust.json" in found
    ] == [
        "root.pem as a root key",
        "head.pem as a head key",
    ]


@pytest.mark.parametrize(("days", "severity", "word"), [(-1, "error", "expired"), (10, "warning", "expires soon")])
def test_the_end_of_heads_is_found_before_it_comes(project, days, severity, word):
    heads = replace(project.purposes["heads"], until=NOW + timedelta(days=days))
    project.purposes["heads"] = heads
    project.trust("trust.json", TrustStore((project.production,)))
    (found,) = project.findings()
    assert found.startswith(f"{severity}: trust.json: the time for which heads may be signed {word}")


def test_a_development_store_that_did_not_follow_a_rotation_is_found(project, signer, signer2):
    # The production store has followed an update: the new key is in, the old one is out.
    new, old = signer2.public_key.fingerprint[:16], signer.public_key.fingerprint[:16]
    signer2.save(project.folder / "new.pem")
    (project.folder / "new.pub.pem").write_bytes(signer2.public_key.pem)
    project.trust("trust.json", TrustStore((TrustedKey(signer2.public_key),)))
    config = Config(**(project.config | {"signers": [project.path("new.pem")]}))
    found = [f for f in diagnose(config, now=NOW, folder=str(project.folder)) if "release key" in f.what]
    store = project.path("trust-development.json")
    assert [(f.severity, f.where, f.what.split(" ", 5)[:5], f.advice) for f in found] == [
        (
            Severity.ERROR,
            store,
            ["does", "not", "have", "release", "key"],
            f"capseal trust add {project.path('new.pub.pem')} --trust {store} --in-place",
        ),
        (
            Severity.ERROR,
            store,
            ["has", "release", "key", old, "for"],
            f"if it was rotated out, or stolen: capseal trust remove {old} --trust {store} --in-place",
        ),
    ]
    assert new in found[0].what
    project.trust("trust-development.json", TrustStore((TrustedKey(signer2.public_key), project.development)))
    assert project.findings(signers=[project.path("new.pem")]) == []


@pytest.mark.parametrize(("here", "there"), [(1, 2), (2, 1)])
@pytest.mark.parametrize("what", ["releases", "heads"])
def test_a_development_store_with_another_threshold_than_production_is_found(
    project, signer, signer2, head_signer, what, here, there
):
    both = (TrustedKey(signer.public_key), TrustedKey(signer2.public_key))
    for name, threshold, more in (("trust.json", there, ()), ("trust-development.json", here, (project.development,))):
        heads = KeySet.of(head_signer.public_key, *([] if what == "releases" else [signer2.public_key]))
        if what == "heads":
            project.purposes["heads"] = replace(
                project.purposes["heads"], production=replace(heads, threshold=threshold)
            )
        keys = both if what == "releases" else both[:1]
        project.trust(name, TrustStore((*keys, *more), threshold if what == "releases" else 1))
    told = [one for one in project.findings() if one.startswith("error")]
    does = "take what fewer keys sign" if here < there else "refuse what is signed by no more than that"
    assert told == [
        f"error: trust-development.json: has threshold {here} for {what} of production, the production store has "
        f"{there}: development builds {does}"
    ]


def test_a_development_store_with_another_head_key_or_certificate_than_production_is_found(
    project, signer2, head_signer
):
    heads = replace(project.purposes["heads"], production=KeySet.of(signer2.public_key))
    project.bare("trust.json", TrustStore((project.production,), **(project.purposes | {"heads": heads})))
    new, old = signer2.public_key.fingerprint[:16], head_signer.public_key.fingerprint[:16]
    told = [found.partition(": ")[2] for found in project.findings()]
    assert [text.partition(",")[0] for text in told] == [
        f"trust-development.json: does not have head key {new} of the production store: development builds refuse "
        "what it signs",
        f"trust-development.json: has head key {old} for production",
    ]
    project.trust("trust.json", TrustStore((project.production,)))
    company = make_certificate(signer2, name="company", now=NOW).certificates[0]
    project.trust(
        "trust-development.json",
        TrustStore((project.production, project.development), certificates=(TrustedCertificate(company),)),
    )
    (found,) = project.findings()
    assert "trust-development.json: has certificate" in found

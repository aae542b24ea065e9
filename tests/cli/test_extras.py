"""After a plain `pip install capseal`: every command runs, or names the extra that it lacks in one line."""

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator

import pytest

from capseal import load_public_key
from capseal.cli._app import CAPSEAL
from capseal.cli.framework.arguments import Command, Group
from capseal.cli.framework.extras import MODULES_OF
from support.places import ROOT, TESTS
from vectors.making import read

# In the order of a project's life, in its folder. With the extra that a command lacks, or None where it does its work.
LINES: list[tuple[str, str, str | None]] = [
    ("init", "--app com.example.game --web www", None),
    ("doctor", "--project", None),
    ("key generate", "signing -o other --bits 3072", None),
    ("key show", "other.pem", None),
    ("key import", "keys/signing.crt.pem -f", None),
    ("trust add", "{keys}/signer2.pub.pem --update 2.json", None),
    ("trust show", "", None),
    ("trust cosign", "2.json -s other.pem", None),
    ("trust apply", "2.json", None),
    ("trust publish", "2.json --server http://127.0.0.1:9", "client"),
    ("trust remove", "{signer2} --in-place", None),
    ("trust heads", "--max-age 7 --in-place", None),
    ("trust restart", "7 --in-place", None),
    ("seal", "www --version 1 -o a.sealed", None),
    ("seal", "www --version 1 -o b.sealed -s pkcs11:token=a;object=b?module-path=/x.so", "pkcs11"),
    ("seal", "www --version 1 -o r.sealed --base www", "delta"),
    ("verify", "a.sealed", None),
    ("unseal", "a.sealed -o a.zip", None),
    ("inspect", "a.sealed", None),
    ("rewrap", "a.sealed -o c.sealed -r keys/recipient.pub.pem", None),
    ("cosign", "a.sealed -o d.sealed -s other.pem", None),
    ("split", "a.sealed --seal a.seal --payload a.payload", None),
    ("join", "--payload a.payload --seal a.seal -o e.sealed", None),
    ("demo", "", None),
    ("release", "--version 1 --allow-dirty --no-publish", None),
    ("release", "--version 1 --allow-dirty --server http://127.0.0.1:9", "client"),
    ("log store", "", None),
    ("log verify", "", None),
    ("head sign", "--current 1 --server http://127.0.0.1:9", "client"),
    ("head renew", "--server http://127.0.0.1:9", "client"),
    ("head recall", "a.seal -o recall.json", None),
    ("head cosign", "recall.json -s other.pem", None),
    ("head show", "{heads}", None),
    ("publish", "a.sealed http://127.0.0.1:9", "client"),
    ("fetch", "http://127.0.0.1:9 -o .", "client"),
    ("withdraw", "http://127.0.0.1:9 --sequence 1", "client"),
    ("serve", "store", "server"),
    ("store export", "store tree", "server"),
    ("store prune", "store --keep 1", "server"),
    ("dev", "", "dev-server"),
    ("completion", "bash", "completion"),
    ("delta make", "www www -o w.recipe", "delta"),
    ("delta apply", "www w.recipe -o w.zip", "delta"),
    ("delta show", "w.recipe", "delta"),
    ("fleet seal", "www/index.html f.sealed --version 1", "fleet"),
    ("fleet verify", "f.sealed", "fleet"),
    ("fleet unseal", "f.sealed f.html", "fleet"),
    ("fleet scrub", "store", "fleet"),
    ("fleet rewrap", "store --select com.example.game --log r.log", "fleet"),
    ("capgo keygen", "", None),
    ("capgo encrypt", "a.zip -o a.capgo --record a.json", None),
    ("capgo decrypt", "a.capgo -o a2.zip --record a.json", None),
    ("capgo verify", "a.capgo --record a.json", None),
    ("capgo manifest", "www -o m --base-url http://a.test", "capgo"),
    ("capgo convert to-capgo", "a.sealed -o f.capgo", None),
    ("capgo import", "a.capgo --made made.json --version 2 --server http://127.0.0.1:9", "client"),
    ("capgo statistics", "http://127.0.0.1:9", "client"),
    ("capgo convert to-sealed", "a.capgo -o f.sealed --version 2 --record a.json", None),
    ("device install", "http://127.0.0.1:9", "client"),
    ("device install", "a.sealed", None),
    ("device refresh", "http://127.0.0.1:9", "client"),
    ("device activate", "", None),
    ("device boot", "", None),
    ("device confirm", "", None),
    ("device current", "", None),
    ("device status", "", None),
    ("device verify", "", None),
    ("device prune", "", None),
    ("device rollback", "", None),
]

DRIVER = """
import json, sys
sys.path.insert(0, sys.argv[1])
for name in json.loads(sys.argv[2]):
    sys.modules[name] = None
from pathlib import Path
from support.command import run
for words in json.load(sys.stdin):
    done = run(*words, cwd=Path.cwd())
    print(json.dumps([done.code, done.err]), flush=True)
"""


def leaves(node: Command | Group, path: tuple[str, ...] = ()) -> Iterator[str]:
    if isinstance(node, Group):
        for name, inner in node.commands.items():
            yield from leaves(inner, (*path, name))
    else:
        yield " ".join(path)


def _words(name: str, rest: str) -> list[str]:
    group, _, command = name.partition(" ")
    if group == "device":
        return [group, "--root", "device", "--builtin", "www", command, *rest.split()]
    return [*name.split(), *rest.split()]


def test_every_command_is_tried_without_extras():
    assert {name for name, _, _ in LINES} == set(leaves(CAPSEAL))


def test_every_extra_has_its_modules():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(MODULES_OF) == set(extras) - {"all", "bench", "dev", "docs"}


def test_without_its_extra_a_command_names_it_in_one_line(tmp_path):
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "index.html").write_text("<p>")
    modules = sorted({name for names in MODULES_OF.values() for name in names} | {"uvloop"})
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(TESTS), json.dumps(modules)],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    keys = TESTS / "vectors" / "keys"
    heads = tmp_path / "heads"
    heads.write_bytes(read((TESTS / "vectors" / "heads" / "valid-head.txt").read_text())[1] + b"\n")
    texts = {"heads": heads, "keys": keys, "signer2": load_public_key(keys / "signer2.pub.pem").fingerprint}
    lines = [_words(name, rest.format(**texts)) for name, rest, _ in LINES]
    out, _ = driver.communicate(json.dumps(lines), timeout=240)
    results = [json.loads(line) for line in out.splitlines() if line.startswith("[")]
    assert len(results) == len(LINES)
    for (name, rest, extra), (code, err) in zip(LINES, results, strict=True):
        if extra is None:
            assert code == 0, (name, rest, err)
        else:
            assert (code, err.count("\n")) == (2, 1), (name, rest, err)
            assert f": pip install 'capseal[{extra}]'" in err, (name, rest, err)


# --- what nobody expected


@pytest.mark.parametrize("raised", ["ZeroDivisionError('a\\nb')", "RecursionError()", "BaseException('panic')"])
@pytest.mark.parametrize("verbose", [False, True])
def test_an_exception_that_nobody_expected_ends_with_70_and_one_line(tmp_path, raised, verbose):
    script = (
        "import sys; from capseal.cli import _app, main; from capseal.cli.commands import inspect\n"
        f"def broken(**_): raise {raised}\n"
        "inspect.COMMANDS['inspect'] = broken\n"
        "sys.argv[1:] = ['inspect', *sys.argv[1:]]; main()"
    )
    words = ["-v"] if verbose else []
    done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 70
    *above, line = done.stderr.splitlines()
    assert line.startswith("capseal: unexpected ") and "report it" in line
    assert ("Traceback (most recent call last):" in above) is verbose
    assert bool(above) is verbose

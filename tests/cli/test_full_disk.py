"""What a disk says that is full or broken, at whichever step of whichever command, comes with a file and the step."""

import errno
import itertools
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.command import run
from support.dying import Failed, commands_that_fail

ENVIRONMENT = 3

LINES = [
    "seal web --version 1 -o out",
    "seal web --version 1 -o out --deflate",
    "seal web --version 1 -o payload --seal seal -f",
    "unseal a.sealed -o out",
    "rewrap a.sealed -o out",
    "cosign a.sealed -s extra.pem -o out",
    "split a.sealed --seal s --payload p",
    "join --seal seal --payload payload -o out",
    "key import keys/development.crt.pem --key keys/development.pem -f",
    "trust add extra.pub.pem --update update.json",
    "release --version 1 --no-publish",
    "capgo encrypt web -o e.zip --record e.json",
    "capgo manifest web -o m --base-url https://example.com",
    "capgo convert to-capgo a.sealed -o c.zip --record c.json",
    "device --root device --builtin web install a.sealed",
    "device --root device --builtin web boot",
]


@pytest.fixture(scope="module")
def failed() -> Iterator[Failed]:
    with commands_that_fail() as failed:
        yield failed


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    (folder / "web").mkdir()
    (folder / "web" / "index.html").write_text("x" * 1000)
    for line in (
        "init --app com.example.game --web web",
        "key generate signing -o extra --bits 3072",
        "capgo keygen",
        "seal web --version 1 -o a.sealed",
        "seal web --version 2 -o payload --seal seal",
    ):
        run(*line.split(), cwd=folder).succeeded()
    return folder


@pytest.mark.parametrize("line", LINES)
def test_a_full_disk_is_told_with_file_and_step(line: str, failed: Failed, project: Path, tmp_path: Path) -> None:
    words = line.split()
    # In three strides over the steps, each with another error: together they see most.
    for error, first in ((errno.ENOSPC, 1), (errno.EDQUOT, 2), (errno.EIO, 3)):
        for step in itertools.count(first, 3):
            work = tmp_path / f"{error}-{step}"
            shutil.copytree(project, work)
            code, said = failed(work, words, step, error)
            shutil.rmtree(work)
            if code == 0 and not said:
                break
            assert (code, said.count("\n")) == (ENVIRONMENT, 1), (step, said)
            reason = {errno.ENOSPC: "no space left on device", errno.EDQUOT: "disk quota exceeded"}.get(
                error, "input/output error"
            )
            told = re.fullmatch(rf"capseal: (\S.*): {reason}, (while [a-z]+|in 'capseal [a-z -]+')\n", said)
            assert told, (step, said)
            assert ".part" not in told[1], (step, said)

"""What a bundle is meant for and what it requires, from the command that seals to those that refuse."""

import json
from pathlib import Path

import pytest

from support.command import run

REJECTED, USAGE = 1, 2


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A folder that init made, and something to seal in it."""
    folder = tmp_path_factory.mktemp("project")
    assert run("init", "--app", "com.example.game", cwd=folder).code == 0
    (folder / "web").mkdir()
    (folder / "web" / "index.html").write_text("<p>")
    return folder


def sealed(project: Path, *arguments: str) -> dict[str, object]:
    """Seal the web folder as out.sealed, and return the statement."""
    done = run("seal", "web", "--version", "1", "-f", "-o", "out.sealed", *arguments, cwd=project)
    assert (done.code, done.err) == (0, "")
    inspected = run("inspect", "out.sealed", "--json", cwd=project)
    return json.loads(inspected.out)["statement"]


def test_what_development_keys_sign_is_meant_for_development_unless_it_is_said_otherwise(project):
    assert sealed(project)["role"] == "production"
    assert sealed(project, "-s", "keys/development.pem")["role"] == "development"
    assert sealed(project, "-s", "keys/development.pem", "-s", "keys/signing.pem")["role"] == "production"
    assert sealed(project, "-s", "keys/development.pem", "--role", "production")["role"] == "production"
    assert sealed(project, "--role", "development")["role"] == "development"


def test_what_is_meant_for_development_is_refused_in_production_although_a_production_key_signed(project):
    sealed(project, "--role", "development")
    run("verify", "out.sealed", cwd=project).failed_with(REJECTED, "meant for development, production is demanded")
    assert run("verify", "out.sealed", "--role", "development", cwd=project).code == 0
    assert "  role        development\n" in run("inspect", "out.sealed", cwd=project).out.decode()


def test_requirements_are_sealed_told_and_demanded(project):
    wanted = ("--native-min", "1.4", "--native-below", "2", "--platform", "android", "--platform", "ios")
    assert sealed(project, *wanted)["requires"] == {
        "native": {"min": "1.4", "below": "2"},
        "platforms": ["android", "ios"],
    }
    told = run("inspect", "out.sealed", cwd=project).out.decode()
    assert "  requires    native version from 1.4 and below 2, android or ios\n" in told
    for command in (("verify", "out.sealed"), ("unseal", "out.sealed", "-f", "-o", "out.zip")):
        assert run(*command, "--native", "1.10", "--platform", "ios", cwd=project).code == 0
        run(*command, "--native", "1.3", cwd=project).failed_with(REJECTED, "needs native version 1.4 or later")
        run(*command, "--native", "2.0", cwd=project).failed_with(REJECTED, "needs a native version below 2")
        run(*command, "--platform", "web", cwd=project).failed_with(REJECTED, "for platform android or ios")
        run(*command, "--native", "1.4b", cwd=project).failed_with(USAGE, "native version: '1.4b'")
    assert "requires" not in sealed(project)


@pytest.mark.parametrize("wrong", [("--native-min", "01"), ("--native-below", "1.2.3.4.5"), ("--platform", "iOS")])
def test_requirements_that_no_reader_would_accept_are_not_sealed(wrong, project):
    done = run("seal", "web", "--version", "1", "-o", "none", *wrong, cwd=project)
    done.failed_with(USAGE, "statement.requires")
    assert not (project / "none").exists()


def test_a_release_is_for_production_and_carries_its_requirements(project):
    settings = ("--version", "1", "--no-publish", "--allow-dirty", "--json", "--native-min", "3")
    done = run("release", "web", *settings, cwd=project)
    assert (done.code, done.err) == (0, "")
    statement = json.loads(done.out)["statement"]
    assert (statement["role"], statement["requires"]) == ("production", {"native": {"min": "3"}})


def test_a_device_installs_nothing_that_does_not_fit(project, tmp_path):
    sealed(project, "--native-min", "2", "--platform", "android")
    device = ("device", "--root", tmp_path / "device", "--builtin", tmp_path)
    for told, complaint in (
        (("--native", "1.9"), "needs native version 2 or later"),
        (("--native", "2", "--platform", "ios"), "bundle is for platform android"),
    ):
        run(*device, *told, "install", "out.sealed", cwd=project).failed_with(REJECTED, complaint)
    assert run(*device, "--native", "2", "--platform", "android", "install", "out.sealed", cwd=project).code == 0

"""capseal head, and the heads that release and publish send: each follows the last one that is kept."""

import json
import shutil
from pathlib import Path

import pytest

from capseal import load_trust
from capseal.trust.heads import read_head
from support.command import Result, run
from support.serving import live_server

APP = "com.example.game"


class Project:
    """A folder that `init` made a project of, and its server."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url

    @property
    def kept(self) -> Path:
        return self.folder / f"{APP}@production.heads"

    def lines(self) -> list[bytes]:
        return self.kept.read_bytes().splitlines()

    def run(self, *words: object) -> Result:
        return run(*words, cwd=self.folder)

    def head(self, *words: object) -> Result:
        return self.run("head", words[0], *words[1:], "--server", self.url)

    def release(self, sequence: int, *words: object) -> Result:
        (self.folder / "www" / "index.html").write_text(f"<p>{sequence}")
        asked = ["--version", f"1.{sequence}", "--sequence", sequence, "--server", self.url]
        return self.run("release", *asked, *words)

    def served(self):
        shown = self.run("head", "show", "--server", self.url, "--json").succeeded()
        return json.loads(shown.out)["head"]

    def clone(self, name: str) -> "Project":
        folder = self.folder.parent / name
        shutil.copytree(self.folder, folder)
        return Project(folder, self.url)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "project"
    (folder / "www").mkdir(parents=True)
    (folder / "www" / "index.html").write_text("<p>")
    run("init", "--app", APP, "--web", "www", cwd=folder).succeeded()
    return folder


@pytest.fixture
def project(made, tmp_path):
    folder = tmp_path / "project"
    shutil.copytree(made, folder)
    with live_server(str(tmp_path / "store"), load_trust(folder / "keys" / "trust.json")) as live:
        yield Project(folder, live.url)


def current(head):
    return [release["sequence"] for release in head["current"]]


def test_a_release_sends_a_head_last_which_names_it_and_the_log(project):
    said = project.release(1).succeeded().out.decode()
    assert "head 1 says what is current until " in said
    project.release(2).succeeded()
    head = project.served()
    assert (head["number"], current(head)) == (2, [2])
    assert head["log"]["number"] == 2
    assert len(project.lines()) == 2
    assert read_head(project.lines()[1]).head.previous == read_head(project.lines()[0]).digest
    assert current(json.loads(project.run("head", "show", "--json").succeeded().out)["head"]) == [2]


def test_no_head_goes_out_where_that_is_said_or_the_key_is_elsewhere(project):
    project.release(1, "--no-head").succeeded()
    (project.folder / "keys" / "head.pem").rename(project.folder.parent / "head.pem")
    project.release(2).succeeded()
    assert not project.kept.exists()
    project.release(3, "--share", "10").failed_with(2, "no head key here")
    key = project.folder.parent / "head.pem"
    project.head("renew", "-s", key).failed_with(2, "'capseal head sign' makes the first")
    project.head("sign", "-s", key, "--current", "2").succeeded()
    assert current(project.served()) == [2]


def test_publish_sends_a_head_too(project):
    project.release(1, "--no-publish").succeeded()
    said = project.run("publish", f"releases/{APP}@production-1.payload", project.url).succeeded().out.decode()
    assert "head 1 says what is current" in said
    assert current(project.served()) == [1]


def test_a_renewal_says_the_same_for_longer(project):
    project.release(1).succeeded()
    first = project.served()
    project.head("renew", "--valid-for", "1").succeeded()
    second = project.served()
    assert (second["number"], second["current"]) == (2, first["current"])
    assert second["expires"] < first["expires"]


def test_a_clone_without_the_last_head_signs_nothing_unless_it_takes_the_servers(project):
    project.release(1).succeeded()
    clone = project.clone("clone")
    clone.kept.unlink()
    clone.head("renew").failed_with(2, "keeps none: nothing is signed")
    assert clone.kept.read_bytes() == b""
    assert project.served()["number"] == 1
    clone.head("sign", "--adopt").succeeded()
    assert project.served()["number"] == 2
    # The other one sees that, and goes on from there.
    project.head("renew").succeeded()
    assert project.served()["number"] == 3
    assert project.lines() == project.lines()[:1] + clone.lines()[1:] + project.lines()[2:]


def test_where_the_server_shows_an_older_head_nothing_is_signed(project, tmp_path):
    project.release(1).succeeded()
    shutil.copytree(tmp_path / "store", tmp_path / "backup")
    for _ in range(2):
        project.head("renew").succeeded()
    trust = load_trust(project.folder / "keys" / "trust.json")
    with live_server(str(tmp_path / "backup"), trust) as live:
        before = project.lines()
        back = Project(project.folder, live.url)
        back.head("renew").failed_with(2, "shows head 1, head 3 was signed before")
        assert project.lines() == before
        back.head("sign", "--over").succeeded()
        assert back.served()["number"] == 4
        back.head("renew").succeeded()


def test_a_head_whose_answer_was_lost_is_sent_again_and_none_of_its_number_is_signed(project, tmp_path):
    project.release(1).succeeded()
    shutil.copytree(tmp_path / "store", tmp_path / "before")
    project.head("renew").succeeded()
    signed = project.lines()[1]
    trust = load_trust(project.folder / "keys" / "trust.json")
    with live_server(str(tmp_path / "before"), trust) as live:
        Project(project.folder, live.url).head("renew").succeeded()
        assert project.lines()[1] == signed
        assert read_head(project.lines()[2]).head.number == 3


def test_a_line_that_was_being_written_when_the_power_went_is_no_head(project):
    project.release(1).succeeded()
    with open(project.kept, "ab") as file:
        file.write(project.lines()[0][:100])
    project.head("renew").succeeded()
    assert [read_head(line).head.number for line in project.lines()] == [1, 2]


def test_a_candidate_is_raised_paused_and_promoted(project):
    project.release(1).succeeded()
    project.release(2, "--share", "100").succeeded()
    head = project.served()
    assert (current(head), head["candidate"]["sequence"], head["candidate"]["share"]) == ([1], 2, 100)
    salt = head["candidate"]["salt"]
    project.head("sign", "--candidate", "2", "--share", "500").succeeded()
    project.head("sign", "--pause").succeeded()
    candidate = project.served()["candidate"]
    assert (candidate["share"], candidate["paused"], candidate["salt"]) == (500, True, salt)
    project.head("sign", "--promote").succeeded()
    assert current(project.served()) == [2]
    project.head("sign", "--promote").failed_with(2, "has no candidate")
    project.head("sign", "--candidate", "2").failed_with(2, "--share")
    project.head("sign", "--share", "2").failed_with(2, "--candidate")


def test_a_withdrawal_stays_until_it_is_restored(project):
    project.release(1).succeeded()
    project.release(2).succeeded()
    project.head("sign", "--withdraw", "2").failed_with(2, "nothing is left that is current")
    project.head("sign", "--withdraw", "2", "--current", "1").succeeded()
    project.head("renew").succeeded()
    assert project.served()["withdrawn"] == [2]
    project.head("sign", "--restore", "2", "--current", "2").succeeded()
    assert "withdrawn" not in project.served()
    assert current(project.served()) == [2]


def test_a_recall_is_signed_by_the_release_key_and_named_by_the_next_head(project):
    project.release(1).succeeded()
    project.release(2).succeeded()
    project.head("recall", "2", "--current", "1").succeeded()
    head = project.served()
    assert (current(head), head["withdrawn"], len(head["recalls"])) == ([1], [2], 1)


def test_a_recall_may_be_made_from_a_seal_and_sent_later(project):
    project.release(1).succeeded()
    project.release(2).succeeded()
    seal = f"releases/{APP}@production-2.seal"
    project.run("head", "recall", seal, "-o", "recall.json").succeeded()
    project.run("head", "cosign", "recall.json", "-s", "keys/development.pem").succeeded()
    project.head("sign", "--recall", "recall.json", "--current", "1").succeeded()
    assert len(project.served()["recalls"]) == 1


def test_the_head_key_recalls_nothing_and_the_release_key_signs_no_head(project):
    project.release(1).succeeded()
    project.head("recall", "1", "--release-signer", "keys/head.pem").failed_with(1, "no trusted key matches")
    project.head("renew", "-s", "keys/signing.pem").failed_with(1, "bare keys sign it")
    assert project.served()["number"] == 1


def test_a_release_that_was_published_without_its_head_says_what_to_do(project):
    project.release(1).succeeded()
    (project.folder / "keys" / "head.pem").write_bytes((project.folder / "keys" / "signing.pem").read_bytes())
    failed = project.release(2)
    assert failed.code == 1
    assert "published, but no head says so yet" in failed.err
    assert "capseal head sign --current 2" in failed.err

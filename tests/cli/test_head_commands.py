"""capseal head, and the heads that release and publish send: each follows the last one that is kept."""

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from capseal import load_private_key, load_public_key, load_trust
from capseal.bundle.opened import accept_detached
from capseal.client import Connection, HeadUse, _current, follow_head
from capseal.errors import StaleError, TamperedError
from capseal.format.seal import SEAL_TYPE, Seal
from capseal.trust.expect import Expect
from capseal.trust.heads import read_head
from capseal.trust.signing import sign
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

    @contextmanager
    def started_anew(self, **settings: str) -> "Iterator[Project]":
        """Start the server anew, with the trust store of now."""
        trust = load_trust(self.folder / "keys" / "trust.json")
        with live_server(str(self.folder.parent / "store"), trust, **settings) as live:
            yield Project(self.folder, live.url)

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


NOT_NEXT = {"type": "urn:capseal:problem:not-next", "title": "Not next", "status": 409}
REJECTED = {"type": "urn:capseal:problem:not-for-us", "title": "Not for us", "status": 403, "error": "NotForUsError"}


@contextmanager
def keeping_heads(url: str, refusal: dict[str, object] = NOT_NEXT) -> Iterator[tuple[str, list[bytes]]]:
    """Put a server without keys before another: it keeps every head that is sent, and says that it refused it."""
    kept: list[bytes] = []

    class Liar(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = httpx.get(url + self.path)
            self.tell(answer.status_code, answer.headers.get("Content-Type", ""), answer.content)

        def do_PUT(self) -> None:
            kept.append(self.rfile.read(int(self.headers["Content-Length"])))
            problem = refusal | {"detail": "refused"}
            self.tell(int(str(refusal["status"])), "application/problem+json", json.dumps(problem).encode())

        def tell(self, status: int, media_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nobody wants to know."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Liar) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", kept
        server.shutdown()


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


def test_a_server_that_says_it_refused_a_head_gets_no_other_of_its_number(project):
    project.release(1).succeeded()
    project.release(2).succeeded()
    with keeping_heads(project.url) as (url, kept):
        liar = Project(project.folder, url)
        liar.head("sign", "--withdraw", "1").failed_with(2, "nothing is signed")
        liar.head("sign", "--valid-for", "5").failed_with(2, "nothing is signed")
    assert {read_head(data).head.number for data in kept} == {3}
    assert len(set(kept)) == 1
    # The honest one gets it, and what is signed next follows it.
    project.head("renew").succeeded()
    heads = [read_head(line) for line in project.lines()]
    assert [one.head.number for one in heads] == [1, 2, 3, 4]
    assert heads[2].digest == read_head(kept[0]).digest == heads[3].head.previous
    assert project.served()["withdrawn"] == [1]


def test_a_first_head_that_was_refused_is_not_signed_anew(project):
    project.release(1, "--no-head").succeeded()
    with keeping_heads(project.url) as (url, kept):
        Project(project.folder, url).head("sign", "--current", "1").failed_with(2, "nothing is signed")
    project.head("renew").succeeded()
    assert len(set(kept)) == 1
    assert project.lines()[0] == kept[0]


def test_no_head_is_signed_under_an_older_store_than_the_servers(project):
    project.release(1).succeeded()
    shutil.copy(project.folder / "keys" / "trust.json", project.folder / "root.json")
    changed = ("trust", "heads", "--max-age", "3", "--update", "2.json", "--trust", "root.json", "-s", "keys/root.pem")
    told = project.run(*changed).succeeded().out.decode()
    assert "next: capseal trust apply 2.json, where the project is, then capseal trust publish 2.json" in told
    project.run("trust", "publish", "2.json", "--server", project.url).succeeded()
    before = project.lines()
    for _ in range(2):
        project.head("renew").failed_with(2, "has version 2 of the trust store, version 1 is here: nothing is signed")
    assert project.lines() == before
    assert project.run("trust", "apply", "2.json").code == 0
    project.head("renew").succeeded()
    head = read_head(project.lines()[-1]).head
    assert (project.served()["number"], head.number, head.store.version) == (2, 2, 2)


def test_a_head_that_was_refused_is_followed_by_one_of_the_next_number(project):
    project.release(1).succeeded()
    project.release(2).succeeded()
    with keeping_heads(project.url, REJECTED) as (url, kept):
        liar = Project(project.folder, url)
        liar.head("sign", "--withdraw", "1").failed_with(1, "refused")
        liar.head("renew").failed_with(1, "refused")
        liar.head("renew").failed_with(2, "nothing is signed")
    third, again, fourth = (read_head(data).head for data in kept[:3])
    assert third == again
    assert {read_head(data).head.number for data in kept} == {3, 4}
    assert len(set(kept)) == 2
    assert (fourth.number, fourth.withdrawn) == (4, (1,))
    # An honest one that has only the second head takes the fifth, by the way that is said.
    project.head("sign", "--over").succeeded()
    assert [read_head(line).head.number for line in project.lines()] == [1, 2, 3, 4, 5]
    assert (project.served()["number"], project.served()["withdrawn"]) == (5, [1])


def test_no_head_is_signed_that_names_what_the_server_withdrew_and_that_is_recalled_by_its_seal(project):
    project.release(1).succeeded()
    project.release(2).succeeded()
    by = ("--token-file", project.folder.parent / "token")
    by[1].write_text("x" * 20)
    with project.started_anew(token="x" * 20) as live:
        told = live.run("withdraw", live.url, "--sequence", "2", *by)
        assert told.code == 0
        assert told.err.startswith(
            "capseal: warning: head 2 still names sequence 2, so devices that use heads find nothing"
        )
        assert "next: capseal head sign --current SEQUENCE --withdraw 2 --channel production" in told.err
        before = project.lines()
        live.head("renew", *by).failed_with(2, f"would name sequence 2, which {live.url} withdrew: nothing is signed")
        assert project.lines() == before
        live.head("sign", "--current", "1", "--withdraw", "2", *by).succeeded()
        assert (live.served()["number"], current(live.served())) == (3, [1])
        assert live.run("withdraw", live.url, "--sequence", "2", *by).err == ""
        seal = f"releases/{APP}@production-2.seal"
        live.head("recall", "2", *by).failed_with(2, f"name that file instead of its sequence, such as {seal}")
        live.head("recall", seal, *by).succeeded()


def test_after_a_restart_a_release_takes_the_place_of_a_thiefs_highest(project):
    stolen = 2_000_000_000
    project.release(1).succeeded()
    project.release(stolen).succeeded()
    project.run("key", "generate", "signing", "-o", "keys/new").succeeded()
    old = load_public_key(project.folder / "keys" / "signing.pub.pem").fingerprint[:16]
    root = ("--trust", "root.json", "-s", "keys/root.pem")
    shutil.copy(project.folder / "keys" / "trust.json", project.folder / "root.json")
    project.run("trust", "add", "keys/new.pub.pem", "--update", "2.json", *root).succeeded()
    project.run("trust", "remove", old, "--update", "3.json", *root).succeeded()
    project.run("trust", "restart", 1, "--update", "4.json", *root).succeeded()
    configuration = project.folder / "capseal.toml"
    configuration.write_text(configuration.read_text().replace('"keys/signing.pem"', '"keys/new.pem"'))
    updates = ("2.json", "3.json", "4.json")
    assert project.run("trust", "apply", *updates).code == 0
    assert project.run("trust", "publish", *updates, "--server", project.url).code == 0
    before = project.lines()
    project.head("renew").failed_with(2, f"would name sequence {stolen}, which version 4 of the trust store does not")
    assert project.lines() == before
    assert project.run("release", "--version", "2", "--server", project.url).code == 0
    head = project.served()
    assert (len(current(head)), head["withdrawn"]) == (1, [stolen])
    assert 1 < current(head)[0] < stolen


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
    assert not clone.kept.exists()
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


def forge_of_the_second_of_three(project: Project) -> None:
    """Release three times, and seal the payload of the second once more, as whoever stole the release key does."""
    for sequence in (1, 2, 3):
        project.release(sequence).succeeded()
    base = project.folder / "releases" / f"{APP}@production-2.seal"
    good = accept_detached(base, load_trust(project.folder / "keys" / "trust.json"), Expect()).seal
    statement = replace(good.statement, sequence=1999999999, version="6.6.6")
    key = load_private_key(project.folder / "keys" / "signing.pem")
    forged = Seal(sign(SEAL_TYPE, statement.encode(), [key]), statement, good.index)
    (project.folder / "forged.seal").write_bytes(forged.encode())


@pytest.mark.parametrize("known", ["by the log", "by the server"])
def test_a_recall_of_a_file_is_sent_only_where_it_is_said_that_another_release_fails_with_it(known, project):
    forge_of_the_second_of_three(project)
    project.run("head", "recall", "forged.seal", "-o", "recall.json", "--shared").succeeded()
    if known == "by the server":
        (project.folder / "releases.log").unlink()
    send = ("sign", "--recall", "recall.json")
    project.head(*send).failed_with(2, "has the payload of sequence 2, which ")
    assert "recalls" not in project.served()
    project.head(*send, "--shared").succeeded()
    assert len(project.served()["recalls"]) == 1


@pytest.mark.parametrize("known", ["by the log", "by the server"])
def test_what_a_thief_sealed_anew_is_recalled_with_the_release_it_was_made_of_only_where_that_is_said(known, project):
    forge_of_the_second_of_three(project)
    recall = ("recall", "forged.seal")
    if known == "by the log":
        refused = project.run("head", *recall, "-o", "recall.json")
    else:
        (project.folder / "releases.log").unlink()
        refused = project.head(*recall)
    refused.failed_with(2, "has the payload of sequence 2, which ")
    assert "recalls" not in project.served()
    project.head(*recall, "--shared").succeeded()
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


def test_a_release_says_what_devices_install_and_what_is_next(project):
    def said(*words):
        done = project.release(*words)
        assert done.code == 0
        return done.out.decode().splitlines()[-1]

    nothing = "devices that require a head install nothing before one names it: capseal head sign --current 1 "
    assert nothing in said(1, "--no-head")
    assert "next: devices install it from there" in said(2)
    assert "devices install 2, which head 1 names, and not this one: capseal head sign --current 3 " in said(
        3, "--no-head"
    )
    assert "10 of 1000 devices install it" in said(4, "--share", 10)
    project.release(5, "--no-publish").succeeded()
    published = project.run("publish", f"releases/{APP}@production-5.payload", project.url, "--no-head")
    assert "next: devices install 2, which head 2 names" in published.out.decode()


def test_a_head_is_shown_of_a_server_that_is_named_as_such(project):
    project.run("head", "show", project.url).failed_with(2, f"capseal head show --server {project.url}")


# Fetching what a head names


def fetched(project, *words):
    (project.folder / "got").mkdir(exist_ok=True)
    return project.run("fetch", project.url, "-o", "got", *words)


def sequences(result):
    return {int(line.rpartition("-")[2].split(".")[0]) for line in result.succeeded().out.decode().split()}


def test_fetch_takes_what_the_head_names_and_not_its_candidate(project):
    project.release(1).succeeded()
    project.release(2, "--share", 1000).succeeded()
    done = fetched(project, "--head", "required")
    assert (sequences(done), done.err) == ({1}, "")
    assert sequences(fetched(project, "--sequence", 2)) == {2}
    project.head("sign", "--promote").succeeded()
    assert sequences(fetched(project)) == {2}


def test_fetch_takes_nothing_that_is_withdrawn_or_recalled_even_by_its_number(project):
    for sequence in (1, 2, 3):
        project.release(sequence).succeeded()
    project.head("sign", "--withdraw", 3, "--current", 2).succeeded()
    assert sequences(fetched(project)) == {2}
    fetched(project, "--sequence", 3).failed_with(1, "sequence 3 is withdrawn by head 4")
    assert sequences(fetched(project, "--sequence", 3, "--head", "ignored")) == {3}
    project.head("recall", 2, "--current", 1).succeeded()
    project.head("sign", "--restore", 2).succeeded()
    fetched(project, "--sequence", 2).failed_with(1, "sequence 2 is recalled, as head 6 says")
    assert sequences(fetched(project)) == {1}


def test_fetch_takes_no_recalled_release_though_a_later_head_names_it(project):
    for sequence in (1, 2):
        project.release(sequence).succeeded()
    project.head("recall", 2, "--current", 1).succeeded()
    project.head("sign", "--restore", 2, "--current", 2).succeeded()
    assert current(project.served()) == [2]
    fetched(project).failed_with(1, "names no release that fits here")


def test_fetch_tells_where_no_head_says_what_is_current_and_fails_where_one_is_required(project):
    project.release(1, "--no-head").succeeded()
    done = fetched(project)
    assert (done.code, b"production-1.payload" in done.out) == (0, True)
    assert "has no head of com.example.game on production" in done.err
    fetched(project, "--head", "required").failed_with(1, "has no head of")
    assert fetched(project, "--head", "ignored").succeeded().err == ""


def test_fetch_notices_a_head_that_has_expired(project):
    project.release(1).succeeded()
    head = read_head(project.lines()[-1]).head
    asked = {"app": APP, "channel": "production", "trust": load_trust(project.folder / "keys" / "trust.json")}
    asked |= {"expect": Expect(), "now": head.expires}
    with Connection(project.url) as connection:
        said = follow_head(connection, **asked, use=HeadUse.USED)
        assert said.uncertain is not None and "expired at" in said.uncertain
        with pytest.raises(StaleError):
            follow_head(connection, **asked, use=HeadUse.REQUIRED)


def test_fetch_takes_no_other_recall_for_the_one_that_a_head_names(project, monkeypatch):
    for sequence in (1, 2, 3):
        project.release(sequence).succeeded()
    project.head("recall", 3, "--current", 2).succeeded()
    project.head("recall", 2, "--current", 1).succeeded()
    asked = {"app": APP, "channel": "production", "trust": load_trust(project.folder / "keys" / "trust.json")}
    asked |= {"expect": Expect(), "now": read_head(project.lines()[-1]).head.issued}
    first = read_head(project.lines()[-1]).head.recalls[0]
    honest = _current.fetch_recall
    with Connection(project.url) as connection:
        assert follow_head(connection, **asked, use=HeadUse.REQUIRED).sequence == 1
        monkeypatch.setattr(_current, "fetch_recall", lambda to, digest, **names: honest(to, first, **names))
        with pytest.raises(TamperedError, match=f"was asked for, {first[:16]} came"):
            follow_head(connection, **asked, use=HeadUse.USED)
        monkeypatch.setattr(_current, "fetch_recall", lambda to, digest, **names: None)
        with pytest.raises(TamperedError, match="it is withheld"):
            follow_head(connection, **asked, use=HeadUse.USED)


# Rotation and renewal, as docs/keys.md has them


def doctors(project):
    found = json.loads(project.run("doctor", "--json").out)
    return [(one["severity"], one["what"], one["advice"]) for one in found if "root key lies beside" not in one["what"]]


def test_the_rotation_of_the_release_key_ends_clean(project):
    def succeed(*words):
        return project.run(*words).succeeded().out.decode()

    configuration = project.folder / "capseal.toml"
    updates = project.folder / "updates"
    updates.mkdir()
    shutil.copy(project.folder / "keys" / "trust.json", updates / "1.json")
    project.release(1).succeeded()
    succeed("key", "generate", "signing", "-o", "keys/new")
    stolen = load_public_key(project.folder / "keys" / "signing.pub.pem").fingerprint[:16]
    # Where the root is, with a copy of the store.
    root = ("-s", "keys/root.pem", "--trust", "root.json")
    shutil.copy(updates / "1.json", project.folder / "root.json")
    succeed("trust", "add", "keys/new.pub.pem", "--update", "updates/2.json", *root)
    succeed("trust", "remove", stolen, "--update", "updates/3.json", *root)
    # On the release machine.
    told = project.run("trust", "apply", "updates/2.json")
    assert told.code == 0
    assert "capseal head renew" in told.err
    development = ("--trust", "keys/trust-development.json", "--in-place")
    assert [advice for _, _, advice in doctors(project)] == [
        f"capseal trust add FILE {' '.join(development)}",
        "capseal head renew --channel production",
    ]
    succeed("trust", "add", "keys/new.pub.pem", *development)
    succeed("trust", "publish", "updates/2.json", "--server", project.url)
    text = configuration.read_text()
    assert text.count('"keys/signing.pem"') == 1
    configuration.write_text(text.replace('"keys/signing.pem"', '"keys/signing.pem", "keys/new.pem"'))
    with project.started_anew() as live:
        live.release(2).succeeded()
        assert doctors(live) == []
    # The overlap ends.
    configuration.write_text(text.replace('"keys/signing.pem"', '"keys/new.pem"'))
    assert "trust store version 3 begins" in project.run("trust", "apply", "updates/3.json").out.decode()
    succeed("trust", "remove", stolen, *development)
    with project.started_anew() as live:
        live.run("trust", "publish", "updates/2.json", "updates/3.json", "--server", live.url).succeeded()
        done = live.release(3)
        assert done.code == 0
        # Release 2 was signed by both; what only the old key signed is no base of a recipe any more.
        why = f"signed by {stolen}, which no trusted key matches"
        assert [line for line in done.err.splitlines() if why not in line] == []
        assert done.err.count("com.example.game@production-1.payload") == done.err.count("\n") == 1
        assert current(live.served()) == [3]
        assert doctors(live) == []
    kept = ("--trust", "updates/1.json", "--update", "updates/3.json", "--update", "updates/2.json")
    shown = succeed("log", "verify", *kept)
    assert "verified: 5 entries" in shown
    missing = project.run("log", "verify", "--trust", "updates/1.json", "--update", "updates/3.json")
    missing.failed_with(2, "of which version 2 was not given")
    # The old key is not advised to be trusted again.
    configuration.write_text(text)
    ((severity, what, advice),) = doctors(project)
    assert (severity, "does not trust the signer" in what) == ("error", True)
    assert advice.startswith("if it was rotated out: name the signers of now in capseal.toml")


def test_the_doctor_and_a_release_without_a_head_remind_of_the_renewal(project):
    project.release(1).succeeded()
    project.head("renew", "--valid-for", 80).succeeded()
    ((severity, what, advice),) = doctors(project)
    assert (severity, advice) == ("warning", "capseal head renew --channel production")
    assert "head 2 expires soon" in what
    told = project.release(2, "--no-head")
    assert told.code == 0
    assert "head 2 expires soon" in told.err
    assert "capseal head renew" in told.err
    project.head("renew").succeeded()
    assert doctors(project) == []

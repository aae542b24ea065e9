"""The status page, in a real browser."""

import re
from pathlib import Path

import pytest

from capseal import PrivateKey, TrustStore
from capseal.server.routes.status import readable_bytes
from support.browser import chromium
from support.server_fixtures import BundleMaker
from support.serving import TOKEN, Live, live_server, some_bytes


def fill(live: Live, sealed: BundleMaker) -> None:
    """Publish what a small shop would have."""
    live.client.headers["Authorization"] = f"Bearer {TOKEN}"
    for sequence, version, size in ((140, "1.4.0", 3), (141, "1.4.1", 5), (142, "1.4.2", 9.5)):
        bundle = sealed(sequence=sequence, version=version, content=some_bytes(size), app="com.example.game")
        live.publish(bundle).raise_for_status()
    live.client.delete(live.release_url(141)).raise_for_status()
    live.publish(sealed(sequence=7, version="2.0.0-beta.1", content=some_bytes(2), channel="beta")).raise_for_status()
    live.publish(sealed(sequence=31, version="3.1", content=b"tiny", app="org.example.notes")).raise_for_status()


def test_the_page_shows_every_release_and_runs_no_script(
    store: Path, tmp_path: Path, trust: TrustStore, signer: PrivateKey, sealed: BundleMaker
) -> None:
    with live_server(str(store), trust, token=TOKEN) as live:
        fill(live, sealed)
        page = chromium(tmp_path / "profile", "--dump-dom", live.url + "/")
        answer = live.client.get("/")
        picture = tmp_path / "page.png"
        chromium(tmp_path / "profile", f"--screenshot={picture}", "--window-size=1180,640", live.url + "/")
    rows = re.findall(r"<tr.*?</tr>", page, re.DOTALL)
    texts = [re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", row)).strip() for row in rows]
    shown = [text for text in texts if not text.startswith("Sequence")]
    assert [text.split()[0] for text in shown] == ["7", "142", "141", "140", "31"]
    for text in shown:
        assert signer.public_key.fingerprint[:16] in text
        assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", text)
    assert "4.8 MiB" in shown[1]
    assert [("latest" in text) for text in shown] == [True, True, False, False, True]
    assert 'class="withdrawn"' in rows[texts.index(shown[2])]
    assert "<script" not in page
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_what_publishers_write_cannot_become_markup(live: Live, sealed: BundleMaker) -> None:
    live.publish(sealed(sequence=1, version="<img src=x onerror=alert(1)>")).raise_for_status()
    page = live.client.get("/").text
    assert "<img" not in page
    assert "&lt;img" in page


def test_an_empty_store_has_a_page_too(live: Live) -> None:
    assert "Nothing is published yet" in live.client.get("/").text


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (4 * 1024**3, "4.0 GiB"), (2**60, "1024.0 PiB")]
)
def test_sizes_are_for_people(size: int, text: str) -> None:
    assert readable_bytes(size) == text

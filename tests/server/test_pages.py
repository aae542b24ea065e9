"""Lists come page by page, and a page says where the next one is."""

from pathlib import Path

import pytest

from capseal import TrustStore
from support.server_fixtures import BundleMaker
from support.serving import APP, CHANNEL, TOKEN, Live, live_server


def test_releases_come_newest_first_page_by_page(store: Path, trust: TrustStore, sealed: BundleMaker) -> None:
    with live_server(str(store), trust, token=TOKEN) as live:
        live.client.headers["Authorization"] = f"Bearer {TOKEN}"
        for sequence in range(1, 6):
            live.publish(sealed(sequence=sequence)).raise_for_status()
        live.client.delete(live.release_url(4)).raise_for_status()
        pages, link = [], f"/v1/apps/{APP}/channels/{CHANNEL}/releases?limit=2"
        while link:
            page = live.client.get(link).raise_for_status().json()
            pages.append([one["sequence"] for one in page["releases"]])
            link = page.get("next")
        assert pages == [[5, 4], [3, 2], [1]]


def test_apps_come_sorted_page_by_page(live: Live, sealed: BundleMaker) -> None:
    for app, channel in (("b", "x"), ("a", "y"), ("a", "x"), ("a-b", "x")):
        live.publish(sealed(sequence=1, app=app, channel=channel)).raise_for_status()
    pages, link = [], "/v1/apps?limit=3"
    while link:
        page = live.client.get(link).raise_for_status().json()
        pages.append([(one["app"], one["channel"]) for one in page["latest"]])
        link = page.get("next")
    assert pages == [[("a", "x"), ("a", "y"), ("a-b", "x")], [("b", "x")]]


def test_the_status_page_shows_so_many_and_says_where_the_rest_is(
    live: Live, sealed: BundleMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("capseal.server.routes.status._CHANNELS", 1)
    monkeypatch.setattr("capseal.server.routes.status._RELEASES", 2)
    for sequence in (1, 2, 3):
        live.publish(sealed(sequence=sequence)).raise_for_status()
    live.publish(sealed(sequence=1, app="other")).raise_for_status()
    page = live.client.get("/").text
    assert page.count("<tr>") == 3  # and the head
    assert f"/v1/apps/{APP}/channels/{CHANNEL}/releases" in page
    assert f"?after={APP}/{CHANNEL}" in page
    assert "other" in live.client.get(f"/?after={APP}/{CHANNEL}").text


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "after=a", "after=../x"])
def test_a_page_that_is_none_is_refused(live: Live, query: str) -> None:
    assert live.client.get(f"/v1/apps?{query}").json()["type"] == "urn:capseal:problem:page"

"""Tokens have names, rights and apps; the server knows them by their digests."""

import hashlib
from pathlib import Path

import pytest

from capseal import KeyFileError, TrustStore
from capseal.server import Right, Token, load_tokens, parse_tokens
from support.serving import APP, TOKEN, Bundle, Live, live_server

OTHER = "com.example.other"
ALL = {Right.PUBLISH, Right.WITHDRAW, Right.METRICS}


def secret(name: str) -> str:
    return f"{name}-0123456789abcdef"


def token(name: str, *rights: Right, apps: set[str] | None = None) -> Token:
    digest = hashlib.sha256(secret(name).encode()).digest()
    return Token(name=name, digest=digest, rights=frozenset(rights), apps=None if apps is None else frozenset(apps))


TOKENS = [
    token("game", Right.PUBLISH, apps={APP}),
    token("other", Right.PUBLISH, Right.WITHDRAW, apps={OTHER}),
    token("keeper", Right.WITHDRAW, apps={APP}),
    token("prometheus", Right.METRICS),
]


def shows(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret(name)}"}


def published_by(live: Live, name: str, bundle: Bundle) -> None:
    live.client.headers.update(shows(name))
    live.publish(bundle).raise_for_status()
    del live.client.headers["Authorization"]


def test_a_token_for_one_app_begins_no_upload_of_another(store: Path, trust: TrustStore, bundle: Bundle) -> None:
    with live_server(str(store), trust, tokens=TOKENS) as live:
        answer = live.begin(bundle.seal, headers=shows("other"))
        assert answer.status_code == 403
        assert answer.json()["type"] == "urn:capseal:problem:forbidden"
        assert answer.json()["detail"] == f"token other may not publish {APP}"
        for name in ("keeper", "prometheus"):
            answer = live.begin(bundle.seal, headers=shows(name))
            assert (answer.status_code, answer.json()["detail"]) == (403, f"token {name} may not publish")
        assert live.begin(bundle.seal).status_code == 401
        assert not (store / "uploads").exists()
        assert live.begin(bundle.seal, headers=shows("game")).status_code == 201


def test_a_token_for_one_app_touches_no_upload_of_another(store: Path, trust: TrustStore, bundle: Bundle) -> None:
    with live_server(str(store), trust, tokens=TOKENS) as live:
        links = live.begin(bundle.seal, headers=shows("game")).json()["links"]
        for method, link in (("GET", "self"), ("PUT", "payload"), ("POST", "self"), ("DELETE", "self")):
            content = bundle.payload if method == "PUT" else b""
            answer = live.client.request(method, links[link], content=content, headers=shows("other"))
            assert answer.status_code == 403, method
        published_by(live, "game", bundle)
        assert live.client.post(links["self"], headers=shows("other")).status_code == 403
        assert live.client.post(links["self"], headers=shows("game")).status_code == 200


def test_a_token_withdraws_only_with_that_right_and_only_its_apps(
    store: Path, trust: TrustStore, bundle: Bundle, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "capseal.server")
    with live_server(str(store), trust, tokens=TOKENS) as live:
        published_by(live, "game", bundle)
        for name, status in (("game", 403), ("other", 403), ("prometheus", 403), ("nobody", 401), ("keeper", 200)):
            assert live.client.delete(live.release_url(7), headers=shows(name)).status_code == status, name
    by = {
        record.message: record.members["token"]
        for record in caplog.records
        if "token" in getattr(record, "members", {})
    }
    assert by == {"published": "game", "withdrawn": "keeper"}
    assert secret("game") not in caplog.text


def test_metrics_are_read_with_that_right_alone_once_tokens_have_names(
    store: Path, tmp_path: Path, trust: TrustStore, bundle: Bundle
) -> None:
    with live_server(str(store), trust, tokens=TOKENS) as live:
        assert live.client.get("/metrics").status_code == 401
        assert live.client.get("/metrics", headers=shows("game")).status_code == 403
        assert live.client.get("/metrics", headers=shows("prometheus")).status_code == 200
        for path in ("/healthz", "/", "/v1/apps"):  # what is public stays so
            assert live.client.get(path).status_code == 200
    with live_server(str(tmp_path / "second"), trust, token=TOKEN) as live:
        assert live.client.get("/metrics").status_code == 200


def test_a_right_that_no_token_has_is_nobodys(store: Path, trust: TrustStore, bundle: Bundle) -> None:
    with live_server(str(store), trust, tokens=[token("prometheus", Right.METRICS)]) as live:
        for headers in ({}, shows("prometheus")):
            answer = live.begin(bundle.seal, headers=headers)
            assert (answer.status_code, answer.json()["type"]) == (403, "urn:capseal:problem:no-token")
            assert answer.json()["detail"] == "no token of this server may publish"


def test_who_may_not_read_metrics_is_told_so(store: Path, trust: TrustStore) -> None:
    with live_server(str(store), trust, tokens=TOKENS) as live:
        answer = live.client.get("/metrics", headers=shows("game"))
        assert (answer.status_code, answer.json()["detail"]) == (403, "token game may not read metrics")


def test_a_token_that_only_resembles_one_is_none(store: Path, trust: TrustStore, bundle: Bundle) -> None:
    right = secret("game")
    mine = hashlib.sha256(right.encode()).digest()[:1]
    alike = next(text for text in map(str, range(10_000)) if hashlib.sha256(text.encode()).digest()[:1] == mine)
    with live_server(str(store), trust, tokens=TOKENS) as live:
        for shown in (alike, right[:-1], right + "x", right.upper(), "x" + right):
            assert live.begin(bundle.seal, headers={"Authorization": f"Bearer {shown}"}).status_code == 401, shown
        for header in (right, f"Basic {right}", f"Bearer{right}"):
            assert live.begin(bundle.seal, headers={"Authorization": header}).status_code == 401, header
        assert live.begin(bundle.seal, headers={"Authorization": f"bearer {right}"}).status_code == 201


def test_a_file_of_tokens_holds_digests_or_names_of_variables(tmp_path: Path) -> None:
    file = tmp_path / "tokens.toml"
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    file.write_text(
        f'[ci]\nsha256 = "{digest}"\nrights = ["publish", "withdraw"]\napps = ["{APP}"]\n'
        '[scraper]\nvariable = "SCRAPER_TOKEN"\nrights = ["metrics"]\n'
    )
    ci, scraper = load_tokens(file, variables={"SCRAPER_TOKEN": secret("scraper") + "\n"})
    assert (ci.name, ci.digest.hex(), ci.apps) == ("ci", digest, {APP})
    assert ci.rights == {Right.PUBLISH, Right.WITHDRAW}
    assert scraper == token("scraper", Right.METRICS)
    assert digest not in repr(ci)


GOOD = {"sha256": f'"{"a" * 64}"', "rights": '["publish"]'}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"sha256": None}, r"\[ci\]: expected one of sha256 and variable"),
        ({"variable": '"X"'}, "expected one of sha256 and variable"),
        ({"sha256": '"ABC"'}, "is not 64 hex digits in lower case"),
        ({"sha256": "7"}, "expected a string, found 7"),
        ({"sha256": None, "variable": '"NOT_SET"'}, "variable NOT_SET: holds no token of at least 16 characters"),
        ({"rights": '["publish", "root"]'}, "'root' is unknown, expected some of publish, withdraw, metrics"),
        ({"rights": None}, "rights: expected a list of strings"),
        ({"rights": "[]"}, "for nothing"),
        ({"apps": "[]"}, "for nothing"),
        ({"apps": '["../x"]'}, "is not a name"),
        ({"app": '"x"'}, "'app' is unknown"),
    ],
)
def test_a_declaration_that_is_none_is_told_with_its_place(change: dict[str, str | None], complaint: str) -> None:
    members = {name: value for name, value in {**GOOD, **change}.items() if value is not None}
    text = "[ci]\n" + "".join(f"{name} = {value}\n" for name, value in members.items())
    with pytest.raises(KeyFileError, match=complaint):
        parse_tokens(text.encode(), where="tokens.toml", variables={})


def test_what_declares_no_token_is_refused(tmp_path: Path) -> None:
    for text, complaint in ((b"", "no token is declared"), (b"ci = 1", "expected a table"), (b"[", "tokens.toml: ")):
        with pytest.raises(KeyFileError, match=complaint):
            parse_tokens(text, where="tokens.toml", variables={})
    (tmp_path / "big").write_bytes(bytes(2 << 20))
    with pytest.raises(KeyFileError, match="more than 1048576 bytes"):
        load_tokens(tmp_path / "big", variables={})


def test_two_names_for_one_token_are_refused(store: Path, trust: TrustStore) -> None:
    twice = [token("game", *ALL), Token(name="again", digest=token("game").digest, rights=frozenset(ALL))]
    with (
        pytest.raises(KeyFileError, match="tokens game and again are the same"),
        live_server(str(store), trust, tokens=twice),
    ):
        pass

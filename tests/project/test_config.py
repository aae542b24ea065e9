"""capseal.toml: what is written into it is read from it."""

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from capseal import UsageError
from capseal.project.config import FILE_NAME, Config, find, load

names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)  # NUL is refused, below
paths = names.filter(lambda name: "/" not in name and name not in (".", ".."))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(app=names, web=paths, recipients=st.lists(paths).map(tuple))
def test_configuration_that_was_written_is_read_again(tmp_path, monkeypatch, app, web, recipients):
    monkeypatch.chdir(tmp_path)
    written = Config(app=app, web=web, signers=("pkcs11:object=x", "keys/a.pem"), recipients=recipients)
    (tmp_path / FILE_NAME).write_bytes(written.encode())
    assert find() == written


def test_every_field_of_the_configuration_can_be_written_in_the_file(tmp_path):
    for field, default in Config._field_defaults.items():
        (tmp_path / FILE_NAME).write_text(f"{field} = ['x']" if default == () else f"{field} = 'x'")
        assert getattr(load(str(tmp_path / FILE_NAME)), field) != default


def test_an_unknown_name_is_refused_with_those_that_are_known(tmp_path):
    (tmp_path / FILE_NAME).write_text("apps = 'x'")
    with pytest.raises(UsageError, match=r"'apps' is unknown, expected one of app, channel, web, signers"):
        load(str(tmp_path / FILE_NAME))


def test_configuration_of_a_folder_is_that_of_its_nearest_parent_that_has_one(tmp_path, monkeypatch):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / FILE_NAME).write_text("web = 'outer'")
    (tmp_path / "a" / FILE_NAME).write_text("web = 'inner'")
    monkeypatch.chdir(tmp_path)
    assert find("a/b").web == os.path.join("a", "inner")
    assert find(".").web == "outer"


@pytest.mark.parametrize(
    "text",
    ["x = " + "9" * 5000, "x = " + "[" * 100_000, "web = 'a\0b'", 'web = "a\\u0000b"', 'app = "a\\u0000b"', "\ufeff="],
)
def test_configuration_that_cannot_be_read_is_the_users_mistake(tmp_path, text):
    (tmp_path / FILE_NAME).write_text(text)
    with pytest.raises(UsageError, match=r"capseal\.toml: "):
        load(str(tmp_path / FILE_NAME))

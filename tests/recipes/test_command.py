"""`capseal seal --base`: what is written, and what is refused in one line."""

import pytest

import capseal
from capseal.client import Connection, publish
from support.command import run
from support.serving import live_server
from support.updates import APP, write_versions


@pytest.fixture
def project(tmp_path, signer, recipient):
    write_versions(tmp_path)
    (tmp_path / "s.pem").write_bytes(signer.pem())
    (tmp_path / "r.pem").write_bytes(recipient.pem())
    (tmp_path / "r.pub.pem").write_bytes(recipient.public_key.pem)
    (tmp_path / "trust.json").write_bytes(capseal.TrustStore.of(signer.public_key).to_json())

    def seal(source, output, *words):
        options = ["--version", "1", "--app", APP, "-s", "s.pem", "-r", "r.pub.pem", "-o", output]
        return run("seal", source, *options, *words, cwd=tmp_path)

    assert seal("old", "old.sealed").code == 0
    return tmp_path, seal


@pytest.mark.parametrize("base", ["old", "old.sealed"])
def test_recipes_are_written_beside_the_bundle_and_named_in_its_seal(project, base):
    folder, seal = project
    keys = ["-i", "r.pem", "--trust", "trust.json"] if base == "old.sealed" else []
    done = seal("new", "new.sealed", "--base", base, *keys)
    assert done.code == 0, done.err
    recipes = sorted(path.name for path in folder.glob("new.sealed.*"))
    digest = capseal.inspect(folder / "old.sealed")[1].payload.digest.hex()
    assert len(recipes) == 2 and recipes[1] == "new.sealed.recipe-fresh"
    assert (recipes[0] == f"new.sealed.recipe-{digest[:16]}") is (base == "old.sealed")
    companions = capseal.inspect(folder / "new.sealed")[1].companions
    assert sorted(f"new.sealed.{one.name}" for one in companions) == recipes
    for one in companions:
        assert one.sealed and one.media_type == "application/vnd.capseal.delta.v1"
        assert (folder / f"new.sealed.{one.name}").stat().st_size == one.size
    assert (folder / recipes[0]).stat().st_size < (folder / "new.sealed").stat().st_size / 100
    # A second time they are there already; -f replaces all of them together.
    assert seal("new", "new.sealed", "--base", base, *keys).code == 2
    assert seal("new", "new.sealed", "--base", base, *keys, "-f").code == 0


def test_a_base_that_cannot_be_opened_leaves_nothing(project):
    folder, seal = project
    keys = ["-i", "r.pem", "--trust", "trust.json"]
    run("split", "old.sealed", "--seal", "old.seal", "--payload", "old.payload", cwd=folder).succeeded()
    before = sorted(path.name for path in folder.iterdir())
    for words, said in (
        (["--base", "absent"], "absent"),
        (["--base", "s.pem"], "a base is a folder or a zip"),
        (["--base", "old.sealed"], "no identity"),
        (["--base", "old.sealed", "-i", "s.pem", "--trust", "trust.json"], "no identity fits"),
        (["--base", "old.seal", *keys], "old.seal: a seal by itself is no base; name old.payload, beside which"),
    ):
        done = seal("new", "new.sealed", *words)
        assert (done.code != 0, done.err.count("\n")) == (True, 1), done.err
        assert said in done.err
    assert sorted(path.name for path in folder.iterdir()) == before


def test_what_is_mirrored_is_rebuilt_from_what_is_there(project, signer):
    folder, seal = project
    assert seal("new", "new.sealed", "--base", "old", "--sequence", "7").code == 0
    with live_server(str(folder / "store"), capseal.TrustStore.of(signer.public_key)) as live:
        with Connection(live.url) as connection:
            publish(folder / "new.sealed", connection)
        (folder / "mirror").mkdir()
        words = ("fetch", live.url, "-o", "mirror", "--app", APP, "--trust", "trust.json")
        done = run(*words, "--base", "old", "-i", "r.pem", cwd=folder)
        assert done.code == 0, done.err
        assert ": " in done.err and " segments of the payload" in done.err and done.err.count("\n") == 1
        [payload] = (folder / "mirror").glob("*.payload")
        assert (folder / "new.sealed").read_bytes().endswith(payload.read_bytes())
        # What the base does not have comes by range, and what is there already is not made again.
        payload.unlink()
        (folder / "old" / "assets.bin").write_bytes(bytes((folder / "old" / "assets.bin").stat().st_size))
        assert run(*words, "--base", "old", "-i", "r.pem", cwd=folder).code == 0
        assert (folder / "new.sealed").read_bytes().endswith(payload.read_bytes())
        done = run(*words, "--base", "old", "-i", "s.pem", cwd=folder)
        assert (done.code, done.err) == (0, "")


def test_who_fetches_is_told_why_no_recipe_is_from_what_is_named(project, signer):
    """A release's recipes are from sealed bundles, by their payloads: from the folder of one, there is none."""
    folder, seal = project
    keys = ("-i", "r.pem", "--trust", "trust.json")
    assert seal("new", "new.sealed", "--base", "old.sealed", "--sequence", "7", *keys).code == 0
    [recipe] = (path.suffix[1:] for path in folder.glob("new.sealed.recipe-*") if not path.name.endswith("fresh"))
    with live_server(str(folder / "store"), capseal.TrustStore.of(signer.public_key)) as live:
        with Connection(live.url) as connection:
            publish(folder / "new.sealed", connection)
        told = run("fetch", live.url, "-o", "a", "--app", APP, *keys, "--base", "old", cwd=folder)
        why, fresh = told.err.splitlines()
        assert why == (
            f"capseal: old: the release has no recipe from that, its recipes: {recipe}, recipe-fresh; recipes of "
            "releases are from sealed bundles, so name that of it"
        )
        assert fresh.startswith("capseal: recipe-fresh: ")
        told = run("fetch", live.url, "-o", "b", "--app", APP, *keys, "--base", "old.sealed", cwd=folder)
        assert told.err.startswith(f"capseal: {recipe}: ") and told.err.count("\n") == 1

"""Which names an archive may have."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capseal import FormatError
from capseal.archive.names import Names, caseless, check_path, check_tree

PEOPLES_NAMES = [
    "Screenshot at 9.00.00\u202fPM.png",
    "Sn\u00edmek\u00a0v.png",
    "\u65e5\u672c\u3000\u8a9e.png",
    "\U0001f469\u200d\U0001f4bb.png",
    "\u0645\u06cc\u200c\u062e.html",
    "[slug].js",
    "(group)/page.js",
    "a b/c+d=e@2x~1#$%&'{}!,;^`.png",
    ".well-known/apple-app-site-association",
    "...js",
    "console.js",
    "com.example/nullable.js",
    "\u200f".replace("\u200f", "\u05d0") + ".txt",
    "\ufeffbom.txt",
]


@pytest.mark.parametrize("name", PEOPLES_NAMES)
def test_names_that_people_have_are_allowed(name):
    check_path(name)
    names = Names(limit=10)
    names.add_file(name)


@pytest.mark.parametrize("char", [
    "\0", "\n", "\x1b", "\x7f", "\x85", "\u2028", "\u2029", "\ud800", "\u061c", "\u200e", "\u200f", "\u202a", "\u202e",
    "\u2066", "\u2069", "\ufffe", "\U0010ffff",
])  # fmt: skip
def test_what_cannot_be_seen_or_stored_is_refused_by_its_code(char):
    with pytest.raises(FormatError, match=f"U\\+{ord(char):04X}.*rename it"):
        check_path(f"js/a{char}b")


@pytest.mark.parametrize("char", '<>:"|?*')
def test_what_windows_cannot_store_is_refused(char):
    with pytest.raises(FormatError, match="Windows cannot store"):
        check_path(f"a{char}b/c")


@pytest.mark.parametrize("name", [
    "CON", "con", "nul", "Aux.js", "js/PRN.tar.gz", "com1", "LPT9.txt", "com\u00b9", "CONIN$", "conout$.x", "nul .txt",
    "aux/a",
])  # fmt: skip
def test_devices_of_windows_are_refused(name):
    with pytest.raises(FormatError, match="device on Windows"):
        check_path(name)


@pytest.mark.parametrize("name", ["a.", "a ", "a./b", "a /b", ".. ", "ä."])
def test_a_final_dot_or_space_is_refused(name):
    with pytest.raises(FormatError, match="ends in a dot or space"):
        check_path(name)


@pytest.mark.parametrize("name", ["", "/", "/a", "a//b", "a/", ".", "..", "./a", "a/../b", "a/.."])
def test_paths_that_are_not_plain_are_refused(name):
    with pytest.raises(FormatError, match=r"empty part|absolute"):
        check_path(name)


def test_a_backslash_is_refused_with_what_to_do():
    with pytest.raises(FormatError, match=r"assets.*backslash; zip it again with '/'"):
        check_path("assets\\x.js")


@pytest.mark.parametrize(("name", "fits"), [
    ("a" * 255, True), ("a" * 256, False), ("ä" * 127, True), ("ä" * 128, False), ("/".join("a" * 64), True),
    ("/".join("a" * 65), False), ("/".join(["a" * 100] * 10), True), ("/".join(["a" * 100] * 11), False),
])  # fmt: skip
def test_lengths_and_levels_are_capped(name, fits):
    if fits:
        check_path(name)
    else:
        with pytest.raises(FormatError, match="at most 1024, 255 and 64 are allowed; shorten it"):
            check_path(name)


@pytest.mark.parametrize(("one", "other"), [
    ("Index.html", "index.html"), ("\u00e9", "e\u0301"), ("stra\u00dfe", "STRASSE"), ("K", "\u212a"),
    ("\u0130", "i\u0307"), ("\u017f", "S"), ("\uff41", "\uff21"), ("\u03c2", "\u03c3"), ("JS/a", "js/b"),
    ("\u01f0", "J\u030c"), ("\u1fb4", "\u03b1\u0345\u0301"),
])  # fmt: skip
def test_two_names_that_are_one_somewhere_are_refused(one, other):
    names = Names(limit=10)
    names.add_file(one)
    with pytest.raises(FormatError, match="the same name as"):
        names.add_file(other)


def test_two_names_that_look_alike_are_told_apart():
    names = Names(limit=10)
    names.add_file("\u00fc.html")
    with pytest.raises(FormatError, match=r"^entry 'u\\u0308.html': the same name as '\\xfc.html' on some"):
        names.add_file("u\u0308.html")
    with pytest.raises(FormatError, match=r"^entry '\u00dc.html': the same name as '\u00fc.html' on some"):
        names.add_file("\u00dc.html")


@pytest.mark.parametrize("steps", [
    [("file", "a"), ("file", "a")], [("folder", "a"), ("folder", "a")], [("file", "a"), ("file", "a/b")],
    [("file", "a/b"), ("file", "a")], [("folder", "a"), ("file", "a")], [("file", "a"), ("folder", "a")],
])  # fmt: skip
def test_no_name_is_taken_twice(steps):
    names = Names(limit=10)
    (first, one), (second, two) = steps
    getattr(names, f"add_{first}")(one)
    with pytest.raises(FormatError, match="twice"):
        getattr(names, f"add_{second}")(two)


def test_a_folder_may_be_implied_before_it_is_named():
    names = Names(limit=10)
    names.add_file("a/b/c")
    names.add_folder("a/b")
    names.add_folder("a")
    assert names.folders == ["a", "a/b"]


@pytest.mark.parametrize("add", [Names.add_file, Names.add_folder])
def test_one_more_than_the_limit_is_refused(add):
    names = Names(limit=2)
    names.add_file("a/b")
    with pytest.raises(FormatError, match="more than 2 files and folders"):
        add(names, "c")


def test_implied_folders_count():
    names = Names(limit=64)
    names.add_file("/".join(["d"] * 63 + ["f"]))
    with pytest.raises(FormatError, match="more than 64 files and folders"):
        names.add_file("/".join(["e"] + ["d"] * 62 + ["f"]))


text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


@given(text, text)
def test_names_collide_exactly_if_their_keys_are_equal(one, other):
    names = Names(limit=10)
    try:
        check_path(one)
        check_path(other)
    except FormatError:
        return
    names.add_file(one)
    if caseless(one) == caseless(other) or one.startswith(other + "/") or other.startswith(one + "/"):
        with pytest.raises(FormatError):
            names.add_file(other)


@given(text)
def test_a_name_that_passes_holds_nothing_unseen_and_is_stable(name):
    try:
        check_path(name)
    except FormatError as error:
        assert str(error).isprintable()
        return
    assert not any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in name)
    assert not name.endswith((".", " ", "/"))
    assert caseless(caseless(name)) == caseless(name)


@given(st.lists(text, max_size=4).map("/".join))
def test_the_parts_of_a_path_are_checked_as_the_whole(path):
    def passes(call):
        try:
            call()
        except FormatError:
            return False
        return True

    assert passes(lambda: check_path(path)) == passes(lambda: Names(limit=100).add_file(path))


@given(
    st.lists(
        st.lists(st.text("aAbBnNuUlLoOcCxX.é /\u0301\\:1", min_size=1, max_size=4), min_size=1, max_size=3), max_size=6
    )
)
def test_a_whole_tree_is_checked_as_its_names_one_by_one(lists):
    """The fast way for a folder, and the slow one."""
    paths = sorted({"/".join(parts) for parts in lists})
    folders = {path[: at + 1] for path in paths for at, char in enumerate(path) if char == "/"}
    tree = sorted([*paths, *folders])

    def refused(call):
        try:
            call()
        except FormatError:
            return True
        return False

    def one_by_one():
        names = Names(limit=8)
        for path in tree:
            names.add_folder(path[:-1]) if path.endswith("/") else names.add_file(path)

    assert refused(lambda: check_tree(tree, limit=8)) == refused(one_by_one)

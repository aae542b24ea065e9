"""Every name that can be sealed gives files that every file system can hold, each its own."""

from capseal.format.release_files import release_base, release_file

LONGEST = 2**53 - 1


def test_names_of_usual_length_stand_as_they_are():
    assert release_file("com.example.game", "production", 7, "payload") == "com.example.game@production-7.payload"
    assert release_base("a" * 87, "b" * 10) == "a" * 87 + "@" + "b" * 10


def test_the_longest_names_fit():
    for ending in ("seal", "payload", "attachment." + "n" * 128, "index." + "n" * 128):
        assert len(release_file("a" * 128, "c" * 128, LONGEST, ending).encode()) <= 255


def test_long_names_that_differ_anywhere_stay_different():
    bases = {release_base("a" * 128, "c" * 127 + end) for end in "xyz"}
    bases |= {release_base("a" * 127, "c" * 127 + "x"), release_base("a" * 128, "c" * 126)}
    assert len(bases) == 5
    assert all("~" in base for base in bases)

"""What `import capseal` offers, and what it costs."""

import pickle
import subprocess
import sys
from importlib import import_module

import pytest

import capseal
from capseal import capgo, device, errors


def test_all_is_sorted_and_is_exactly_what_the_homes_hold():
    assert sorted(set(capseal.__all__)) == sorted(capseal.__all__)
    assert set(capseal.__all__) == {*capseal._HOME_OF, "__version__"}


@pytest.mark.parametrize("name", sorted(capseal._HOME_OF))
def test_every_public_name_is_the_object_in_its_home(name):
    assert getattr(capseal, name) is getattr(import_module(f"capseal.{capseal._HOME_OF[name]}"), name)


def test_public_names_are_not_shadowed_by_modules():
    for home in capseal._HOMES:
        import_module(f"capseal.{home}")
    for name in capseal._HOME_OF:
        assert type(getattr(capseal, name)) is not type(sys), name


def test_every_error_is_public_and_drawn_in_the_tree():
    classes = {name for name, value in vars(errors).items() if isinstance(value, type)}
    assert classes <= set(capseal.__all__)
    assert all(name in errors.__doc__ for name in classes)
    assert all(issubclass(getattr(errors, name), errors.CapsealError) for name in classes)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = capseal.nothing


def test_importing_capseal_imports_neither_numpy_nor_cryptography():
    code = (
        "import sys, capseal; print(capseal.__version__);"
        "print([m for m in sys.modules if m.split('.')[0] in ('numpy', 'cryptography', 'cffi')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"{capseal.__version__}\n[]\n"


@pytest.mark.parametrize("room", [capgo, device])
def test_every_name_at_a_door_is_there_and_none_is_a_module(room):
    for name in room.__all__:
        assert type(getattr(room, name)) is not type(sys), name


@pytest.mark.parametrize(
    ("room", "name", "name_at_home"),
    [
        (capgo, "Bundle", "CapgoBundle"),
        (capgo, "Manifest", "CapgoManifest"),
        (capgo, "PrivateKey", "CapgoPrivateKey"),
        (capgo, "PublicKey", "CapgoPublicKey"),
        (capgo, "Release", "CapgoRelease"),
        (device, "Bundle", "InstalledBundle"),
        (device, "Limits", "ArchiveLimits"),
    ],
)
def test_class_with_a_second_name_can_be_pickled_and_says_which_it_is(room, name, name_at_home):
    public = getattr(room, name)
    assert public.__name__ == name_at_home
    assert pickle.loads(pickle.dumps(public)) is public

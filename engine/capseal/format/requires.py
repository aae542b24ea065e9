"""What a bundle needs of the app that shall run it (docs/format.md, Statement)."""

import re
from dataclasses import dataclass
from typing import Any

from ..constants import MAX_PLATFORMS
from ..errors import FormatError
from .strictjson import Members, check_name

_VERSION = re.compile(r"(0|[1-9][0-9]{0,14})(\.(0|[1-9][0-9]{0,14})){0,3}")
_BOUNDS = ("min", "below")


@dataclass(frozen=True, slots=True, kw_only=True)
class Requires:
    """What a bundle needs of the app that shall run it; what is None or empty demands nothing.

    native_min, native_below: the lowest version of the native app that will do, and the lowest that
    will do no longer, as version_numbers() reads them. platforms: such as `android`, in lower case.
    """

    native_min: str | None = None
    native_below: str | None = None
    platforms: tuple[str, ...] = ()

    def misfit(self, *, native: str | None, platform: str | None) -> str | None:
        """Return why the bundle does not fit what is told of an app, or None. What is not told fits."""
        if native is not None:
            numbers = version_numbers(native)
            if self.native_min is not None and numbers < version_numbers(self.native_min):
                return f"bundle needs native version {self.native_min} or later, here is {native}"
            if self.native_below is not None and numbers >= version_numbers(self.native_below):
                return f"bundle needs a native version below {self.native_below}, here is {native}"
        if platform is not None and self.platforms and platform not in self.platforms:
            return f"bundle is for platform {' or '.join(self.platforms)}, here is {platform[:64]!r}"
        return None

    @property
    def shown(self) -> str:
        """The requirements in words, for people."""
        bounds = (("from", self.native_min), ("below", self.native_below))
        versions = [f"{word} {version}" for word, version in bounds if version is not None]
        native = [f"native version {' and '.join(versions)}"] if versions else []
        return ", ".join([*native, *([" or ".join(self.platforms)] if self.platforms else [])])

    def to_json(self) -> dict[str, Any]:
        """Return the requirements as JSON values."""
        versions = {"min": self.native_min, "below": self.native_below}
        native = {name: version for name, version in versions.items() if version is not None}
        value: dict[str, Any] = {"native": native} if native else {}
        return value | ({"platforms": list(self.platforms)} if self.platforms else {})

    @classmethod
    def parse(cls, value: object, place: str) -> "Requires":
        """Parse requirements, of which there must be one. Raises FormatError."""
        members = Members(value, place, required=(), optional=("native", "platforms"))
        _need_one(members, "native", "platforms")
        versions: dict[str, str] = {}
        if "native" in members:
            native = Members(members.take("native", dict), members.place("native"), required=(), optional=_BOUNDS)
            _need_one(native, *_BOUNDS)
            versions = {name: native.text(name, check_version) for name in _BOUNDS if name in native}
            if len(versions) == 2 and version_numbers(versions["min"]) >= version_numbers(versions["below"]):
                raise FormatError(f"{native.place('min')}: {versions['min']} is not below {versions['below']}")
        platforms: dict[str, None] = {}
        if "platforms" in members:
            for i, item in enumerate(members.array("platforms", least=1, most=MAX_PLATFORMS)):
                where = f"{members.place('platforms')}[{i}]"
                if type(item) is not str:
                    raise FormatError(f"{where}: expected a string")
                if check_platform(item, where) in platforms:
                    raise FormatError(f"{where}: platform {item!r} appears twice")
                platforms[item] = None
        return cls(native_min=versions.get("min"), native_below=versions.get("below"), platforms=tuple(platforms))


def check_version(value: str, place: str) -> str:
    """Return a native app's version: 1 to 4 integers without leading zeros, with dots between."""
    if not _VERSION.fullmatch(value):
        raise FormatError(f"{place}: {value[:64]!r} is not 1 to 4 integers of at most 15 digits such as 1.4.2")
    return value


def version_numbers(version: str) -> tuple[int, ...]:
    """Return the four numbers by which versions compare: those that are missing are 0."""
    numbers = [int(number) for number in version.split(".")]
    return (*numbers, *(0 for _ in range(4 - len(numbers))))


def check_platform(value: str, place: str) -> str:
    """Return a platform's name: a name in lower case."""
    if check_name(value, place) != value.lower():
        raise FormatError(f"{place}: {value[:64]!r} is not in lower case")
    return value


def _need_one(members: Members, *names: str) -> None:
    if not any(name in members for name in names):
        raise FormatError(f"{members.place(names[0])}: missing, and so is {names[1]}; one of them is required")

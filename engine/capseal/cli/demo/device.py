"""The device's part of capseal demo: updates that are tampered with, that crash, are replayed, and are withheld."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from ...constants import RECIPIENT_RSA_BITS
from ...errors import RejectedError, RollbackError, TamperedError
from .scene import APP, DemoFailedError, Done, Scene

if TYPE_CHECKING:
    from ...crypto.keys import PrivateKey
    from ...device import DeviceStore, Running
    from ...trust.heads import SignedHead

_BUILT_IN = 0
_WEEK_S = 7 * 24 * 3600


@dataclass(frozen=True, slots=True)
class _Device:
    """A device, and the publisher of its updates."""

    scene: Scene

    def store(self, **keywords: Any) -> "DeviceStore":
        """Open the store anew, as a started app does. keywords: of DeviceStore, beside what is usual."""
        from ...device import DeviceStore

        settings: dict[str, Any] = {"trust": self.scene.trust, "identity": self.scene.device, "app": APP} | keywords
        return DeviceStore(os.path.join(self.scene.folder, "device"), builtin=self.source(_BUILT_IN), **settings)

    def source(self, version: int) -> str:
        """Return the folder of a version's content, which is made where it is missing."""
        folder = os.path.join(self.scene.folder, "app", str(version))
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "index.html"), "w", encoding="ascii") as file:
            file.write(f"<h1>version {version}</h1>\n")
        return folder

    def sealed(self, version: int) -> str:
        """Return the path of a version's sealed bundle, which is made where it is missing."""
        import capseal

        path = os.path.join(self.scene.folder, f"v{version}.sealed")
        if not os.path.exists(path):
            capseal.seal(
                self.source(version),
                path,
                signer=self.scene.signer,
                recipients=[self.scene.device.public_key],
                app=APP,
                version=str(version),
                sequence=version,
            )
        return path

    def update(self, version: int) -> None:
        """Install and start a version; it is not confirmed yet."""
        store = self.store()
        store.install(self.sealed(version))
        store.activate()
        self.expect(version, store.boot(verify=True))

    def refused(self, path: str, expected: type[RejectedError], runs: int) -> str:
        """Try to install what must be refused; return what the device said, when it still runs what it ran."""
        try:
            self.store().install(path)
        except expected as error:
            self.expect(runs, self.store().boot(verify=True))
            return str(error)
        raise DemoFailedError(f"{path}: was installed")

    def expect(self, version: int, running: "Running") -> None:
        """Raise unless that version is what runs."""
        with open(os.path.join(running.path, "index.html"), encoding="ascii") as file:
            found = file.read().strip()
        if found != f"<h1>version {version}</h1>":
            raise DemoFailedError(f"version {version} should run, {found} does")


def _first(device: _Device) -> Done:
    device.update(1)
    device.store().confirm()
    return Done("v1 installed, started and confirmed")


def _tampered(device: _Device) -> Done:
    path = device.sealed(2)
    altered = path + ".altered"
    with open(path, "rb") as file:
        data = bytearray(file.read())
    data[-1] ^= 1
    with open(altered, "wb") as file:
        file.write(data)
    return Done("v2 altered on the way: REFUSED, v1 runs", note=device.refused(altered, TamperedError, 1))


def _crash(device: _Device) -> Done:
    device.update(2)  # and it never confirms
    running = device.store().boot()
    device.expect(1, running)
    return Done("v2 started but never confirmed: v1 runs again", note=str(running.problem))


def _next(device: _Device) -> Done:
    device.update(3)
    device.store().confirm()
    return Done("v3 installed, started and confirmed")


def _replay(device: _Device) -> Done:
    return Done("v2 replayed: REFUSED, v3 runs", note=device.refused(device.sealed(2), RollbackError, 3))


def _withheld(device: _Device) -> Done:
    """The publisher says what is current, for a week at a time; a server shows v4 and its head to nobody."""
    from ...crypto.keys import PrivateKey

    publisher = _Publisher(device, PrivateKey.generate(RECIPIENT_RSA_BITS))
    store = publisher.store()
    store.take_head(publisher.head(3))
    publisher.clock += timedelta(seconds=_WEEK_S)
    latest = publisher.head(4)
    uncertain = publisher.store().status().uncertain
    if uncertain is None or uncertain.since is None:
        raise DemoFailedError("v4 was withheld, and nobody noticed")
    device.expect(3, publisher.store().boot(verify=True))
    note = f"uncertain since {uncertain.since:%Y-%m-%d}, in this story's future: {uncertain.why}"
    publisher.store().take_head(latest)
    publisher.store().install(device.sealed(4))
    return Done("v4 withheld by a server: NOTICED, v3 runs; v4 installed from another", note=note)


class _Publisher:
    """Who says what is current, and the clock of that story."""

    def __init__(self, device: _Device, key: "PrivateKey") -> None:
        from ...trust.key_sets import HeadPolicy, KeySet

        self._device = device
        self._key = key
        self.clock = datetime.now(UTC).replace(microsecond=0)
        heads = HeadPolicy(_WEEK_S, self.clock + timedelta(days=365), KeySet.of(key.public_key))
        self._trust = replace(device.scene.trust, heads=heads, created=self.clock)
        self._last: SignedHead | None = None

    def store(self) -> "DeviceStore":
        """Open the device's store anew, in a build of the app that wants to know what is current."""
        return self._device.store(trust=self._trust, head="required", wall_clock=lambda: self.clock)

    def head(self, version: int) -> bytes:
        """Return the head that names a version."""
        import capseal

        from ...format.head import NamedRelease
        from ...format.strictjson import Role
        from ...trust.head_chain import first_head, next_head, with_release
        from ...trust.heads import SignedHead, sign_head

        payload = capseal.inspect(self._device.sealed(version))[1].payload
        named = NamedRelease(version, payload.digest.hex())
        if self._last is None:
            channel, role = "production", Role.PRODUCTION
            said = first_head(self._trust, [named], app=APP, channel=channel, role=role, now=self.clock, age_s=_WEEK_S)
        else:
            said = with_release(next_head(self._last, self._trust, now=self.clock, age_s=_WEEK_S), named)
        self._last = SignedHead(said, said.encode())
        return sign_head(said, [self._key])


_STORY: tuple[tuple[str, Callable[[_Device], Done]], ...] = (
    ("device: v1", _first),
    ("tampered v2", _tampered),
    ("crashing v2", _crash),
    ("device: v3", _next),
    ("replay of v2", _replay),
    ("withheld v4", _withheld),
)


def steps() -> list[tuple[str, Callable[[Scene], Done]]]:
    """Return the steps of the story, which use the keys of the scene."""
    return [(name, partial(_tell, step)) for name, step in _STORY]


def _tell(step: Callable[[_Device], Done], scene: Scene) -> Done:
    return step(_Device(scene))

"""A device's state as its app sees it, and the trust store and the rules of heads that are in force by it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from ..errors import FormatError, UsageError
from ..format.strictjson import Members, Role
from ..trust.expect import Expect
from ..trust.store import TrustStore
from ._disk import Disk
from ._state import InstalledBundle, State
from ._state_file import encode_state, parse_state

if TYPE_CHECKING:
    from ..trust.heads import Current
    from ._heads import Heads


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """What comes with the app's build, and what its bundles must be for.

    trust: the built-in store; shipped: sequence of the built-in bundle; check: name of the archive check; head: how
    heads are used; wall_clock: gives the time, the system's where None.
    """

    trust: TrustStore
    name: str
    channel: str
    role: Role
    native: str | None
    platform: str | None
    shipped: int
    check: str
    head: str
    wall_clock: Callable[[], datetime] | None


class Memory:
    """What one device remembers. trust: the store in force; heads: the rules of heads, None where they have no say.

    Both are as of the last load().
    """

    def __init__(self, disk: Disk, app: App) -> None:
        self.disk = disk
        self.app = app
        self.trust = app.trust
        self.heads: Heads | None = None
        self._go_by(app.trust)

    def _go_by(self, trust: TrustStore) -> None:
        """Go by a trust store from now on."""
        app = self.app
        self.trust = trust
        self.heads = None
        if app.head != "ignored" and (app.head != "used" or trust.heads is not None):
            from . import _heads as heads  # here, since most apps have no head keys yet

            self.heads = heads.Heads(
                app.head,
                trust=trust,
                app=app.name,
                channel=app.channel,
                role=app.role,
                native=app.native,
                platform=app.platform,
                clock=app.wall_clock,
            )

    @contextmanager
    def changing(self) -> Iterator[State]:
        """Hold the lock on the state, where there is one, and give what it is. Raises as load() does."""
        if not self.disk.exists():
            yield self.load()
            return
        with self.disk.changing():
            yield self.load()

    def load(self) -> State:
        """Return the state as this app sees it: without what is older than its built-in bundle, by its trust store.

        Raises OSError, FormatError, UsageError.
        """
        app = self.app
        state = self.read().built_in(app.shipped, check=app.check)
        trust = app.trust
        if state.trust is not None or trust.restart is not None:
            from ._replaying import by_trust  # here, since most devices have followed no update

            state, trust = by_trust(state, trust)
        if trust != self.trust:
            self._go_by(trust)
        return replace(state, epoch=trust.epoch)

    def read(self) -> State:
        """Return the state as it is on disk. Raises as load() does."""
        data = self.disk.load()
        app = self.app
        try:
            state = State(app=app.name, channel=app.channel) if data is None else parse_state(data)
        except FormatError as error:
            raise FormatError(
                f"{self.disk.state}: {error}; until it is put back the built-in bundle runs; to begin anew delete "
                f"{self.disk.root}: what is installed, and the floor, are lost",
                offset=error.offset,
            ) from error
        if (state.app, state.channel) != (app.name, app.channel):
            raise UsageError(
                f"{self.disk.root}: holds bundles of app {state.app!r}, channel {state.channel!r}, "
                f"not of {app.name!r}, {app.channel!r}"
            )
        return state

    def save(self, state: State) -> None:
        """Replace the state file, durably, or raise OSError. Call it under changing()."""
        self.disk.save(encode_state(state))

    def follow(self, state: State, update: bytes) -> State:
        """Return the state after one more update of the trust store, and go by that. Raises RejectedError."""
        from ._replaying import with_update

        state, trust = with_update(state, self.trust, update)
        self.save(state)
        self._go_by(trust)
        return state

    def expect_kept(self, bundle: InstalledBundle) -> Expect:
        """Return what an installed bundle must be to be activated, run or confirmed, whatever the time is.

        Certificates must have been valid when it was made: it was installed while they were, and neither a wrong clock
        nor their end takes away what runs. Raises FormatError.
        """
        made = Members({"created": bundle.created}, f"bundle {bundle.id}", required=("created",)).time("created")
        return replace(self.expect(None), now=made)

    def expect(self, floor: int | None, *, head: "Current | None" = None) -> Expect:
        """Return what a bundle must be to be installed or run."""
        app = self.app
        return Expect(
            app=app.name,
            channel=app.channel,
            floor=floor,
            role=app.role,
            native=app.native,
            platform=app.platform,
            head=head,
            now=None if self.heads is None else self.heads.certificate_time(),
        )

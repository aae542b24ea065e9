"""What a device does with heads: which it accepts, what they let it install, when it is uncertain (docs/device.md)."""

import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from ..constants import ROLLOUT_SECRET_BYTES
from ..errors import NotForUsError, RejectedError, StaleError
from ..format.head import Head
from ..format.strictjson import Role
from ..trust.heads import (
    Current,
    HeadUse,
    accept_head,
    accept_named_recall,
    check_follows,
    check_fresh,
    check_store,
    current_for,
    time_of,
)
from ..trust.store import TrustStore
from ._head_memory import HeadMemory
from ._state import BY_RECALL, Failure, State, TakenHead, Uncertainty

RecallOf = Callable[[str], bytes | None]
"""Returns the recall of a digest, where it can be had."""


class Heads:
    """The rules of one device. trust: by which heads count; clock: gives the time, which may be wrong."""

    def __init__(
        self,
        use: str,
        *,
        trust: TrustStore,
        app: str,
        channel: str,
        role: Role,
        native: str | None,
        platform: str | None,
        clock: Callable[[], datetime] | None,
    ) -> None:
        self._use = HeadUse.of(use)
        self._trust = trust
        self._names = {"app": app, "channel": channel}
        self._role = role
        self._native = native
        self._platform = platform
        self._clock = clock or _now

    def time(self, state: State) -> datetime:
        """Return the time by which heads are fresh, which is never before the epoch's last head was issued."""
        last = _memory(state).last
        return time_of(self._trust, None if last is None else last.head, self._clock())

    def certificate_time(self) -> datetime:
        """Return the time by which certificates are valid: heads have no say, or their key could end them all."""
        return time_of(self._trust, None, self._clock())

    def current(self, state: State) -> Current | None:
        """Return what may be installed, or None where heads have no say. Raises StaleError where none is fresh."""
        last = _memory(state).last
        if self._use is HeadUse.USED and last is None:
            return None
        if last is None:
            raise StaleError("no head was accepted yet, so nothing says what is current; nothing is installed")
        self._check_usable(last.head, state)
        return current_for(last.head, secret=_memory(state).secret, native=self._native, platform=self._platform)

    def _check_usable(self, head: Head, state: State) -> None:
        try:
            check_store(self._trust, head)
        except RejectedError as error:
            raise StaleError(f"head {head.number} is none of the present trust store: {error}") from error
        check_fresh(head, self.time(state))

    def accept(self, state: State, data: bytes, recall_of: RecallOf) -> State:
        """Return the state with a head in place of the last one, and with what its recalls say.

        One that has expired is accepted where it follows: it installs nothing, but what it withdraws is withdrawn.
        Raises RejectedError.
        """
        signed = accept_head(self._trust, data, role=self._role, **self._names)
        last = _memory(state).last
        check_follows(last, signed)
        known = last.head.recalls if last is not None and last.head.epoch == signed.head.epoch else ()
        for digest in signed.head.recalls:
            if digest not in known:
                state = self._recalled(state, digest, recall_of(digest))
        state = replace(state, heads=_memory(state).with_head(signed, secret=secrets.token_bytes(ROLLOUT_SECRET_BYTES)))
        try:
            self._check_usable(signed.head, state)
        except StaleError as error:
            return replace(state, heads=_memory(state).uncertain(str(error), signed.head.expires))
        return replace(state, heads=_memory(state).certain())

    def _recalled(self, state: State, digest: str, data: bytes | None) -> State:
        """Return the state in which all that a recall names has failed, for good. Raises RejectedError."""
        now = self.certificate_time()
        recall = accept_named_recall(self._trust, digest, data, role=self._role, now=now, **self._names)
        for release in recall.releases:
            for bundle in [one for one in state.bundles() if one.digest == release.digest]:
                state = state.fail(bundle, "recalled", by=BY_RECALL)
            state = state.remember(Failure(release.digest, release.sequence, release.version, "recalled", BY_RECALL))
        return state

    def after(self, state: State, data: bytes | None, recall_of: RecallOf) -> tuple[State, RejectedError | None]:
        """Return the state after a head was looked for, and why it does not count, if it does not.

        data: None where none could be had.
        """
        try:
            if data is None:
                raise StaleError("no head was given")
            return self.accept(state, data, recall_of), None
        except RejectedError as error:
            return self.doubted(state, error), error

    def doubted(self, state: State, problem: RejectedError) -> State:
        """Return the state that remembers why it is uncertain what is current, where heads have a say."""
        if self._use is HeadUse.USED and _memory(state).last is None:
            return state
        return replace(state, heads=_memory(state).uncertain(str(problem), self.time(state)))

    def chosen(self, state: State) -> int | None:
        """Return the sequence of the release to install, or None where heads have no say.

        Raises StaleError where no head is fresh, NotForUsError where it names nothing that fits here.
        """
        current = self.current(state)
        if current is None:
            return None
        if not current.releases:
            raise NotForUsError(f"head {current.number} names no release that fits here")
        return current.releases[0].sequence

    def taken(self, state: State) -> TakenHead | None:
        """Return the last head that was accepted, for people."""
        last = _memory(state).last
        if last is None:
            return None
        return TakenHead(last.head.epoch, last.head.number, last.head.issued, last.head.expires)

    def uncertainty(self, state: State) -> Uncertainty | None:
        """Return since when, and why, it is not certain what is current."""
        memory = _memory(state)
        if memory.since is not None:
            return Uncertainty(memory.since, memory.problem)
        try:
            self.current(state)
        except StaleError as error:
            last = memory.last
            return Uncertainty(None if last is None else last.head.expires, str(error))
        return None


def _memory(state: State) -> HeadMemory:
    return HeadMemory() if state.heads is None else state.heads


def _now() -> datetime:
    """Return the time by the device's clock, in whole seconds."""
    return datetime.now(UTC).replace(microsecond=0)

"""What a device asks a server before it installs: the trust store's updates first, then the channel's head."""

from collections.abc import Callable

from ..errors import RejectedError, StaleError, UsageError
from ..trust.store import TrustStore
from ._heads import RecallOf
from ._memory import Memory
from ._state import State

UpdateOf = Callable[[int], bytes | None]
"""Returns the update that brings a version of the trust store, or None where there is none."""


def follow(memory: Memory, update_of: UpdateOf) -> TrustStore:
    """Follow updates of the trust store one after the other until there is none, and keep them; return the store.

    What was accepted before the first that is not acceptable stays; that one is told by the status where heads have a
    say. Raises RejectedError, OSError, UsageError, and what update_of raises.
    """
    memory.load()
    while memory.trust.root is not None:
        version = memory.trust.version + 1
        update = update_of(version)  # without the lock, since it may take its time
        if update is None:
            break
        memory.disk.create()
        with memory.disk.changing():
            state = memory.load()
            if memory.trust.version + 1 == version:  # else another process followed it meanwhile
                _follow_one(memory, state, update)
    return memory.trust


def _follow_one(memory: Memory, state: State, update: bytes) -> None:
    try:
        memory.follow(state, update)
    except RejectedError as error:
        if memory.heads is not None and (doubted := memory.heads.doubted(state, error)) != state:
            memory.save(doubted)
        raise


def follow_server(memory: Memory, server: str) -> TrustStore:
    """Follow the updates that a server has. server: its URL. Raises as follow() does, TransferError."""
    memory.load()
    if memory.trust.root is None:
        return memory.trust
    from ..client import trust_updates  # here and below: the extra `client`, which bytes that are given do not need

    with trust_updates(server, app=memory.app.name) as update_of:
        return follow(memory, update_of)


def take_head(memory: Memory, head: bytes | None, recall_of: RecallOf) -> None:
    """Accept a head in place of the last one, with the recalls that it names, all in one write.

    head: None where none could be had, which is remembered. Raises RejectedError, remembered too, where it does not
    count or goes back; OSError, UsageError where heads are ignored.
    """
    state = memory.load()
    if memory.heads is None:
        raise UsageError("heads are ignored here, or the app's trust store has no keys for them")
    recalls: dict[str, bytes | None] = {}

    def fetched(digest: str) -> bytes | None:
        recalls[digest] = recall_of(digest)
        return recalls[digest]

    memory.heads.after(state, head, fetched)  # without the lock, since it may take its time
    memory.disk.create()
    with memory.disk.changing():
        state = memory.load()
        after, problem = memory.heads.after(state, head, recalls.get)
        if after != state:
            memory.save(after)
    if problem is not None:
        raise problem


def take_server_head(memory: Memory, server: str) -> None:
    """Take the head that a server shows. server: its URL. Raises as take_head() does, TransferError."""
    from ..client import channel_head

    with channel_head(server, app=memory.app.name, channel=memory.app.channel) as (head, recall_of):
        take_head(memory, head, recall_of)


def sequence_at(memory: Memory, server: str) -> int | None:
    """Return which release of a server is to be installed, or None where no head says so: its latest.

    Updates and head are asked for first. What is wrong with them is raised only where no fresh head is here.
    """
    problem: RejectedError | None = None
    try:
        follow_server(memory, server)
        if memory.heads is None:
            return None
        take_server_head(memory, server)
    except RejectedError as error:
        if memory.heads is None:
            raise
        problem = error
    try:
        return memory.heads.chosen(memory.load())
    except StaleError as error:
        raise problem or error from problem

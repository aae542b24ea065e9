"""From the built-in trust store to the one in force. No I/O, no clock.

The kept updates are replayed from the built-in store at every start. Where they do not fit, a new build of the app has
another store, and that wins. A store may say once where floor, highest and newest begin again.
"""

from dataclasses import replace

from ..errors import RejectedError
from ..format.strictjson import shown_time
from ..trust.store import TrustStore
from ..trust.updates import accept_update, read_update
from ._state import State
from ._trust_memory import TrustMemory


def by_trust(state: State, builtin: TrustStore) -> tuple[State, TrustStore]:
    """Return the state as an app sees it whose built-in trust store that is, and the store to go by.

    Where the kept updates do not fit it, it wins: they are dropped, and what was remembered of heads with them.
    """
    memory = state.trust or TrustMemory()
    store = _replayed(builtin, memory)
    if store is None:
        state = replace(state, trust=TrustMemory(restarted=memory.restarted), heads=None)
        store = builtin
    return _restarted_by(state, store), store


def with_update(state: State, store: TrustStore, update: bytes) -> tuple[State, TrustStore]:
    """Return the state after one more update of the store, which is kept, and the store that it brings.

    Raises RejectedError.
    """
    new = accept_update(store, update)
    memory = state.trust or TrustMemory()
    return _restarted_by(replace(state, trust=memory.with_update(update)), new), new


def _restarted_by(state: State, store: TrustStore) -> State:
    """Return the state with floor, highest and newest lowered to what a store says, once and never raised."""
    restart = store.restart
    memory = state.trust or TrustMemory()
    if restart is None or restart == memory.restarted:
        return state
    return replace(
        state,
        floor=max(state.shipped, min(state.floor, restart.sequence)),
        highest=max(state.shipped, min(state.highest, restart.sequence)),
        newest=min(state.newest, shown_time(restart.created)),
        trust=replace(memory, restarted=restart),
    )


def _replayed(builtin: TrustStore, memory: TrustMemory) -> TrustStore | None:
    """Return the store that the kept updates make of the built-in one, or None where they do not fit it."""
    store = builtin
    try:
        for update in memory.updates:
            _, brought = read_update(update)
            if brought.version > builtin.version:
                store = accept_update(store, update)
            elif brought.version == builtin.version and brought.digest != builtin.digest:
                return None
        if memory.updates and brought.version < builtin.version and not _same_root(brought, builtin):
            return None
    except RejectedError:
        return None
    return store


def _same_root(one: TrustStore, other: TrustStore) -> bool:
    return one.root is not None and one.root.same_as(other.root)

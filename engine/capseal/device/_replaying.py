"""From the built-in trust store to the one in force. No I/O, no clock.

The kept updates are replayed from the built-in store at every start. Where they do not fit, a new build of the app has
another store, and that wins. A store may say once where floor, highest and newest begin again.
"""

from dataclasses import replace

from ..errors import RejectedError
from ..format.strictjson import shown_time
from ..trust.expect import Succession
from ..trust.store import TrustStore
from ..trust.updates import accept_update, read_update
from ._state import State
from ._trust_memory import TrustMemory


def by_trust(state: State, builtin: TrustStore) -> tuple[State, TrustStore]:
    """Return the state as an app sees it whose built-in trust store that is, and the store to go by.

    Where the kept updates do not fit it, it wins: those from the first that does not on are dropped. Where none is
    left, what was remembered of heads counts on only if the same keys sign heads, in the same epoch.
    """
    memory = state.trust or TrustMemory()
    store, fitting = _replayed(builtin, memory)
    if fitting != memory.updates:
        heads = state.heads if fitting or _same_heads(memory.updates[-1], store) else None
        state = replace(state, trust=replace(memory, updates=fitting), heads=heads)
    return _restarted_by(state, store), store


def with_update(state: State, store: TrustStore, update: bytes) -> tuple[State, TrustStore]:
    """Return the state after one more update of the store, which is kept, and the store that it brings.

    Raises RejectedError.
    """
    new = accept_update(store, update)
    memory = state.trust or TrustMemory()
    return _restarted_by(replace(state, trust=memory.with_update(update)), new), new


def _restarted_by(state: State, store: TrustStore) -> State:
    """Return the state with floor, highest and newest lowered to what a store says, once and never raised.

    What waits, or is in its trial, and is above that, is dropped: confirmed, it would raise them again.
    """
    restart = store.restart
    memory = state.trust or TrustMemory()
    if restart is None or restart == memory.restarted:
        return state
    created = shown_time(restart.created)
    for bundle in tuple(state.unconfirmed()):
        if bundle.sequence > restart.sequence or bundle.created > created:
            state = state.drop(
                bundle,
                f"sequence {bundle.sequence}, made at {bundle.created}, is above {restart.sequence}, {created}, "
                "where the trust store restarted after it was installed",
            )
    trusted = Succession(state.floor, state.highest, state.newest).restarted(restart, least=state.shipped)
    return replace(
        state,
        floor=trusted.floor,
        highest=trusted.highest,
        newest=trusted.newest,
        trust=replace(memory, restarted=restart),
    )


def _replayed(builtin: TrustStore, memory: TrustMemory) -> tuple[TrustStore, tuple[bytes, ...]]:
    """Return the store that the kept updates make of the built-in one, and those that fit it: the first ones."""
    store = builtin
    fitting: list[bytes] = []
    last: TrustStore | None = None
    for update in memory.updates:
        try:
            _, brought = read_update(update)
            if brought.version > builtin.version:
                store = accept_update(store, update)
            elif brought.version == builtin.version and brought.digest != builtin.digest:
                return builtin, ()
        except RejectedError:
            break
        fitting.append(update)
        last = brought
    if last is not None and last.version < builtin.version and not _same_root(last, builtin):
        return builtin, ()
    return store, tuple(fitting)


def _same_heads(update: bytes, store: TrustStore) -> bool:
    """Tell whether heads are signed by the same keys, in the same epoch, before an update's store and after."""
    try:
        _, before = read_update(update)
    except RejectedError:
        return False
    return before.epoch == store.epoch and before.heads is not None and before.heads.same_keys(store.heads)


def _same_root(one: TrustStore, other: TrustStore) -> bool:
    return one.root is not None and one.root.same_as(other.root)

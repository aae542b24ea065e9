"""What a device runs: the pending bundle while it may be tried, else the latest confirmed one that is whole."""

from collections.abc import Callable
from dataclasses import dataclass

from ..errors import RejectedError
from ._state import BY_COPY, BY_TRIAL, InstalledBundle, Problem, State, Trial

Check = Callable[[InstalledBundle], None]
"""Raises RejectedError where an installed bundle is damaged or not trusted any more, OSError."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen, the state after that, and why it is not something better. bundle: None for the built-in one."""

    state: State
    bundle: InstalledBundle | None
    problem: Problem | None = None


def try_pending(state: State, trial: Trial, *, boots: int, check: Check, now_ms: int) -> Choice:
    """Start the pending bundle once more, or fail it."""
    bundle = trial.bundle
    try:
        state.check_not_dropped(bundle)
    except RejectedError as error:
        return Choice(state.fail(bundle, str(error), by=BY_COPY), None, error)
    if trial.starts >= boots:
        unconfirmed = RejectedError(f"not confirmed in {trial.starts} of {boots} allowed starts")
        return Choice(state.fail(bundle, str(unconfirmed), by=BY_TRIAL), None, unconfirmed)
    try:
        check(bundle)
    except RejectedError as error:
        return Choice(state.fail(bundle, str(error), by=BY_COPY), None, error)
    except OSError as error:
        return Choice(state, None, error)
    return Choice(state.start(now_ms), bundle)


def pick_confirmed(state: State, problem: Problem | None, *, check: Check) -> Choice:
    """Choose the latest confirmed bundle that passes. problem: why nothing better was chosen before."""
    for bundle in state.confirmed:
        try:
            check(bundle)
        except RejectedError as error:
            state, problem = state.fail(bundle, str(error), by=BY_COPY), error
        except OSError as error:  # not its fault: it stays
            problem = error
        else:
            return Choice(state, bundle, problem)
    return Choice(state, None, problem)

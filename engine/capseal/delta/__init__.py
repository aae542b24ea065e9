"""Recipes: what a device that has one version downloads to rebuild the next. Knows no key and no bundle."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._base import Base, open_base
    from ._making import Made, make_recipe
    from ._reading import Description, describe_recipe
    from ._rebuild import Rebuilt, RecipeLimits, apply_recipe

_HOME_OF = {
    "Base": "_base",
    "Description": "_reading",
    "Made": "_making",
    "Rebuilt": "_rebuild",
    "RecipeLimits": "_rebuild",
    "apply_recipe": "_rebuild",
    "describe_recipe": "_reading",
    "make_recipe": "_making",
    "open_base": "_base",
}

__all__ = [
    "Base",
    "Description",
    "Made",
    "Rebuilt",
    "RecipeLimits",
    "apply_recipe",
    "describe_recipe",
    "make_recipe",
    "open_base",
]


def __getattr__(name: str) -> Any:
    # Whoever applies a recipe loads neither numpy nor what makes recipes.
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f".{_HOME_OF[name]}", __name__), name)
    return value

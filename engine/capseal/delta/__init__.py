"""Recipes: what a device that has one version downloads to rebuild the next. Knows no key and no bundle."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._base import Base, EntriesBase, FileBase, ZipBase, listing_digest, open_base
    from ._making import Made, make_recipe
    from ._plaintexts import NewContent, new_content
    from ._reading import Description, RecipeReader, describe_recipe
    from ._rebuild import Rebuilding, Rebuilt, RecipeLimits, apply_recipe, check_head

_HOME_OF = {
    "Base": "_base",
    "Description": "_reading",
    "EntriesBase": "_base",
    "FileBase": "_base",
    "Made": "_making",
    "NewContent": "_plaintexts",
    "Rebuilding": "_rebuild",
    "Rebuilt": "_rebuild",
    "RecipeLimits": "_rebuild",
    "RecipeReader": "_reading",
    "ZipBase": "_base",
    "apply_recipe": "_rebuild",
    "check_head": "_rebuild",
    "describe_recipe": "_reading",
    "listing_digest": "_base",
    "make_recipe": "_making",
    "new_content": "_plaintexts",
    "open_base": "_base",
}

__all__ = [
    "Base",
    "Description",
    "EntriesBase",
    "FileBase",
    "Made",
    "NewContent",
    "Rebuilding",
    "Rebuilt",
    "RecipeLimits",
    "RecipeReader",
    "ZipBase",
    "apply_recipe",
    "check_head",
    "describe_recipe",
    "listing_digest",
    "make_recipe",
    "new_content",
    "open_base",
]


def __getattr__(name: str) -> Any:
    # Whoever applies a recipe loads neither numpy nor what makes recipes.
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f".{_HOME_OF[name]}", __name__), name)
    return value

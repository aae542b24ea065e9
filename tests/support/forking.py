"""For processes that fork many children: what all of them would import is imported once."""

import pkgutil
from importlib import import_module


def import_rooms(*names: str) -> None:
    """Import every module of these rooms; a child would else take longer for that than for what it is to do."""
    for name in names:
        for module in pkgutil.iter_modules(import_module(f"capseal.{name}").__path__, f"capseal.{name}."):
            import_module(module.name)

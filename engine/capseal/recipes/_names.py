"""What a sealed recipe is called in the statement of its bundle (docs/delta.md, Sealed)."""

from collections.abc import Iterable

from ..format.statement import Companion, Statement

RECIPE_TYPE = "application/vnd.capseal.delta.v1"
FROM_NOTHING = "recipe-fresh"

_DIGEST_CHARS = 16


def recipe_name(digest: bytes) -> str:
    """Return the name of the recipe for a base of that digest: of its payload, or of its listing."""
    return f"recipe-{digest.hex()[:_DIGEST_CHARS]}"


def find_recipe(statement: Statement, digests: Iterable[bytes]) -> tuple[Companion, bytes] | None:
    """Return the recipe that a statement has for a base known by any of these digests, and by which; or None."""
    recipes = {one.name: one for one in recipes_of(statement)}
    for digest in digests:
        if recipe_name(digest) in recipes:
            return recipes[recipe_name(digest)], digest
    return None


def recipe_from_nothing(statement: Statement) -> Companion | None:
    """Return the recipe that needs no base, or None."""
    return next((one for one in recipes_of(statement) if one.name == FROM_NOTHING), None)


def recipes_of(statement: Statement) -> list[Companion]:
    """Return all recipes."""
    return [one for one in statement.companions if one.sealed and one.media_type == RECIPE_TYPE]

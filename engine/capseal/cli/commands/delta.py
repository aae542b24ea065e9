"""capseal delta: recipes over plain contents, without keys, to measure with and for scripts."""

from typing import Annotated

from ..framework import console, content, options, progress
from ..framework.arguments import Group, argument
from ..framework.titles import sized

BaseArgument = Annotated[
    str, argument("BASE", help="What is there: a folder, or a zip as it unpacks; an empty folder is nothing.")
]
RecipeArgument = Annotated[str, argument("FILE", help="A recipe; '-': stdin.")]


def make(
    base: BaseArgument,
    new: Annotated[str, argument("NEW", help="What it shall become: a folder (zipped on the way), or a zip.")],
    output: options.Output,
    force: options.Force = False,
    jobs: options.Jobs = None,
) -> None:
    """Make the recipe that rebuilds NEW where BASE is."""
    from ... import delta

    with progress.shown("Making the recipe", new, output=output) as advance:
        made = delta.make_recipe(
            base,
            content.open_content(new, leave_out=[output]),
            console.open_output(output),
            overwrite=force,
            jobs=jobs,
            progress=advance,
        )
    console.answer(
        {
            "recipe_bytes": made.recipe_bytes,
            "new_bytes": made.new_bytes,
            "base_bytes": made.base_bytes,
            "frames_bytes": made.frames_bytes,
            "frame_bytes": made.frame_bytes,
            "reference_bytes": made.reference_bytes,
            "level": made.level,
            "tries": made.tries,
        }
    )
    if output != console.STANDARD:
        console.say(
            f"{output}: {sized(made.recipe_bytes)}, {_share(made.recipe_bytes, made.new_bytes)} of "
            f"{sized(made.new_bytes)}; "
            f"needs {sized(made.reference_bytes + 2 * made.frame_bytes)} of memory and 64 MiB"
        )


def apply(
    base: BaseArgument,
    recipe: RecipeArgument,
    output: options.Output,
    force: options.Force = False,
) -> None:
    """Rebuild what a recipe was made for. The output appears only where it is exactly that."""
    from ... import delta

    with progress.transferred("Rebuilding", output=output) as bar:
        rebuilt = delta.apply_recipe(
            base,
            console.open_input(recipe),
            console.open_output(output),
            overwrite=force,
            progress=bar.get("progress"),
            expecting=bar.get("expecting"),
        )
    sizes = {"recipe_bytes": rebuilt.recipe_bytes, "copied_bytes": rebuilt.copied_bytes}
    console.answer({"new_bytes": rebuilt.new_bytes, **sizes})
    if output != console.STANDARD:
        console.say(
            f"{output}: {sized(rebuilt.new_bytes)} from a recipe of {sized(rebuilt.recipe_bytes)}; "
            f"{sized(rebuilt.copied_bytes)} came from {base}"
        )


def show(recipe: RecipeArgument) -> None:
    """Show what a recipe needs and makes, and check all of it that can be checked without its base."""
    from ... import delta

    found = delta.describe_recipe(console.open_input(recipe))
    head = found.head
    console.answer(
        {
            "recipe_bytes": found.recipe_bytes,
            "payload_header_bytes": head.payload_header_bytes,
            "frame_bytes": head.frame_bytes,
            "reference_bytes": head.reference_bytes,
            "history_bytes": head.history_bytes,
            "base_entries": head.base_entries,
            "base_bytes": head.base_bytes,
            "base_digest": head.base_digest.hex(),
            "new_bytes": head.new_bytes,
            "new_digest": head.new_digest.hex(),
            "directory_bytes": head.directory_bytes,
            "blocks": found.blocks,
            "copies": found.copies,
            "copied_bytes": found.copied_bytes,
            "frames_bytes": found.frames_bytes,
            "packed_bytes": found.packed_bytes,
        }
    )
    nothing = "nothing" if not head.base_entries else f"{head.base_entries} entries of {sized(head.base_bytes)}"
    console.print_line(
        f"recipe     {sized(found.recipe_bytes)}, {_share(found.recipe_bytes, head.new_bytes)} of the new content"
    )
    console.print_line(f"base       {nothing}, digest {head.base_digest.hex()[:16]}")
    console.print_line(f"new        {sized(head.new_bytes)}, digest {head.new_digest.hex()[:16]}")
    console.print_line(
        f"copied     {sized(found.copied_bytes)} in {found.copies} stretches; directory {sized(head.directory_bytes)}"
    )
    console.print_line(f"frames     {sized(found.frames_bytes)} in {sized(found.packed_bytes)}, {found.blocks} blocks")
    console.print_line(
        f"memory     frame {sized(head.frame_bytes)}, reference {sized(head.reference_bytes)}, and 64 MiB"
    )


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.2%}" if whole else "all"


COMMANDS = {
    "delta": Group(
        help="Recipes that rebuild a new version from an old one (docs/delta.md).",
        commands={"make": make, "apply": apply, "show": show},
    )
}

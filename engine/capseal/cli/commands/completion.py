"""capseal completion: what a shell needs to complete command lines, made of the declarations of all commands."""

from typing import Annotated, Any

from ..framework import console, help_texts
from ..framework.arguments import Choice, Declaration, Guide, argument, without_json
from ..framework.extras import need

_FOLDERS = frozenset(("DIR", "FOLDER", "WEBDIR", "STORE", "DEST"))


class Shell(Choice):
    """The shells that there is a completion for."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"
    TCSH = "tcsh"


@without_json("it prints a script for a shell")
def completion(shell: Annotated[Shell, argument(type=Shell, help="The shell.")], *, guide: Guide) -> None:
    """Print what completes command lines of capseal in a shell, to be put where that shell looks for it.

    A folder that is not there yet is made by mkdir -p first.
    """
    need("completion")
    import shtab

    def complete(value: Declaration) -> Any:
        return shtab.DIRECTORY if value.metavar.removesuffix("...") in _FOLDERS else shtab.FILE

    parser = help_texts.parser_of("capseal", guide.commands, complete=complete)
    console.write(shtab.complete(parser, shell=shell.value).rstrip("\n"))


COMMANDS = {"completion": completion}

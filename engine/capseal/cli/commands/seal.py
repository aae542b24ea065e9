"""capseal seal: encrypt and sign."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Annotated, Any

from ...errors import RejectedError, UsageError
from ..framework import console, content, options, outputs, progress, titles
from ..framework.arguments import argument, at_least, option
from ..framework.extras import need
from ..framework.passphrases import Passphrases

if TYPE_CHECKING:
    from ...recipes.making import RecipeMaker


def seal(
    source: Annotated[
        str, argument("SOURCE", help="A file, a folder (sealed as a zip), or '-': stdin.", in_place=True)
    ],
    version: Annotated[str, option("--version", metavar="TEXT", help="The version, for people.")],
    output: Annotated[
        str | None,
        option(
            "-o",
            "--output",
            metavar="FILE",
            type=console.output_path,
            help="Where to write; '-': stdout; default: SOURCE.sealed.",
            writes=True,
        ),
    ] = None,
    seal_file: Annotated[
        str | None,
        option("--seal", metavar="FILE", help="Write the seal here and only the payload to -o.", writes=True),
    ] = None,
    signer: options.Signers = None,
    signer_command: options.SignerCommand = None,
    recipient: options.Recipients = None,
    app: Annotated[str | None, option("--app", metavar="ID", help="What it is for, e.g. com.example.game.")] = None,
    sequence: Annotated[
        int | None,
        option(
            "--sequence",
            metavar="N",
            type=at_least(1),
            help="The version, for machines: strictly increasing; default: Unix time.",
        ),
    ] = None,
    channel: Annotated[str | None, option("--channel", metavar="NAME", help="Default: production.")] = None,
    role: Annotated[
        options.RoleName | None,
        option(
            "--role",
            type=options.RoleName,
            help="What it is meant for; default: production, unless only development keys sign.",
        ),
    ] = None,
    *,
    requirements: options.Requirements,
    allow_downgrade_to: Annotated[
        int | None,
        option(
            "--allow-downgrade-to",
            metavar="N",
            type=at_least(0),
            help="Permit devices to go back to a sequence above N.",
        ),
    ] = None,
    custom: Annotated[
        str | None, option("--custom", metavar="FILE.json", help="Your own data, signed along: a JSON object.")
    ] = None,
    content_type: Annotated[
        str | None,
        option(
            "--content-type",
            metavar="TYPE",
            help="Of a file; application/octet-stream ships a zip as one file, not unpacked.",
        ),
    ] = None,
    base: Annotated[
        list[str] | None,
        option(
            "--base",
            metavar="OLD",
            repeatable=True,
            help="Seal a recipe for devices that have this folder, zip or sealed bundle, and one from nothing, too.",
        ),
    ] = None,
    identity: options.Identities = None,
    trust: options.Trust = None,
    deflate: content.Deflate = False,
    exclude: content.Exclude = None,
    force: options.Force = False,
    jobs: options.Jobs = None,
    passphrases: Passphrases,
) -> None:
    """Encrypt and sign a bundle."""
    import capseal

    config = options.find_config()
    app = options.chosen_app(app, config)
    if output is None:
        output = _default_output(source, detached=seal_file is not None)
        outputs.check([output, *filter(None, [seal_file])], [source, *(signer or ()), *(recipient or ())])
    target = console.open_output(output)
    if seal_file is not None:
        if not isinstance(target, str) or seal_file == console.STANDARD:
            raise UsageError("with --seal, both outputs must be files")
        sink: Any = capseal.Detached(seal=seal_file, payload=target)
    else:
        sink = target
    signers = options.load_signers(signer or config.signers, passphrases, command=signer_command)
    meant_for = options.chosen_role(role, signers, config)
    written_to = [output, *([] if seal_file is None else [seal_file])]
    with ExitStack() as stack:
        recipes = []
        if base:
            if not isinstance(target, str):
                raise UsageError("with --base, recipes are written beside the output, which must be a file")
            keys = (identity or config.identities, trust or config.trust)
            step = stack.enter_context(progress.in_steps())
            told = step("Making recipes", source)
            recipes = [stack.enter_context(_recipes(base, output, keys, passphrases, jobs=jobs, told=told))]
            written_to += recipes[0].outputs
        opened = content.open_content(source, deflate=deflate, exclude=exclude, leave_out=written_to)
        if base:
            stack.enter_context(progress.noted("Sealing"))
            advance = step("Sealing", source)
        else:
            advance = stack.enter_context(progress.shown("Sealing", source, output=output))
        written = capseal.seal(
            opened,
            sink,
            signer=signers,
            recipients=options.load_recipients(recipient or config.recipients),
            app=app,
            version=version,
            sequence=sequence,
            channel=options.chosen_channel(channel, config),
            role=meant_for,
            requires=requirements.required(),
            allow_downgrade_to=allow_downgrade_to,
            custom=None if custom is None else _custom(custom),
            media_type=content_type,
            companions=recipes,
            overwrite=force,
            jobs=jobs,
            progress=advance,
        )
    made = recipes[0].made if recipes else ()
    told_recipes = [{"name": one.name, "base": one.base, "bytes": one.bytes} for one in made]
    titles.tell_written(output, written.statement, seal=seal_file, recipes=told_recipes)
    for one in made:
        console.say(f"{output}.{one.name}: {titles.sized(one.bytes)}, from {one.base or 'nothing'}")


@contextmanager
def _recipes(
    bases: Sequence[str],
    output: str,
    keys: tuple[Sequence[str], str | None],
    passphrases: Passphrases,
    *,
    jobs: int | None,
    told: Callable[[int], None] | None,
) -> "Iterator[RecipeMaker]":
    """Open the bases, and give what makes recipes for them. keys: identities and a trust store, for sealed ones."""
    need("delta")
    from ...recipes.bases import is_sealed, open_known_base
    from ...recipes.making import RecipeMaker

    identities, store = keys
    with ExitStack() as stack:
        sealed = any(is_sealed(path) for path in bases)
        opened = [
            open_known_base(
                path,
                stack,
                identity=options.load_identities(identities, passphrases) if sealed else (),
                trust=options.load_trust(store) if sealed else None,
            )
            for path in bases
        ]
        maker = RecipeMaker(opened, place=lambda name: f"{output}.{name}", keep_all=True, jobs=jobs, progress=told)
        yield stack.enter_context(maker)


def _default_output(source: str, *, detached: bool) -> str:
    if source == console.STANDARD:
        raise UsageError("give -o FILE, or -o - for standard output")
    return content.base_of(source).removesuffix(".zip") + (".payload" if detached else ".sealed")


def _custom(path: str) -> dict[str, Any]:
    from ...format import strictjson

    with open(path, "rb") as file:
        data = file.read()
    try:
        value = strictjson.parse(data, path)
    except RejectedError as error:
        raise UsageError(str(error)) from None
    if not isinstance(value, dict):
        raise UsageError(f"{path}: expected a JSON object")
    return value


COMMANDS = {"seal": seal}

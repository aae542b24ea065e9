"""What a module reads or writes besides its arguments, found in its source: clock, environment, randomness, disk ...

Names are followed through every import form and through `getattr` with a name written out. Of `os`, what is not
known to be pure counts as disk, so that a function nobody thought of is found, too.
"""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from house.reading_imports import absolute, aliases, parsed, qualified_name

# What the kinds are called in the table of layers.
CLOCK = "clock"
ENVIRONMENT = "environment"
RANDOMNESS = "randomness"
DISK = "disk"
DURABILITY = "durability"  # renames, links, syncs and locks
TERMINAL = "terminal"
PROCESSES = "processes"
NETWORK = "network"
HIDDEN = "hidden imports"

# The longest prefix of a qualified name decides; None: pure.
_KIND_OF: dict[str, str | None] = {
    "time": CLOCK,
    "datetime.datetime.now": CLOCK,
    "datetime.datetime.utcnow": CLOCK,
    "datetime.datetime.today": CLOCK,
    "datetime.date.today": CLOCK,
    "secrets": RANDOMNESS,
    "secrets.compare_digest": None,
    "random": RANDOMNESS,
    "uuid.uuid1": RANDOMNESS,
    "uuid.uuid4": RANDOMNESS,
    "os.urandom": RANDOMNESS,
    "os.getrandom": RANDOMNESS,
    "ssl.RAND_bytes": RANDOMNESS,
    "numpy.random": RANDOMNESS,
    "cryptography.hazmat.primitives.asymmetric.rsa.generate_private_key": RANDOMNESS,
    "cryptography.hazmat.primitives.ciphers.aead.AESGCM.generate_key": RANDOMNESS,
    "cryptography.x509.random_serial_number": RANDOMNESS,
    "os.environ": ENVIRONMENT,
    "os.environb": ENVIRONMENT,
    "os.getenv": ENVIRONMENT,
    "os.getenvb": ENVIRONMENT,
    "os.putenv": ENVIRONMENT,
    "os.unsetenv": ENVIRONMENT,
    "os.getcwd": ENVIRONMENT,
    "os.chdir": ENVIRONMENT,
    "os.umask": ENVIRONMENT,
    "os.getpid": ENVIRONMENT,
    "os.getuid": ENVIRONMENT,
    "os.geteuid": ENVIRONMENT,
    "os.uname": ENVIRONMENT,
    "os.cpu_count": ENVIRONMENT,
    "os.sched_getaffinity": ENVIRONMENT,
    "os.path.expanduser": ENVIRONMENT,
    "os.path.expandvars": ENVIRONMENT,
    "os.path.abspath": ENVIRONMENT,
    "os.path.relpath": ENVIRONMENT,
    "sys.argv": ENVIRONMENT,
    "platform": ENVIRONMENT,
    "getpass": ENVIRONMENT,
    "locale": ENVIRONMENT,
    "os._exit": PROCESSES,
    "os": DISK,
    "open": DISK,
    "io.open": DISK,
    "io.open_code": DISK,
    "io.FileIO": DISK,
    "mmap.mmap": DISK,
    "sqlite3.connect": DISK,
    "pathlib.Path.home": ENVIRONMENT,
    "pathlib.Path.cwd": ENVIRONMENT,
    "pathlib": DISK,
    "pathlib.PurePath": None,
    "pathlib.PurePosixPath": None,
    "shutil": DISK,
    "shutil.COPY_BUFSIZE": None,
    "tempfile": DISK,
    "glob": DISK,
    "fcntl": DISK,
    "importlib.resources": DISK,
    "numpy.load": DISK,
    "numpy.fromfile": DISK,
    "numpy.memmap": DISK,
    "os.rename": DURABILITY,
    "os.renames": DURABILITY,
    "os.replace": DURABILITY,
    "os.link": DURABILITY,
    "os.symlink": DURABILITY,
    "os.fsync": DURABILITY,
    "os.fdatasync": DURABILITY,
    "os.sync": DURABILITY,
    "os.lockf": DURABILITY,
    "shutil.move": DURABILITY,
    "fcntl.flock": DURABILITY,
    "fcntl.lockf": DURABILITY,
    "print": TERMINAL,
    "input": TERMINAL,
    "breakpoint": TERMINAL,
    "sys.stdin": TERMINAL,
    "sys.stdout": TERMINAL,
    "sys.stderr": TERMINAL,
    "sys.__stdout__": TERMINAL,
    "sys.__stderr__": TERMINAL,
    "shutil.get_terminal_size": TERMINAL,
    "os.get_terminal_size": TERMINAL,
    "subprocess": PROCESSES,
    "multiprocessing": PROCESSES,
    "os.system": PROCESSES,
    "os.popen": PROCESSES,
    "os.fork": PROCESSES,
    "os.register_at_fork": PROCESSES,
    "os.kill": PROCESSES,
    "socket": NETWORK,
    "ssl": NETWORK,
    "http.client": NETWORK,
    "urllib.request": NETWORK,
    "httpx": NETWORK,
    "obstore": NETWORK,
    "uvicorn": NETWORK,
    "importlib.util.module_from_spec": HIDDEN,
    "importlib.machinery": HIDDEN,
    "importlib.reload": HIDDEN,
    "__builtins__": HIDDEN,
    "compile": HIDDEN,
    "exec": HIDDEN,
    "eval": HIDDEN,
    "runpy": HIDDEN,
    "pkgutil": HIDDEN,
    "sys.modules": HIDDEN,
}
_PURE_OF_OS = (
    "PathLike fspath fsencode fsdecode strerror sep curdir pardir devnull error name linesep stat_result "
    "F_OK R_OK W_OK X_OK path.join path.basename path.dirname path.split path.splitext path.normpath path.isabs "
    "path.commonpath path.commonprefix path.samestat"
)
_KIND_OF |= {f"os.{name}": None for name in _PURE_OF_OS.split()}
# Methods that tell by their names what they do, whatever they are called on.
_METHODS = dict.fromkeys(("read_text", "read_bytes", "write_text", "write_bytes", "iterdir", "rmdir", "touch"), DISK)
_METHODS |= dict.fromkeys(("symlink_to", "hardlink_to"), DURABILITY)
_CALLED_METHODS = {"now": CLOCK, "utcnow": CLOCK, "today": CLOCK}
# Modules that are half pure: to import them says nothing, to hand the module itself on says everything.
_MIXED = {"os", "os.path", "sys", "io", "shutil", "pathlib", "fcntl", "mmap", "datetime", "ssl"}


@dataclass(frozen=True, slots=True)
class Effect:
    """One use. name: what is used, by its full name."""

    path: str
    line: int
    kind: str
    name: str


def kind_of(name: str) -> str | None:
    """The kind of a qualified name, or None where it is pure."""
    if name.startswith(("os.O_", "os.SEEK_", "fcntl.F_", "fcntl.LOCK_")):
        return None
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        prefix = ".".join(parts[:end])
        if prefix in _KIND_OF:
            return _KIND_OF[prefix]
    return None


@cache
def effects_of(path: str, text: str) -> tuple[Effect, ...]:
    """Every effect that this file names, whether it is called there or handed on."""
    tree = parsed(text)
    names = _names(path, text)
    bases = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    memory = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call) and _is_memory(node)}
    found = {one for node in ast.walk(tree) if id(node) not in memory for one in _effects(path, node, names)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and id(node) not in bases and names.get(node.id) in _MIXED:
            found.add(Effect(path, node.lineno, HIDDEN, f"the module {names[node.id]} as a value"))
    return tuple(sorted(found, key=lambda one: (one.line, one.kind, one.name)))


def _is_memory(node: ast.Call) -> bool:
    """Whether this call maps memory of its own, and no file."""
    return ast.unparse(node.func) == "mmap.mmap" and bool(node.args) and ast.unparse(node.args[0]) == "-1"


def _names(path: str, text: str) -> Mapping[str, str]:
    """What names stand for in this file; those of its own functions and parameters are no builtins."""
    names = dict(aliases(path, text))
    for node in ast.walk(parsed(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.setdefault(node.name, f"{path}:{node.name}")
        elif isinstance(node, ast.arg):
            names.setdefault(node.arg, f"{path}:{node.arg}")
    return names


def _effects(path: str, node: ast.AST, names: Mapping[str, str]) -> Iterator[Effect]:
    found: list[str] = []
    if isinstance(node, ast.Import):
        found = [alias.name for alias in node.names if alias.name not in _MIXED]
    elif isinstance(node, ast.ImportFrom):
        base = absolute(path, node.level, node.module or "")
        if any(alias.name == "*" for alias in node.names):
            yield Effect(path, node.lineno, HIDDEN, f"from {base} import *")
        found = [f"{base}.{alias.name}" for alias in node.names if f"{base}.{alias.name}" not in _MIXED]
    elif isinstance(node, ast.Name | ast.Attribute | ast.Call):
        name = qualified_name(node, names)
        # `os.path.exists` holds `os.path` and `os`, which are no uses of their own.
        if name is not None and name not in _MIXED:
            found = [name]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _CALLED_METHODS:
            if qualified_name(node.func, names) is None:
                yield Effect(path, node.lineno, _CALLED_METHODS[node.func.attr], f".{node.func.attr}()")
        elif isinstance(node, ast.Attribute) and node.attr in _METHODS:
            yield Effect(path, node.lineno, _METHODS[node.attr], f".{node.attr}")
    for name in found:
        kind = kind_of(name)
        if kind is not None:
            yield Effect(path, node.lineno, kind, name)


@cache
def effects_at_import(path: str, text: str) -> tuple[Effect, ...]:
    """What importing this file does besides defining names: effects called, foreign objects changed, bare calls."""
    tree = parsed(text)
    names = _names(path, text)
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    found: set[Effect] = set()
    waiting: list[ast.AST] = list(tree.body)
    entered: set[str] = set()
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            waiting += node.orelse
            continue
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting += [*node.args.defaults, *filter(None, node.args.kw_defaults), *getattr(node, "decorator_list", ())]
            continue
        waiting += ast.iter_child_nodes(node)
        if isinstance(node, ast.Call):
            name = qualified_name(node.func, names)
            kind = kind_of(name) if name is not None and not _is_memory(node) else None
            if kind is not None:
                found.add(Effect(path, node.lineno, kind, f"{name}()"))
            if isinstance(node.func, ast.Name) and node.func.id in functions and node.func.id not in entered:
                entered.add(node.func.id)
                waiting += functions[node.func.id].body
        elif isinstance(node, ast.Attribute | ast.Name):
            name = qualified_name(node, names)
            if name is not None and kind_of(name) in (ENVIRONMENT, TERMINAL) and isinstance(node, ast.Attribute):
                found.add(Effect(path, node.lineno, kind_of(name) or "", name))
        if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign | ast.Delete):
            targets = getattr(node, "targets", None) or [node.target]
            for target in targets:
                if isinstance(target, ast.Attribute | ast.Subscript):
                    base = qualified_name(target.value, names)
                    if base is not None and base.partition(".")[0] in {one.partition(".")[0] for one in names.values()}:
                        found.add(Effect(path, node.lineno, "change", f"{base}, which is not this module's"))
    for node in tree.body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            found.add(Effect(path, node.lineno, "call", f"{ast.unparse(node.value.func)}()"))
    return tuple(sorted(found, key=lambda one: (one.line, one.kind, one.name)))

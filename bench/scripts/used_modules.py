"""Run a Python program and tell which modules it loaded but never called: PROGRAM ARGUMENTS -> JSON, last line.

A module counts as used once a function defined in it has run after it was imported, or where it defines
no function at all (constants, exceptions). Packages that are not capseal's count as one.
"""

import json
import os
import runpy
import sys
import threading
import types

called: set[str] = set()


def profile(frame: types.FrameType, event: str, function: object) -> None:
    if event == "call" and not importing(frame):
        called.add(frame.f_globals.get("__name__", ""))
    if event == "c_call" and not importing(frame):
        owner = function if getattr(function, "__module__", None) else type(getattr(function, "__self__", None))
        called.add(owner.__module__)


def importing(frame: types.FrameType | None) -> bool:
    """Tell whether this call happens while some module is being imported."""
    while frame is not None:
        if frame.f_code.co_name == "<module>" and frame.f_globals.get("__name__") != "__main__":
            return True
        frame = frame.f_back
    return False


def defines_functions(module: types.ModuleType) -> bool:
    return any(
        isinstance(member, types.FunctionType | type) and getattr(member, "__module__", None) == module.__name__
        for member in vars(module).values()
    ) and not all(
        isinstance(member, type) and issubclass(member, BaseException)
        for member in vars(module).values()
        if getattr(member, "__module__", None) == module.__name__
    )


def leave(code: int) -> None:
    """Stand in for os._exit(), which would leave us no time to report."""
    raise SystemExit(code)


def main() -> None:
    before = set(sys.modules)
    sys.argv = sys.argv[1:]
    said = os.dup(1)
    os.dup2(2, 1)
    threading.setprofile(profile)
    sys.setprofile(profile)
    os._exit = leave  # type: ignore[assignment]
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as end:
        if end.code:
            raise
    finally:
        sys.setprofile(None)
    sys.stdout.flush()
    os.dup2(said, 1)
    loaded = {name: module for name, module in sys.modules.items() if name not in before and module is not None}
    ours = [name for name, module in loaded.items() if name.split(".")[0] == "capseal" and defines_functions(module)]
    packages = {name.split(".")[0] for name in loaded} - {"capseal"} - set(sys.stdlib_module_names)
    used_packages = {name.split(".")[0] for name in called}
    in_python = {name.split(".")[0] for name, m in loaded.items() if (getattr(m, "__file__", "") or "").endswith(".py")}
    print(
        json.dumps(
            {
                "capseal": sorted(name for name in loaded if name.split(".")[0] == "capseal"),
                "unused_capseal": sorted(name for name in ours if name not in called),
                "unused_packages": sorted((packages & in_python) - used_packages),
                "packages": sorted(packages),
            }
        )
    )


main()

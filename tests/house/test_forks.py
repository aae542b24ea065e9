"""fork() while another thread imports: the child can use capseal, too."""

import subprocess
import sys

import pytest

# The import of `held` stands still until the fork is under way: in its search, where no module is there yet.
PROGRAM = """
import os, signal, sys, threading, time
import capseal

held, use = sys.argv[1:]
reached = threading.Event()

class Standstill:
    def find_spec(self, name, path=None, target=None):
        if name == held and not reached.is_set():
            reached.set()
            time.sleep(0.5)

sys.meta_path.insert(0, Standstill())
thread = threading.Thread(target=exec, args=(use, {"capseal": capseal}))
thread.start()
assert reached.wait(60)
child = os.fork()
if child == 0:
    signal.alarm(30)
    exec(use, {"capseal": capseal})
    os._exit(0)
_, status = os.waitpid(child, 0)
thread.join()
sys.exit(os.waitstatus_to_exitcode(status) != 0)
"""


@pytest.mark.parametrize(
    ("held", "use"),
    [
        ("capseal.bundle", "capseal.seal"),
        ("capseal.bundle.seal", "capseal.seal"),
        ("capseal.bundle.pipeline", "capseal.seal"),
        ("cryptography.x509", "capseal.Chain"),
        ("cryptography.x509", "import capseal.trust.certificates"),
        ("capseal.capgo", "import capseal.capgo"),
        ("capseal.bundle.pipeline", "import capseal.bundle.seal"),
        ("capseal.capgo._wire", "import capseal.capgo; capseal.capgo.to_sealed"),
    ],
)
def test_a_child_forked_during_another_threads_first_import_does_not_hang(held, use):
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", PROGRAM, held, use]
    subprocess.run(command, check=True, timeout=120)


def test_a_failed_import_of_another_thread_does_not_spoil_a_fork():
    use = "try: import capseal.missing.module\nexcept ImportError: pass"
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", PROGRAM, "capseal.missing", use]
    done = subprocess.run(command, check=True, timeout=120, capture_output=True)
    assert done.stderr == b""

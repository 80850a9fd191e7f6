"""The console scripts, ``ssmssh`` and ``ssmssh-proxy``, before anything else is imported.

Python turns Ctrl-C into an exception, and one that comes while modules are being imported is a traceback of many
lines. Until a program is loaded and has handlers of its own, Ctrl-C just ends it, as it does any other program.

ssh starts a ProxyCommand with the environment of whoever has started ssh. A ``PYTHONPATH`` that is meant for another
program would put that one's botocore, or its ``ssl.py``, before ours. So its entries are taken from the path again.
"""

# The part of `signal` that is built in: the rest takes 5 ms, in which Ctrl-C may come.
import _signal  # type: ignore[import-not-found]
import os
import site
import sys


def ssmssh() -> None:
    """Run `ssmssh.cli.main`; does not return."""
    before = _end_on_interrupt()
    _forget_foreign_packages()
    from ssmssh.cli import main

    _signal.signal(_signal.SIGINT, before)
    main()


def ssmssh_proxy() -> None:
    """Run `ssmssh.proxy.main`, which catches signals itself; does not return."""
    before = _end_on_interrupt()
    _forget_foreign_packages()
    from ssmssh.proxy import main

    _signal.signal(_signal.SIGINT, before)
    main()


def _end_on_interrupt() -> object:
    """Give SIGINT its default action, unless whoever started us had it ignored; the handler it had before."""
    if _signal.getsignal(_signal.SIGINT) == _signal.SIG_IGN:
        return _signal.SIG_IGN
    return _signal.signal(_signal.SIGINT, _signal.SIG_DFL)


def _forget_foreign_packages() -> None:
    """Take the entries of ``PYTHONPATH`` from `sys.path`, unless this package was found through one of them.

    In that case its dependencies may be in another one. What Python finds by itself stays, though it be named, too.
    """
    # Everything that is used here was imported by Python itself, before it looked at any of these directories.
    named = os.environ.get("PYTHONPATH", "")  # noqa: TID251 - `ssmssh.settings` imports what might be somebody else's
    entries = {os.path.abspath(entry) for entry in named.split(os.pathsep) if named}  # noqa: PTH100 - so might pathlib
    own = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120
    if own in entries:
        return
    standard = os.path.dirname(os.__file__)  # noqa: PTH120
    kept = {standard, os.path.join(standard, "lib-dynload"), *site.getsitepackages(), site.getusersitepackages()}  # noqa: PTH118
    sys.path[:] = [entry for entry in sys.path if entry in kept or os.path.abspath(entry) not in entries]  # noqa: PTH100

"""The console scripts, ``ssmssh`` and ``ssmssh-proxy``, before anything else is imported.

Python turns Ctrl-C into an exception, and one that comes while modules are being imported is a traceback of many
lines. Until a program is loaded and has handlers of its own, Ctrl-C just ends it, as it does any other program.
"""

# The part of `signal` that is built in: the rest takes 5 ms, in which Ctrl-C may come.
import _signal  # type: ignore[import-not-found]


def ssmssh() -> None:
    """Run `ssmssh.cli.main`; does not return."""
    before = _end_on_interrupt()
    from ssmssh.cli import main

    _signal.signal(_signal.SIGINT, before)
    main()


def ssmssh_proxy() -> None:
    """Run `ssmssh.proxy.main`, which catches signals itself; does not return."""
    before = _end_on_interrupt()
    from ssmssh.proxy import main

    _signal.signal(_signal.SIGINT, before)
    main()


def _end_on_interrupt() -> object:
    """Give SIGINT its default action, unless whoever started us had it ignored; the handler it had before."""
    if _signal.getsignal(_signal.SIGINT) == _signal.SIG_IGN:
        return _signal.SIG_IGN
    return _signal.signal(_signal.SIGINT, _signal.SIG_DFL)

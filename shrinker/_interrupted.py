"""Ctrl-C while the command line starts: it ends with 130, and prints nothing.

The package is imported before any code of ``__main__``, and that takes a moment.  So
the package imports this module first.  Where a program imports the package as a
library, it changes nothing.
"""

import os
import signal
import sys
from types import FrameType

__all__ = ["EXIT_CODE", "end_by_signal", "raise_again"]

EXIT_CODE = 128 + signal.SIGINT
"""As a shell shows it for a program that the signal ended."""
_ENTRY = "shrinker.__main__"
_RAISE = signal.default_int_handler


def raise_again() -> None:
    """Let Ctrl-C raise KeyboardInterrupt again: from here on a command handles it."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, _RAISE)


def end_by_signal() -> None:
    """Let Ctrl-C end this process without a word: one that works for another.

    Where it is ignored, as in what a script runs in the background, it stays so.
    """
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])


def _is_command_line() -> bool:
    """Return whether the program is ``shrinker``, or ``python -m shrinker``."""
    if sys.argv[:1] == ["-m"]:  # Only while Python looks for the module.
        module = sys.orig_argv.index("-m") + 1 if "-m" in sys.orig_argv else 0
        return sys.orig_argv[module : module + 1] == ["shrinker"]
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
    return _ENTRY in frame.f_code.co_names  # The script imports it.


def _end(_signal: int, _frame: FrameType | None) -> None:
    os._exit(EXIT_CODE)  # Nothing is open yet.


# Scripts have it ignored for what they run in the background: that stays so.
if signal.getsignal(signal.SIGINT) is _RAISE and _is_command_line():
    signal.signal(signal.SIGINT, _end)

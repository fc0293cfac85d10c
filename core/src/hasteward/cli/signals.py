"""SIGTERM and Ctrl-C end a run in the same way: the work is unwound, then the exit status is 130."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

_HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Stopped(KeyboardInterrupt):
    """Raised in the main thread by the first signal.

    Not an Exception, so that no handler that turns failures into findings can take it for one; `main` makes
    it `Interrupted`, which is what the user and scripts see.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.signal_name = signal.Signals(number).name


@contextlib.contextmanager
def handled() -> Iterator[None]:
    """Handle signals for the block. The second one has its own effect: it ends the process at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _HANDLED}

    def stop(number: int, _frame: FrameType | None) -> None:
        for other in _HANDLED:
            signal.signal(other, signal.SIG_DFL)
        raise Stopped(number)

    for number, handler in before.items():
        if handler is not signal.SIG_IGN:  # nohup, or a shell's background job
            signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

"""``protect()``: the reclaimer in one word, for a service that wants the defaults."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shrinker.pressure.reclaimer import Reclaimer

if TYPE_CHECKING:
    from collections.abc import Callable

    from shrinker.domain import Domain
    from shrinker.pressure.listening import Wanted
    from shrinker.pressure.memory import Memory
    from shrinker.pressure.watermarks import Watermarks

__all__ = ["protect"]


def protect(
    domain: Domain | None = None,
    *,
    watermarks: Watermarks | Callable[[int], Watermarks] | None = None,
    memory: Memory | None = None,
    source: Wanted = "auto",
    cooldown: float = 0.2,
    hold: float = 0.5,
    trim: bool = True,
    direct: bool = True,
    direct_on_event_loop: bool = False,
    history: int = 256,
) -> Reclaimer:
    """Return a ``Reclaimer``, not yet started.

    ``with protect():`` runs it for as long as the block, ``protect().start()`` until
    ``stop()`` or the end of the program; keep what it returns.  One that is dropped
    without either, or a ``look()``, is a mistake: ``ResourceWarning``.  Arguments and
    errors are those of ``Reclaimer``.
    """
    reclaimer = Reclaimer(
        domain,
        watermarks=watermarks,
        memory=memory,
        source=source,
        cooldown=cooldown,
        hold=hold,
        trim=trim,
        direct=direct,
        direct_on_event_loop=direct_on_event_loop,
        history=history,
    )
    reclaimer._unused = True  # A ResourceWarning if it stays so.
    return reclaimer

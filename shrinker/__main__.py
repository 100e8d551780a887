"""``python -m shrinker`` and the ``shrinker`` command."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> int:
    """Run the command line; where click is missing, say how to install it.

    Returns the exit code.
    """
    try:
        from shrinker.cli.app import cli  # noqa: PLC0415
    except ModuleNotFoundError as exc:
        if exc.name != "click":
            raise
        sys.stderr.write(
            "shrinker: the command line needs click: pip install 'shrinker[cli]'\n"
        )
        return 1
    cli(prog_name="shrinker")
    return 0


if __name__ == "__main__":
    sys.exit(main())

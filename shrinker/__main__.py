"""``python -m shrinker`` and the ``shrinker`` command."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> int:
    """Run the command line; say what to install where it is not complete.

    Returns the exit code.
    """
    try:
        from shrinker.cli import cli  # noqa: PLC0415
    except ModuleNotFoundError as exc:
        if exc.name not in ("click", "rich"):
            raise
        sys.stderr.write(
            f"shrinker: the command line needs {exc.name}:"
            " pip install 'shrinker[cli]'\n"
        )
        return 1
    cli(prog_name="shrinker")
    return 0


if __name__ == "__main__":
    sys.exit(main())

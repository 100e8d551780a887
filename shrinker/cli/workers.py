"""What ``shrinker workers`` prints."""

from __future__ import annotations

import dataclasses
import json
import time

import click

from shrinker.pressure.shared.overview import Group, describe, overview
from shrinker.pressure.shared.table import TableError, tables

__all__ = ["find_groups", "print_groups", "print_json"]


def find_groups() -> list[Group]:
    """Return the groups of this user that have workers."""
    now = time.monotonic()
    groups = []
    for table in tables():
        try:
            group = overview(table, now)
        except (OSError, TableError):
            continue  # Its last worker has just removed it.
        finally:
            table.close()
        if group.workers:
            groups.append(group)
    return groups


def print_groups(groups: list[Group]) -> None:
    """Print a table for each group."""
    click.echo(describe(groups) or "no process of this user has a table of workers")


def print_json(groups: list[Group]) -> None:
    """Print one JSON object."""
    data = {"groups": [dataclasses.asdict(group) for group in groups]}
    click.echo(json.dumps(data, indent=2))

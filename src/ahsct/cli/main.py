"""The `ahsct` command: exit codes 0 fine, 1 data or request at fault, 2 wrong usage, 3 our fault."""

from __future__ import annotations

import sys

import typer

app = typer.Typer(
    name="ahsct",
    help="From a study's tables to the answer: trials of aHSCT in multiple sclerosis.",
    no_args_is_help=True,
    add_completion=False,
)


@app.callback()
def _root() -> None:
    pass


@app.command()
def demo() -> None:
    """Analyse the 2016 trial (reconstructed patients) and write its report."""


def main() -> None:
    """Run the command line."""
    app()
    sys.exit(0)

"""The `ahsct` command. Exit codes: 0 fine, 1 data or request at fault, 2 wrong usage, 3 our fault."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from ahsct import __version__
from ahsct.cli import convert, course, definitions, edss, eligibility, evidence, multiverse, study
from ahsct.errors import AhsctError, is_panic

app = typer.Typer(
    name="ahsct",
    help="From a study's tables to the answer: trials of aHSCT in multiple sclerosis. "
    "Research use; it gives no medical advice.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ahsct {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which version this is.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an unexpected error.")
    ] = False,
) -> None:
    pass


app.command()(study.demo)
app.command()(study.check)
app.command()(study.analyse)
app.command()(multiverse.multiverse)
app.command()(course.course)
app.command()(convert.convert)
app.command()(eligibility.eligibility)
app.command("hct-ci")(eligibility.hct_ci)
app.add_typer(definitions.app, name="definitions")
app.add_typer(edss.app, name="edss")
app.add_typer(evidence.app, name="evidence")


def main() -> None:
    """Run the command line and leave with its exit code."""
    # Read when numpy loads, which is later: on matrices as small as ours more threads only wait for each other
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        app()
    except AhsctError as error:
        typer.echo(f"{type(error).__name__}: {error}", err=True)
        sys.exit(1)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except KeyboardInterrupt:
        sys.exit(130)
    except BaseException as error:
        if not (isinstance(error, Exception) or is_panic(error)) or "--debug" in sys.argv:
            raise
        typer.echo(
            f"Unexpected {type(error).__name__}: {error}. This is our fault; "
            "run `ahsct --debug …` for the traceback and report it.",
            err=True,
        )
        sys.exit(3)

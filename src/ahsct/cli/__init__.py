"""The command line: one small file per group of commands; heavy imports only where used."""

from ahsct.cli.main import main

__all__ = ["main"]

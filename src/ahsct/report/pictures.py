"""The figures of the page: drawn elsewhere, made ready here to stand inline beside each other."""

from __future__ import annotations

import re
from dataclasses import dataclass

import polars as pl

_PROLOGUE = re.compile(r"^.*?(?=<svg)", re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_METADATA = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A figure as it stands on the page, and the numbers behind it (all of them in a CSV)."""

    name: str
    title: str
    caption: str
    alt: str
    svg: str
    data: pl.DataFrame


def inline_svg(svg: str, name: str) -> str:
    """Return an SVG fit to stand in a page: no prologue, its ids made unique by the figure's name.

    Examples
    --------
    >>> inline_svg('<?xml version="1.0"?><svg viewBox="0 0 1 1"><path id="p"/><use href="#p"/></svg>', "a")
    '<svg viewBox="0 0 1 1"><path id="a-p"/><use href="#a-p"/></svg>'
    """
    text = _METADATA.sub("", _COMMENT.sub("", _PROLOGUE.sub("", svg, count=1)))
    text = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', text)
    return re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", text)

"""No patient counts twice: the heaviest set of groups without an overlap, what it leaves out, and what else was possible."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import polars as pl

from ahsct.errors import RequestError, did_you_mean
from ahsct.evidence.entries import Entry

BLOCKING = ("contains", "same", "partly", "unknown")
_WITHIN = 0.05
_MOST_ALTERNATIVES = 500
_Value = tuple[float, int, int]  # patients, studies, years: the order in which sets are compared


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which groups enter a pool.

    Attributes
    ----------
    chosen
        The entries, in the order given.
    left_out
        (entry, reason): numbers that cannot be pooled, and groups that overlap a chosen one.
    alternatives
        Every other set without overlap that cannot be enlarged and holds at least 95 % of the patients of the best.
    released
        The pairs whose unknown overlap was released by name.
    is_complete
        False where there were more alternatives than are listed.
    """

    chosen: tuple[Entry, ...]
    left_out: tuple[tuple[Entry, str], ...]
    alternatives: tuple[tuple[Entry, ...], ...]
    released: tuple[tuple[str, str], ...]
    is_complete: bool


def select(
    entries: Sequence[Entry], overlaps: pl.DataFrame, *, release: Iterable[str] = (), contrasts: bool = False
) -> Selection:
    """Return the set of groups that holds most patients and in which no two overlap.

    Two groups overlap where they are of one cohort, or of two cohorts that contain each other, overlap partly or
    perhaps (unknown), unless they have no type of MS in common or are different values of one division (two regimens).
    Among sets of equal weight the one with more studies is taken, then the later ones. The search is exact.

    Parameters
    ----------
    entries
        From `collect`; those that are not `is_pooled` are left out with their reason.
    overlaps
        Schema `evidence_overlaps`.
    release
        "study_a,study_b": treat this unknown overlap as none. It is printed with the result.
    contrasts
        The entries compare with a comparator: a randomised trial within a cohort may enter; otherwise it is left out.

    Raises
    ------
    RequestError
        A released pair is not listed, or its overlap is not unknown.
    """
    released = _released(overlaps, release)
    edges: dict[frozenset[str], tuple[str, str]] = {}
    nested: dict[str, str] = {}
    for a, b, relation, trial, basis in overlaps.select(
        "study_a", "study_b", "relation", "nested_trial", "basis"
    ).iter_rows():
        pair = frozenset((a, b))
        if relation in BLOCKING and pair not in {frozenset(one) for one in released}:
            edges[pair] = (relation, basis)
        if trial is not None:
            nested.setdefault(trial, b if trial == a else a)
    usable, left = [], []
    for entry in entries:
        if not entry.is_pooled:
            left.append((entry, entry.reason))
        elif not contrasts and entry.study_id in nested:
            left.append(
                (entry, f"a randomised trial within a cohort ({nested[entry.study_id]}): contrasts only")
            )
        else:
            usable.append(entry)
    clash = [
        [i != j and overlap_of(a, b, edges) is not None for j, b in enumerate(usable)]
        for i, a in enumerate(usable)
    ]
    neighbours = [sum(1 << j for j, is_clash in enumerate(row) if is_clash) for row in clash]
    values = [(entry.weight, 1, entry.year) for entry in usable]
    best = _heaviest(neighbours, values)
    chosen = [usable[i] for i in sorted(best)]
    for i, entry in enumerate(usable):
        if i not in best:
            other = next(usable[j] for j in sorted(best) if clash[i][j])
            relation, basis = overlap_of(entry, other, edges) or ("", "")
            left.append((entry, f"overlaps {other.label}: {relation} ({basis})"))
    sets, is_complete = _nearly_as_heavy(neighbours, values, best)
    return Selection(
        chosen=tuple(chosen), left_out=tuple(left),
        alternatives=tuple(tuple(usable[i] for i in sorted(one)) for one in sets),
        released=tuple(released), is_complete=is_complete,
    )  # fmt: skip


def overlap_of(a: Entry, b: Entry, edges: dict[frozenset[str], tuple[str, str]]) -> tuple[str, str] | None:
    """Return relation and basis where two groups may share patients, else None."""
    if not a.types & b.types:
        return None
    if a.study_id == b.study_id:
        apart = {name for name, _ in a.strata} & {name for name, _ in b.strata}
        if apart and not a.strata & b.strata:
            return None
        return "same", "the same cohort"
    return edges.get(frozenset((a.study_id, b.study_id)))


def require_no_overlap(
    entries: Sequence[Entry], overlaps: pl.DataFrame, *, released: Iterable[tuple[str, str]] = ()
) -> None:
    """Raise a RequestError where two of the entries may share patients: the last door before a pool.

    Raises
    ------
    RequestError
        Names the two studies and how they overlap.
    """
    free = {frozenset(pair) for pair in released}
    edges = {
        frozenset((a, b)): (relation, basis)
        for a, b, relation, basis in overlaps.select("study_a", "study_b", "relation", "basis").iter_rows()
        if relation in BLOCKING and frozenset((a, b)) not in free
    }
    for i, a in enumerate(entries):
        for b in entries[:i]:
            if found := overlap_of(a, b, edges):
                raise RequestError(
                    f"{b.label} ({b.subgroup}) and {a.label} ({a.subgroup}) overlap: {found[0]} ({found[1]}). Patients "
                    "would count twice; leave one out."
                )


def _released(overlaps: pl.DataFrame, release: Iterable[str]) -> list[tuple[str, str]]:
    known = {
        frozenset((a, b)): relation
        for a, b, relation in overlaps.select("study_a", "study_b", "relation").iter_rows()
    }
    found = []
    for text in release:
        names = [name.strip() for name in text.split(",")]
        relation = known.get(frozenset(names)) if len(names) == 2 else None
        if relation is None:
            words = [",".join(sorted(pair)) for pair in known]
            raise RequestError(
                f"No overlap {text!r} is listed; give two studies as a,b.{did_you_mean(text, words)}"
            )
        if relation != "unknown":
            raise RequestError(f"The overlap of {text} is {relation}, not unknown: it cannot be released.")
        found.append((names[0], names[1]))
    return found


def _total(members: Iterable[int], values: Sequence[_Value]) -> _Value:
    picked = [values[i] for i in members]
    return (round(sum(v[0] for v in picked), 6), sum(v[1] for v in picked), sum(v[2] for v in picked))


def _heaviest(neighbours: Sequence[int], values: Sequence[_Value]) -> frozenset[int]:
    """Return the heaviest independent set, exactly, by branch and bound on each connected part."""
    chosen: set[int] = set()
    for part in _parts(neighbours):
        best: list[tuple[_Value, frozenset[int]]] = [((0.0, 0, 0), frozenset())]

        def search(
            left: int, taken: frozenset[int], value: _Value, best: list[tuple[_Value, frozenset[int]]] = best
        ) -> None:
            rest = _members(left)
            bound = _total(rest, values)
            if (value[0] + bound[0], value[1] + bound[1], value[2] + bound[2]) <= best[0][0]:
                return
            if not rest:
                best[0] = (value, taken)
                return
            most = max(rest, key=lambda i: ((neighbours[i] & left).bit_count(), values[i]))
            bit = 1 << most
            added = values[most]
            search(left & ~bit & ~neighbours[most], taken | {most},
                   (round(value[0] + added[0], 6), value[1] + added[1], value[2] + added[2]))  # fmt: skip
            search(left & ~bit, taken, value)

        search(part, frozenset(), (0.0, 0, 0))
        chosen |= best[0][1]
    return frozenset(chosen)


def _nearly_as_heavy(
    neighbours: Sequence[int], values: Sequence[_Value], best: frozenset[int]
) -> tuple[list[frozenset[int]], bool]:
    """Return the other maximal independent sets within 5 % of the best, heaviest first, and whether these are all."""
    least = (1 - _WITHIN) * _total(best, values)[0]
    everyone = (1 << len(values)) - 1
    found: list[frozenset[int]] = []

    def search(taken: int, candidates: int, excluded: int, weight: float) -> bool:
        if len(found) > _MOST_ALTERNATIVES:
            return False
        if weight + sum(values[i][0] for i in _members(candidates)) < least:
            return True
        if not candidates:
            if not excluded:
                found.append(frozenset(_members(taken)))
            return True
        # every maximal set holds the pivot or one of its neighbours
        pivot = max(_members(candidates | excluded), key=lambda i: (candidates & ~neighbours[i]).bit_count())
        for i in _members(candidates & (neighbours[pivot] | (1 << pivot))):
            bit, near = 1 << i, neighbours[i] | (1 << i)
            if not search(taken | bit, candidates & ~near, excluded & ~near, weight + values[i][0]):
                return False
            candidates &= ~bit
            excluded |= bit
        return True

    is_complete = search(0, everyone, 0, 0.0)
    others = [one for one in found if one != best]
    others.sort(key=lambda one: (_total(one, values), sorted(one)), reverse=True)
    return others[:_MOST_ALTERNATIVES], is_complete


def _members(mask: int) -> list[int]:
    found = []
    while mask:
        low = mask & -mask
        found.append(low.bit_length() - 1)
        mask ^= low
    return found


def _parts(neighbours: Sequence[int]) -> list[int]:
    """Return the connected parts of the graph of overlaps, as bit masks."""
    left, parts = (1 << len(neighbours)) - 1, []
    while left:
        part, new = 0, left & -left
        while new:
            part |= new
            reach = 0
            for i in _members(new):
                reach |= neighbours[i]
            new = reach & ~part
        parts.append(part)
        left &= ~part
    return parts

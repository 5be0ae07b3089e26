"""Every public estimator says what it takes, gives and refuses, and shows an example that runs."""

import inspect
import re

import pytest

from ahsct import estimates

FUNCTIONS = [name for name in estimates.__all__ if inspect.isfunction(getattr(estimates, name))]
REFUSES_NOTHING = {"effective_sample_size", "with_target_trial"}


def sections(name: str) -> dict[str, str]:
    """Return the sections of a numpy docstring by their titles, the text before the first as "summary"."""
    text = inspect.getdoc(getattr(estimates, name)) or ""
    parts = re.split(r"^(\w+)\n-+$", text, flags=re.MULTILINE)
    return {"summary": parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_docstring_is_complete(name: str) -> None:
    found = sections(name)
    assert "Returns" in found or "Yields" in found
    assert ("Raises" in found) != (name in REFUSES_NOTHING)
    assert ">>> " in found["Examples"]
    assert found["References"].strip()
    for parameter in inspect.signature(getattr(estimates, name)).parameters:
        named = re.compile(rf"^(\w+, )*{parameter}(, \w+)*$", re.MULTILINE)
        assert named.search(found["Parameters"]), f"{name}: `{parameter}` has no entry under Parameters"


def test_the_check_sees_what_is_missing() -> None:
    assert len(FUNCTIONS) > 60
    assert set(sections("kaplan_meier")) == {
        "summary",
        "Parameters",
        "Returns",
        "Raises",
        "References",
        "Examples",
    }

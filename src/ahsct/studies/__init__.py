"""Example studies: tables, published numbers, the script that made them."""

from ahsct.studies.compare import clear_published, compare_published
from ahsct.studies.examples import example_folder, list_examples, load_example, published_numbers

__all__ = [
    "clear_published",
    "compare_published",
    "example_folder",
    "list_examples",
    "load_example",
    "published_numbers",
]

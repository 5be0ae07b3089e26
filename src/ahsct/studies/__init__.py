"""Example studies: tables, published numbers, the script that made them."""

from ahsct.studies.compare import agrees_with, answers, clear_published, compare_published, our_number
from ahsct.studies.examples import example_folder, list_examples, load_example, published_numbers

__all__ = [
    "agrees_with",
    "answers",
    "clear_published",
    "compare_published",
    "example_folder",
    "list_examples",
    "load_example",
    "our_number",
    "published_numbers",
]

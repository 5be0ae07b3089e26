"""Example studies: tables, published numbers, the script that made them."""

from ahsct.studies.examples import example_folder, list_examples, load_example, published_numbers

__all__ = ["example_folder", "list_examples", "load_example", "published_numbers"]

"""Security checks of every room, each weakened by a small patch, and the test that must notice it.

`python -m tests.mutants`, from the project's root (CONTRIBUTING.md, A mutant).
"""

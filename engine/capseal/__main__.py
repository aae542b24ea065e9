"""python -m capseal: the command line."""

from .cli import main

main()

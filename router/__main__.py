"""`python -m router` is `touchstone`."""

from router.cli import main

main()

"""`python -m mmarch`."""

import sys

from mmarch.cli import main

if __name__ == "__main__":
    sys.exit(main())

"""`python -m reconcilers`: the operator's process."""

import sys

from reconcilers.app import main

if __name__ == "__main__":
    sys.exit(main())

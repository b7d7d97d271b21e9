"""`python -m unisid.cli`."""

import sys

from unisid.cli import main

if __name__ == "__main__":
    sys.exit(main())

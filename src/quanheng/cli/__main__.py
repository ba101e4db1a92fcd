"""`python -m quanheng.cli`: the same as `quanheng`."""

import sys

from quanheng.cli.main import main

if __name__ == "__main__":
    sys.exit(main())

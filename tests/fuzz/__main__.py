"""`python -m tests.fuzz`: malformed inputs, or signals, for the real commands. See `--help`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fuzz.campaign import main

if __name__ == "__main__":
    sys.exit(main())

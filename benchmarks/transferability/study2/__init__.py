"""The second study: unseen real targets, three pools of candidates, and what a budget of seconds is best spent on.

Run its modules from the root of the repository: `python -m benchmarks.transferability.study2.truth`. The first study's
modules lie beside this package and import each other by bare names, so their folder joins the path here.
"""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.extend(str(path) for path in (HERE, HERE.parent) if str(path) not in sys.path)
WORK = HERE / "truth.work"  # what is made on the way; not committed

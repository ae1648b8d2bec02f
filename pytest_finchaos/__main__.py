"""``python -m pytest_finchaos`` is ``finchaos``."""

import sys

from pytest_finchaos.cli.main import main

sys.exit(main())

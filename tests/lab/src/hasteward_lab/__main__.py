"""`python -m hasteward_lab`."""

import sys

from hasteward_lab.cli import main

sys.exit(main())

"""`python -m augmentlm.cli` is the command `augmentlm`."""

import sys

from augmentlm.cli import main

sys.exit(main())

"""`python -m rocketmq`; see docs/rocketmq-admin.md."""

import sys

from rocketmq.cli.program import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

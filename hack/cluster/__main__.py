"""`python3 hack/cluster`: a real Kubernetes on any machine, without a container registry."""

import sys

from command_line import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

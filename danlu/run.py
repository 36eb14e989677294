"""L9. `python -m danlu.run script.py [args]`: the command `danlu run` where no script folder is on the path."""

import sys

from danlu.interop.script import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

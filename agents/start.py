"""Where Python begins: in the archive it is `__main__.py`, beside its unpacked modules `start.py`.

The one rule: nothing but finding the package that lies beside it. It refuses to know anything else.
"""

import sys

if __name__ == "__main__":
    sys.path.insert(
        0, __file__.rpartition("/")[0] or "."
    )  # isolated mode puts nothing there itself
    from bg_agent.__main__ import main

    sys.exit(main(sys.argv[1:]))

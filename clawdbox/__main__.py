"""`python -m clawdbox` is the same as the `clawdbox` command."""

from clawdbox.cli import main

if __name__ == "__main__":
    main()

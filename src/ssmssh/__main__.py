"""``python -m ssmssh``."""

from ssmssh.cli import main

if __name__ == "__main__":
    main()

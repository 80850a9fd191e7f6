"""``python -m ssmssh``."""

from ssmssh.scripts import ssmssh

if __name__ == "__main__":
    ssmssh()

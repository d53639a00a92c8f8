"""`python -m acrank` is `acrank`."""

from acrank.cli import run

if __name__ == "__main__":
    run()

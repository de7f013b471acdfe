"""The door to the commands, which says what to install where they cannot run."""

from __future__ import annotations

import sys


def main() -> None:
    """Run `shapewise`; without the packages of the extra `app`, say so in one line and exit with status 2."""
    try:
        from shapewise.cli import main as run

        run()
    except ModuleNotFoundError as error:
        print(f"error: the commands need {error.name}: pip install 'shapewise[app]'", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()

"""`python -m orchestrator` is `bgctl`, for where no script is installed."""

from orchestrator.doors.cli.app import main

if __name__ == "__main__":
    main()

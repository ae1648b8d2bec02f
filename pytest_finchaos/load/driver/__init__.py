"""The load driver: a child process, ``python -m pytest_finchaos.load.driver``; the only place that imports Locust."""

"""What pytest loads first: the checks that every notebook must pass."""

pytest_plugins = ["tests.notebooks.plugin"]

"""Our jobs and those of others on the same data, side by side; see README.md."""

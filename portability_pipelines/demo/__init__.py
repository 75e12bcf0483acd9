"""The main job on servers of its own: ``make demo`` shows it once, ``make up`` serves it."""

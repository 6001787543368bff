"""Living with it on a real cluster: install, upgrade, remove; and the tutorial as a reader would run it."""

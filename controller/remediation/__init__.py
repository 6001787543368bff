"""What is to be done, written down before it is done, and what came of it."""

"""The tests, and what they run on."""

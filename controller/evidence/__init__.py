"""Profiles read, compared and explained: what leaks, what only churns, and which cause fits."""

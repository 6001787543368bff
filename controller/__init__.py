"""Bilgepump: finds memory leaks, keeps the evidence, restarts safely and proves that it helped."""

__version__ = "0.1.0"

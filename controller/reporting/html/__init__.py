"""The incident as one self-contained HTML file."""

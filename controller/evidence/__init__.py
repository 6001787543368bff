"""What must be kept before it is gone, and what it says."""

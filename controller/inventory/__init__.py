"""What runs, and which policy governs it."""

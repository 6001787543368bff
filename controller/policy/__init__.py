"""What the user asked for: which workloads, how to judge them, what may be done."""

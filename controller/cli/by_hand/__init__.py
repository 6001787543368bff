"""What people do in a cluster by hand, with their own rights."""

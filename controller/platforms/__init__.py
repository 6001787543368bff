"""Where workloads run. Platforms do not know each other."""

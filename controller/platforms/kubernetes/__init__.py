"""Kubernetes: inventory, restarts, record keeping."""

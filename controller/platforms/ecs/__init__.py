"""Amazon ECS: inventory, restarts, record keeping without Kubernetes."""

"""May something be done about it, now? Assessments in, one decision per workload out."""

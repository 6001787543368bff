"""What people are told: reasons, sentences, conditions, incidents, metrics."""

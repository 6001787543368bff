"""Where people are told outside the platform: one module per kind of receiver."""

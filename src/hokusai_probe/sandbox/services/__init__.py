"""The services of the platform in miniature: one process each, started as modules."""

"""The ways to a provider: the only place that knows OAuth's libraries."""

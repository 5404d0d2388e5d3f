"""Durable questions to a person that some action waits for: bound to exact bytes, expiring, used once."""

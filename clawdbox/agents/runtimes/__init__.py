"""What thinks in a conversation, each behind the same port."""

"""What thinks: conversations on a connection, their turns, and the runtimes that answer them."""

"""Where a person is reached: it hears committed events, and nobody calls it to send anything."""

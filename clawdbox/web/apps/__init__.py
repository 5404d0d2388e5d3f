"""Web apps of servers, shown on origins of their own: never on the box's (docs/adr)."""

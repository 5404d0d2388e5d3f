"""What is decided about a gateway and its runs. Pure."""

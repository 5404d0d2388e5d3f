"""Where models are asked, and with which key."""

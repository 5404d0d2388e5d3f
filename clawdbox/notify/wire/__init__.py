"""The ways out of the box: to a push service, an ntfy server, a mail server, a web hook."""

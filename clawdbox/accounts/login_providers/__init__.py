"""Signing in elsewhere: GitHub, and any provider of OpenID Connect."""

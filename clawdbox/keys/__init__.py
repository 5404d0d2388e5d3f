"""Keypairs with which the box enters servers: made, sealed, rotated, revoked."""

"""Backups: the whole box as one file that opens with the recovery words on any machine."""

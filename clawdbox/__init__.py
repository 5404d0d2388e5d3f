"""Your servers from your phone: a self-hosted box that keeps SSH sessions alive."""

__version__ = "0.1.0"

"""Programs for those who work on the box; none of them is part of it."""

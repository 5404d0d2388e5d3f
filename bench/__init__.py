"""Ratios against named peers, all measured in the same run (`make bench`)."""

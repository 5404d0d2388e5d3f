"""Who may have an account here besides the owner: a list, and invitations."""

"""The HTTP face of the box: the API, its sockets, and the UI's files."""

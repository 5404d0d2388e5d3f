"""Changes that a server undoes by itself unless somebody confirms that they are still in."""

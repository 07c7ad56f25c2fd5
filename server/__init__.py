"""HTTP: the Flask app, its HiGlass tilesets, and the page."""

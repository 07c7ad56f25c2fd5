"""The page and its server: a Flask app with HiGlass' tile API, and predictions made while one looks."""

from server.app import create_app
from server.serve import demo
from server.site import Site
from server.tilesets import Tileset

__all__ = ["Site", "Tileset", "create_app", "demo"]

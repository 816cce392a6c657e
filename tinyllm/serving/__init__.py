"""A trained model behind HTTP: POST a text, get the answer as JSON. Needs Flask and waitress, imported when used."""

from tinyllm.serving.app import create_app
from tinyllm.serving.server import running_server, serve

__all__ = ["create_app", "running_server", "serve"]

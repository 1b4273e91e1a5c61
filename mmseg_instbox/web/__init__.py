"""The web page of ``instbox serve``; needs the extra ``demo`` (Gradio)."""
from .app import build_app
from .server import LOOPBACK, running, serve

__all__ = ['LOOPBACK', 'build_app', 'running', 'serve']

"""The web page of ``instbox serve``; needs the extra ``demo`` (Gradio)."""
from .server import LOOPBACK, running, serve

__all__ = ['LOOPBACK', 'running', 'serve']

"""The web page of ``instbox serve``; needs the extra ``demo`` (gradio)."""
from .app import build_app
from .serve import running, serve

__all__ = ['build_app', 'running', 'serve']

"""The HTTP and WebSocket server over ``api``; needs the extra ``studio``."""

"""From what a user asks to a finished piece: requests, options, editing, assembly, streams."""

"""Commands: one module per noun; each parses, calls a front door and prints."""

"""The `bilgepump` command: one module per subcommand."""

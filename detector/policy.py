"""What a moderation team wants done with a verdict: a TOML file, replayed first."""

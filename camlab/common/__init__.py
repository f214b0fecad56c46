"""What every package shares: errors, registries, background jobs, memoised values, wording of numbers."""

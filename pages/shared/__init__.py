"""What every page uses: session, address bar, dialogs, errors, background work."""

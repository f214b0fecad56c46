"""The dashboard: one folder per page, and shared ones."""

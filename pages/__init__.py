"""The dashboard's pages: one folder per page, and what they share."""

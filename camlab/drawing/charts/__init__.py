"""The look, dot rows and titles that all charts share."""

"""What pictures, HTML, slides, charts and reports share, whatever they show."""

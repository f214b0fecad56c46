"""What Explore shows and exports: panels, frames, films, files, reports, stories."""

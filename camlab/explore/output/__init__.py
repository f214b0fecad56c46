"""The output of Explore: panels, frames, films, files, reports and stories."""

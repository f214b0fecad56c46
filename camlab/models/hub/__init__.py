"""timm's models on the Hugging Face hub: the catalogue, downloads, and loading from the cache."""

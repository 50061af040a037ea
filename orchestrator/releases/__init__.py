"""What a release is, wherever it runs: an artifact and a recipe, secrets by name, one digest."""

"""Makes the documentation site: pages that are written from the code, and the folder that Zensical builds from."""

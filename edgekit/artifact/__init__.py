"""What is published: a file, its manifest, and how to open both again."""

"""Files, documents, text, progress, plots, threads: what every floor stands on, and nothing about models."""

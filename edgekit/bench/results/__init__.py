"""Results: kept, compared, reported."""

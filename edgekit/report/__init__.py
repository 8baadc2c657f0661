"""Pages for reading: one HTML file each, which opens anywhere and asks nothing of the net."""

"""A static page that searches photos by a picture, with the exported model run by the visitor's browser."""

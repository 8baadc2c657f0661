"""Text queries judged without a text tower: a picture is generated of the text, embedded, and searched with."""

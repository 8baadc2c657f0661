"""iPhones through devicectl or go-ios."""

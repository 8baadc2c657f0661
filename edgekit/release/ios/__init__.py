"""The Swift package: a Core ML package, a Core AI asset, and the Swift that embeds photos with them on iPhones."""

package dev.edgekit.bench

import dev.edgekit.embedder.EmbedderError

/** An error for a person, as the library has it. */
typealias BenchError = EmbedderError

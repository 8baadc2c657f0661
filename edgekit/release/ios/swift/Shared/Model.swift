// A model that is open, and how far its embeddings are from others.

/// One opened model. `set` puts one image (uint8 RGB [height,width,3]) into the input and forgets the last output.
protocol Model: AnyObject {
    func set(_ pixels: UnsafeBufferPointer<UInt8>) throws
    func run() async throws
    func embedding() throws -> [Float]
}

struct Check: Sendable {
    var images = 0
    var minCosine = Double.infinity
    var maxAbs = 0.0
    var comparable = true

    /// Cosine and largest absolute difference; the worst of all is kept.
    mutating func compare(_ output: [Float], with golden: ArraySlice<Float>) {
        var dot = 0.0, goldenSquare = 0.0, outputSquare = 0.0, most = 0.0
        var finite = true
        for (single, goldenSingle) in zip(output, golden) {
            let value = Double(single), wanted = Double(goldenSingle)
            if !value.isFinite { finite = false }
            dot += value * wanted
            goldenSquare += wanted * wanted
            outputSquare += value * value
            most = max(most, abs(value - wanted))
        }
        let cosine = dot / (goldenSquare.squareRoot() * outputSquare.squareRoot())
        guard finite, cosine.isFinite, most <= BenchProtocol.maxDifference else {
            comparable = false
            return
        }
        minCosine = min(minCosine, cosine)
        maxAbs = max(maxAbs, most)
    }

    func passed(_ limit: Double) -> Bool { comparable && minCosine >= limit }
}

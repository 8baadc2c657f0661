// Embeddings, how alike two are, and the nearest ones in a gallery on the device.

public struct Embedding: Equatable, Sendable {
    /// Of unit length.
    public let values: [Float]
    /// Id of the embedding space: embeddings of one space can be compared, others cannot.
    public let space: String
    private let length: Float

    /// For embeddings that were stored, or that a server sent.
    public init(values: [Float], space: String) {
        self.values = values
        self.space = space
        length = values.reduce(0) { $0 + $1 * $1 }.squareRoot()
    }

    /// The cosine of the angle between two embeddings: 1 for equal ones; NaN where one is all zeros or not finite.
    public func similarity(to other: Embedding) throws -> Float {
        guard space == other.space, values.count == other.values.count else {
            throw Problem.input(
                "embeddings of \(values.count) values of '\(shown(space))' and \(other.values.count) of "
                    + "'\(shown(other.space))': embed both with one version of the model")
        }
        return zip(values, other.values).reduce(0) { $0 + $1.0 * $1.1 } / (length * other.length)
    }

    /// Throws where it has no direction, and so is near to nothing.
    fileprivate func expectDirection() throws {
        guard length > 0, length.isFinite else {
            throw Problem.input("an embedding that is all zeros or not finite: embed its photo again")
        }
    }
}

/// Embeddings of one space in memory, searched whole: exact, and fast enough for some ten thousand of them.
public struct Gallery<ID: Hashable & Sendable>: Sendable {
    public struct Match: Sendable {
        public let id: ID
        public let similarity: Float
    }

    public private(set) var count = 0
    private var ids: [ID] = []
    private var embeddings: [Embedding] = []

    public init() {}

    /// Add an embedding of the same space as the ones before; an id may have several.
    public mutating func add(_ embedding: Embedding, as id: ID) throws {
        try embedding.expectDirection()
        if let first = embeddings.first { _ = try embedding.similarity(to: first) }
        ids.append(id)
        embeddings.append(embedding)
        count += 1
    }

    /// The `k` nearest ids, the nearest first; each once, by its nearest embedding. Earlier ones win a tie.
    public func topK(_ k: Int, of query: Embedding) throws -> [Match] {
        try query.expectDirection()
        var best: [ID: (similarity: Float, at: Int)] = [:]
        for (at, embedding) in embeddings.enumerated() {
            let similarity = try query.similarity(to: embedding)
            if let known = best[ids[at]], known.similarity >= similarity { continue }
            best[ids[at]] = (similarity, at)
        }
        let ordered = best.sorted { ($1.value.similarity, $0.value.at) < ($0.value.similarity, $1.value.at) }
        return ordered.prefix(max(k, 0)).map { Match(id: $0.key, similarity: $0.value.similarity) }
    }
}

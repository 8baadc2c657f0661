// job.json, schema edgekit.job/2: what to measure and how, as the driver wrote it.
import Foundation

struct Job: Sendable {
    enum Key: String, CaseIterable {
        case schema
        case runID = "run_id"
        case model
        case format
        case facts
        case inputs
        case photos
        case golden
        case count
        case height
        case width
        case dim
        case layout
        case warmup
        case iterations
        case duration
        case threads
        case minCosine = "min_cosine"
        case computeUnits = "compute_units"
        case out
        case embeddings
    }

    static let file = BenchProtocol.jobFile

    let folder: Folder
    let runID: String
    let model: String
    let format: ModelFormat
    let facts: JSON
    let inputs: String?
    /// A golden folder in the place of `inputs`: this app decodes, turns, scales and crops.
    let photos: String?
    let golden: String
    let count: Int
    let height: Int
    let width: Int
    let dim: Int
    let warmup: Int
    let iterations: Int
    let duration: Double
    let minCosine: Double
    let computeUnits: ComputeUnits
    let out: String
    /// A file beside the result for the embedding of each image.
    let embeddings: String?

    /// Read the job of a folder; a Problem says what is wrong with it.
    init(folder: URL) throws {
        let files = Folder(root: folder)
        let value = try JSON.read(
            folder.appendingPathComponent(Job.file), name: Job.file, most: BenchProtocol.maxJobBytes)
        guard let fields = value.fields else { throw Problem.input("\(Job.file): not a JSON object: make it again") }
        let read = Reader(fields: fields)
        guard try read.text(.schema) == BenchProtocol.jobSchema else {
            throw Problem.input("\(Job.file): schema is not \(BenchProtocol.jobSchema): use the driver of this version")
        }
        for key in fields.keys.sorted() where Key(rawValue: key) == nil {
            throw Problem.input("\(Job.file): unknown key '\(shown(key))': use the driver of this version")
        }
        guard let format = ModelFormat(rawValue: try read.choice(.format, of: BenchProtocol.formats)) else {
            let taken = ModelFormat.allCases.map { "\($0.rawValue) (.\($0.suffix))" }.joined(separator: " or ")
            throw Problem.input("\(Job.file): format is not what this app runs: give it \(taken)")
        }
        // A Core ML model takes an image, whatever the layout of the others is.
        guard try read.choice(.layout, of: BenchProtocol.layouts) == "nchw" || format == .coreml else {
            throw Problem.input(
                "\(Job.file): layout is not nchw, which \(format.rawValue) takes: export the model again")
        }
        _ = try read.whole(.threads, 1...BenchProtocol.maxThreads)
        guard let facts = fields[Key.facts.rawValue], facts.fields != nil else {
            throw read.wrong(.facts, "the model part of a result, an object")
        }
        self.folder = files
        self.format = format
        self.facts = facts
        runID = try read.hexadecimal(.runID, digits: BenchProtocol.runIdDigits)
        model = try read.path(.model)
        photos = try read.optional(.photos)
        inputs = photos == nil ? try read.path(.inputs) : try read.optional(.inputs)
        golden = try read.path(.golden)
        out = try read.path(.out)
        embeddings = try read.optional(.embeddings)
        count = try read.whole(.count, 1...BenchProtocol.maxImages)
        height = try read.whole(.height, 1...BenchProtocol.maxSide)
        width = try read.whole(.width, 1...BenchProtocol.maxSide)
        dim = try read.whole(.dim, 1...BenchProtocol.maxDim)
        warmup = try read.whole(.warmup, 0...BenchProtocol.maxSamples)
        iterations = try read.whole(.iterations, 1...BenchProtocol.maxSamples)
        duration = try read.real(.duration, 0...BenchProtocol.maxDurationS)
        minCosine = try read.real(.minCosine, -1...1)
        switch fields[Key.computeUnits.rawValue] {
        case nil, .null: computeUnits = .all
        case let given?:
            guard let units = ComputeUnits(rawValue: given.string ?? "") else {
                throw read.wrong(.computeUnits, ComputeUnits.allCases.map(\.rawValue).joined(separator: ", "))
            }
            computeUnits = units
        }
        let given: [(Key, String?)] = [(.model, model), (.inputs, inputs), (.photos, photos), (.golden, golden)]
        let taken = given.compactMap(\.1) + [Job.file, BenchProtocol.computePlanFile]
        guard !out.contains("/"), !taken.contains(out) else { throw read.wrong(.out, "a file name of its own") }
        for (key, name) in given + [(.out, out), (.embeddings, embeddings)] {
            if let name { _ = try files.place(name, key: key.rawValue) }
        }
        guard photos == nil || inputs == nil else { throw read.wrong(.inputs, "none where photos are given") }
        guard let embeddings else { return }
        guard !embeddings.contains("/"), !(taken + [out]).contains(embeddings) else {
            throw read.wrong(.embeddings, "a file name of its own")
        }
        guard 1 + warmup + iterations >= count else {
            throw read.wrong(.iterations, "\(count): the embeddings are those of every image")
        }
    }

    func readGolden() throws -> [Float] {
        try folder.embeddings(golden, key: Key.golden.rawValue, count: count, dim: dim)
    }
}

private struct Reader {
    let fields: [String: JSON]

    func wrong(_ key: Job.Key, _ wanted: String) -> Problem {
        let state = fields[key.rawValue] == nil ? "is missing" : "is not what it should be"
        return Problem.input("\(Job.file): '\(key.rawValue)' \(state): give \(wanted)")
    }

    func text(_ key: Job.Key) throws -> String {
        guard let value = fields[key.rawValue]?.string else { throw wrong(key, "a text") }
        return value
    }

    func path(_ key: Job.Key) throws -> String {
        let value = try text(key)
        guard !value.isEmpty else { throw wrong(key, "a file name") }
        return value
    }

    /// nil where the key is missing or null.
    func optional(_ key: Job.Key) throws -> String? {
        switch fields[key.rawValue] {
        case nil, .null: return nil
        default: return try path(key)
        }
    }

    func choice(_ key: Job.Key, of choices: [String]) throws -> String {
        guard let value = fields[key.rawValue]?.string, choices.contains(value) else {
            throw wrong(key, choices.joined(separator: ", "))
        }
        return value
    }

    func hexadecimal(_ key: Job.Key, digits: Int) throws -> String {
        guard let value = fields[key.rawValue]?.string, value.utf8.count == digits,
            value.utf8.allSatisfy({ "0123456789abcdef".utf8.contains($0) })
        else { throw wrong(key, "\(digits) lower-case hexadecimal digits") }
        return value
    }

    func whole(_ key: Job.Key, _ range: ClosedRange<Int>) throws -> Int {
        guard let value = fields[key.rawValue]?.integer, range.contains(value) else {
            throw wrong(key, "a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }

    func real(_ key: Job.Key, _ range: ClosedRange<Double>) throws -> Double {
        guard let value = fields[key.rawValue]?.double, range.contains(value) else {
            throw wrong(key, "a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }
}

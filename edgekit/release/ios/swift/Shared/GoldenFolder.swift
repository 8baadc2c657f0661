// A golden folder, schema edgekit.golden/1: photos, and the pixels and embeddings that Python makes of them.
import Foundation

struct GoldenFolder: Sendable {
    struct Item: Sendable {
        let file: String
        let orientation: Int
        let sha256: String
    }

    static let file = BenchProtocol.goldenFile

    let folder: Folder
    let facts: JSON
    let preprocessing: Preprocessing
    let dim: Int
    let items: [Item]

    init(folder: URL) throws {
        let value = try JSON.read(
            folder.appendingPathComponent(GoldenFolder.file), name: GoldenFolder.file,
            most: BenchProtocol.maxGoldenBytes)
        guard let fields = value.fields, fields["schema"]?.string == BenchProtocol.goldenSchema else {
            throw Problem.input(
                "\(GoldenFolder.file): schema is not \(BenchProtocol.goldenSchema): make it again with edgekit golden")
        }
        guard let facts = fields["model"], facts.fields != nil else { throw GoldenFolder.wrong("model") }
        guard let dim = fields["dim"]?.integer, (1...BenchProtocol.maxDim).contains(dim) else {
            throw GoldenFolder.wrong("dim")
        }
        guard let items = fields["items"]?.items, (1...BenchProtocol.maxGoldenItems).contains(items.count) else {
            throw GoldenFolder.wrong("items")
        }
        self.folder = Folder(root: folder)
        self.facts = facts
        self.dim = dim
        preprocessing = try GoldenFolder.preprocessing(fields["preprocessing"]?.fields ?? [:])
        self.items = try items.enumerated().map { index, item in
            guard let file = item.fields?["file"]?.string, let sha256 = item.fields?["sha256"]?.string,
                let orientation = item.fields?["orientation"]?.integer, (1...8).contains(orientation)
            else { throw GoldenFolder.wrong("items[\(index)]") }
            return Item(file: file, orientation: orientation, sha256: sha256)
        }
    }

    /// Do with each photo all that Python does, and compare: one entry for each item.
    ///
    /// `decode` gives a photo's pixels as they are stored, `sha256` the hexadecimal digest of a file.
    func compare(
        model: Model, sha256: ([UInt8]) -> String, decode: ([UInt8], String) throws -> Pixels
    ) async throws -> [GoldenItem] {
        let imageBytes = 3 * preprocessing.height * preprocessing.width
        let due = try folder.read(
            BenchProtocol.inputsFile, key: GoldenFolder.file, bytes: product(items.count, imageBytes),
            meaning: "uint8 images [items,height,width,3]")
        let embeddings = try folder.embeddings(
            BenchProtocol.embeddingsFile, key: GoldenFolder.file, count: items.count, dim: dim)
        var results: [GoldenItem] = []
        for (index, item) in items.enumerated() {
            let (image, turn) = try pixels(of: item, sha256: sha256, decode: decode)
            let wanted = [UInt8](due[index * imageBytes..<(index + 1) * imageBytes])
            let golden = embeddings[index * dim..<(index + 1) * dim]
            results.append(
                GoldenItem(
                    file: item.file, orientationFound: turn == item.orientation,
                    pixelsMaxAbs: zip(image.bytes, wanted).map { abs(Int($0) - Int($1)) }.max() ?? 0,
                    pixelsEqual: Double(zip(image.bytes, wanted).filter { $0 == $1 }.count) / Double(imageBytes),
                    samePixels: try await check(model, wanted, golden),
                    ownPixels: try await check(model, image.bytes, golden)))
        }
        return results
    }

    /// What this device makes of a photo, and the orientation that its file states.
    func pixels(
        of item: Item, sha256: ([UInt8]) -> String, decode: ([UInt8], String) throws -> Pixels
    ) throws -> (Pixels, Int) {
        let name = "\(GoldenFolder.file) \(shown(item.file))"
        let bytes = try readFile(
            try folder.place(item.file, key: GoldenFolder.file), name: name, most: BenchProtocol.maxPhotoBytes)
        guard sha256(bytes) == item.sha256 else {
            throw Problem.input("\(name): its sha256 is not the one listed: copy the folder again")
        }
        let turn = orientation(of: bytes)
        return (try preprocessing.apply(to: try decode(bytes, item.file).upright(turn)), turn)
    }

    /// Which file of the folder is the model that the embeddings belong to, and what runs it.
    func model() throws -> (ModelFormat, String) {
        guard let format = ModelFormat(rawValue: facts.fields?["format"]?.string ?? "") else {
            let taken = ModelFormat.allCases.map(\.rawValue).joined(separator: " or ")
            throw Problem.input("\(GoldenFolder.file): its model's format is not \(taken): make it of a model for iOS")
        }
        return (format, "model.\(format.suffix)")
    }

    private func check(_ model: Model, _ pixels: [UInt8], _ golden: ArraySlice<Float>) async throws -> Check {
        var result = Check(images: 1)
        try pixels.withUnsafeBufferPointer { try model.set($0) }
        try await model.run()
        let output = try model.embedding()
        guard output.count == dim else {
            throw Problem.input(
                "\(GoldenFolder.file): the model gives \(output.count) values, dim is \(dim): copy its own folder")
        }
        result.compare(output, with: golden)
        return result
    }

    private static func preprocessing(_ fields: [String: JSON]) throws -> Preprocessing {
        func whole(_ key: String) throws -> Int {
            guard let value = fields[key]?.integer, (1...BenchProtocol.maxSide).contains(value) else {
                throw wrong("preprocessing.\(key)")
            }
            return value
        }
        guard let interpolation = Interpolation(rawValue: fields["interpolation"]?.string ?? "") else {
            throw wrong("preprocessing.interpolation")
        }
        guard let mode = CropMode(rawValue: fields["crop_mode"]?.string ?? "") else {
            throw wrong("preprocessing.crop_mode")
        }
        // Far below what any model has; sizes that are divided by less do not fit into integers.
        guard let cropPct = fields["crop_pct"]?.double, cropPct >= 1e-4, cropPct <= BenchProtocol.maxCropPct else {
            throw wrong("preprocessing.crop_pct")
        }
        let fill = (fields["fill"]?.items ?? []).compactMap { $0.integer.flatMap(UInt8.init(exactly:)) }
        guard fill.count == 3 else { throw wrong("preprocessing.fill") }
        return Preprocessing(
            height: try whole("height"), width: try whole("width"), interpolation: interpolation, cropPct: cropPct,
            cropMode: mode, fill: fill)
    }

    private static func wrong(_ key: String) -> Problem {
        .input("\(file): '\(key)' is missing or wrong: make the folder again with edgekit golden")
    }
}

/// The differences of one photo: with Python's pixels, which test the model alone, and with the device's own pixels.
struct GoldenItem: Sendable {
    let file: String
    let orientationFound: Bool
    let pixelsMaxAbs: Int
    let pixelsEqual: Double
    let samePixels: Check
    let ownPixels: Check

    func passed(_ limit: Double) -> Bool { orientationFound && samePixels.passed(limit) && ownPixels.passed(limit) }

    var json: JSON {
        func cosine(_ check: Check) -> JSON { check.comparable ? .number(check.minCosine) : .null }
        return .object([
            "file": .text(file), "orientation_found": .bool(orientationFound), "pixels_max_abs": .whole(pixelsMaxAbs),
            "pixels_equal": .number(pixelsEqual), "cosine_same_pixels": cosine(samePixels),
            "cosine_own_pixels": cosine(ownPixels),
        ])
    }
}

// A command line around the Swift library for the tests on Linux.
//
//   library verify INDEX            every case of a table of bundles, one JSON document of the answers
//   library unpack ARCHIVE KEY OUT  verify and unpack one archive
//   library names FILE              which of a JSON list of names are plain, and why the list is refused
//   library embed FOLDER KEY        an embedder of a signed bundle with a Core AI asset: a photo, and its self-test
//   library search FILE             a query and the embeddings of a gallery, two for each id: the nearest three ids
//   library time ROWS               how long one search in a gallery of so many embeddings takes
import CryptoKit
import Foundation

func text(_ path: String) throws -> String { try String(contentsOf: URL(fileURLWithPath: path), encoding: .utf8) }

func answer(_ work: () throws -> VerifiedBundle) -> JSON {
    do {
        return .object(["accepted": .text(try work().version)])
    } catch let refusal as Refusal {
        return .object(["reason": .text(refusal.reason.rawValue), "line": .text(refusal.description)])
    } catch {
        return .object(["error": .text("\(error)")])
    }
}

func verifyAll(_ index: URL) throws -> JSON {
    let cases = try JSON.read(index, name: "index.json", most: 1 << 26).fields?["cases"]?.items ?? []
    let root = index.deletingLastPathComponent()
    var answers: [String: JSON] = [:]
    for one in cases {
        guard let fields = one.fields, let name = fields["case"]?.string, let kind = fields["kind"]?.string,
            let path = fields["path"]?.string, let key = fields["public_key"]?.string
        else { throw Problem.input("index.json: a case is not whole") }
        let wanted = fields["expectations"]?.fields ?? [:]
        let expecting = BundleVerifier.Expectations(
            name: wanted["name"]?.string, minimumVersion: wanted["minimum_version"]?.string,
            space: wanted["space"]?.string)
        let verifier = try BundleVerifier(publicKey: try text(root.appendingPathComponent(key).path))
        let place = root.appendingPathComponent(path)
        answers[name] = answer {
            try kind == "folder"
                ? verifier.verify(folder: place, expecting: expecting)
                : verifier.verify(archive: place, expecting: expecting)
        }
    }
    return .object(answers)
}

func unpack(_ archive: String, _ key: String, _ out: String) throws -> JSON {
    let verifier = try BundleVerifier(publicKey: try text(key))
    let bundle = try verifier.unpack(archive: URL(fileURLWithPath: archive), into: URL(fileURLWithPath: out))
    return .object(["root": .text(bundle.root.lastPathComponent), "models": .whole(Int64(bundle.models.count))])
}

func names(_ file: URL) throws -> JSON {
    let listed = try JSON.read(file, name: "names", most: 1 << 24).items?.compactMap(\.string) ?? []
    var reason: String?
    do {
        try BundleNames.check(listed)
    } catch let refusal as Refusal { reason = refusal.reason.rawValue }
    return .object(["plain": .list(listed.map { .bool(BundleNames.isPlain($0)) }), "reason": .text(reason)])
}

/// The photos' pixels lie beside them: width and height as uint32 little-endian, then RGB.
func decodeRaw(_ folder: URL, _ file: String) throws -> Pixels {
    let raw = try readFile(folder.appendingPathComponent(file + ".rgb"), name: file, most: 1 << 28)
    let sizes = [0, 4].map { at in raw[at..<at + 4].reversed().reduce(0) { $0 << 8 | Int($1) } }
    return try Pixels(width: sizes[0], height: sizes[1], bytes: Array(raw[8...]))
}

func embed(_ root: URL, _ key: String) async throws -> JSON {
    let bundle = try BundleVerifier(publicKey: try text(key)).verify(folder: root)
    let embedder = try await Embedder.load(from: bundle)
    guard let golden = bundle.models.first?.golden else { throw Problem.input("no golden vectors") }
    let photo = try decodeRaw(root.deletingLastPathComponent(), "photo")
    // Many at once: the model has one input.
    let found = try await withThrowingTaskGroup(of: Embedding.self) { group in
        for _ in 0..<8 {
            group.addTask { try await embedder.embed(rgb: photo.bytes, width: photo.width, height: photo.height) }
        }
        return try await group.reduce(into: [Embedding]()) { $0.append($1) }
    }
    var reason: String?
    let test = try await embedder.selfTest(sha256: sha256(_:), decode: { _, file in
        try decodeRaw(golden.deletingLastPathComponent(), file)
    })
    do { try test.require() } catch let refusal as Refusal { reason = refusal.reason.rawValue }
    return .object([
        "space": .text(embedder.space), "equal": .bool(found.allSatisfy { $0 == found[0] }),
        "values": .list(found[0].values.map { .number(Double($0)) }), "passed": .bool(test.passed),
        "photos": .whole(Int64(test.photos.count)), "reason": .text(reason),
    ])
}

func search(_ file: URL) throws -> JSON {
    let rows = try JSON.read(file, name: "rows", most: 1 << 24).items ?? []
    var gallery = Gallery<Int>()
    let embeddings = rows.map { Embedding(values: ($0.items ?? []).map { Float($0.double ?? 0) }, space: "tests") }
    for (index, embedding) in embeddings.dropFirst().enumerated() { try gallery.add(embedding, as: index / 2) }
    let found = try gallery.topK(3, of: embeddings[0])
    func refused(_ values: [Float], space: String = "tests") -> JSON {
        var lines: [JSON] = []
        let wrong = Embedding(values: values, space: space)
        do { _ = try gallery.topK(1, of: wrong) } catch { lines.append(.text("\(error)")) }
        do { try gallery.add(wrong, as: 0) } catch { lines.append(.text("\(error)")) }
        return .list(lines)
    }
    let values = embeddings[0].values
    let twice = Embedding(values: values.map { 2 * $0 }, space: "tests")
    return .object([
        "ids": .list(found.map { .whole(Int64($0.id)) }),
        "similarities": .list(found.map { .number(Double($0.similarity)) }),
        "other": refused(values, space: "other"), "short": refused(Array(values.dropLast())),
        "nan": refused([.nan] + values.dropFirst()), "infinite": refused([.infinity] + values.dropFirst()),
        "zero": refused(values.map { 0 * $0 }), "twice": .number(Double(try Embedder.compare(twice, embeddings[0]))),
        "all": .whole(Int64(try gallery.topK(.max, of: embeddings[0]).count)),
        "none": .whole(Int64(try gallery.topK(0, of: embeddings[0]).count)),
        "empty": .whole(Int64(try Gallery<Int>().topK(3, of: embeddings[0]).count)),
    ])
}

/// Seconds of one search in a gallery of that many random embeddings of 256 values.
func time(_ rows: Int) throws -> JSON {
    var state: UInt32 = 1
    func random() -> Float {
        state = state &* 1_664_525 &+ 1_013_904_223
        return Float(state >> 8) / Float(1 << 23) - 1
    }
    var gallery = Gallery<Int>()
    for id in 0..<rows { try gallery.add(Embedding(values: (0..<256).map { _ in random() }, space: "tests"), as: id) }
    let query = Embedding(values: (0..<256).map { _ in random() }, space: "tests")
    let start = Date()
    let found = try gallery.topK(10, of: query)
    return .object(["seconds": .number(Date().timeIntervalSince(start)), "found": .whole(Int64(found.count))])
}

let arguments = CommandLine.arguments
do {
    let result: JSON
    switch arguments[1] {
    case "verify": result = try verifyAll(URL(fileURLWithPath: arguments[2]))
    case "unpack": result = try unpack(arguments[2], arguments[3], arguments[4])
    case "embed": result = try await embed(URL(fileURLWithPath: arguments[2]), arguments[3])
    case "search": result = try search(URL(fileURLWithPath: arguments[2]))
    case "time": result = try time(Int(arguments[2]) ?? 0)
    case "names": result = try names(URL(fileURLWithPath: arguments[2]))
    default: throw Problem.input("'\(arguments[1])' is not a command")
    }
    print(String(decoding: result.document(), as: UTF8.self))
} catch {
    FileHandle.standardError.write(Data("library: \(error)\n".utf8))
    exit(2)
}

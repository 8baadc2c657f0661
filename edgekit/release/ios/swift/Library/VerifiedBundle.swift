// A bundle whose signature and hashes hold, and what its bundle.json says.
import Foundation

public struct VerifiedBundle: Sendable {
    static let document = "bundle.json"
    static let schema = "edgekit.bundle/1"

    /// The bundle's folder, or the archive where it was left as it is.
    public let root: URL
    public let name: String
    public let version: String
    public let space: String
    let models: [PackagedModel]
    private let files: [String: (digest: String, bytes: Int)]

    /// `document` is bundle.json; nil where it is missing or too long.
    init(document: [UInt8]?, root: URL) throws {
        guard let fields = document.flatMap(JSON.parse)?.fields, fields["schema"]?.string == VerifiedBundle.schema,
            let name = fields["name"]?.string, VerifiedBundle.isName(name),
            let version = fields["version"]?.string, Version(version) != nil,
            let space = fields["space"]?.string, VerifiedBundle.isSpace(space),
            let listed = fields["files"]?.items, let artifacts = fields["artifacts"]?.items, !artifacts.isEmpty
        else { throw Refusal(.schema, "\(VerifiedBundle.document) is missing or wrong") }
        var files: [String: (digest: String, bytes: Int)] = [:]
        for item in listed {
            guard let path = item.fields?["path"]?.string, let digest = item.fields?["sha256"]?.string,
                let bytes = item.fields?["bytes"]?.integer, files.updateValue((digest, bytes), forKey: path) == nil
            else { throw Refusal(.schema, "\(VerifiedBundle.document): its list of files") }
        }
        self.root = root
        self.name = name
        self.version = version
        self.space = space
        self.files = files
        models = artifacts.compactMap { PackagedModel(artifact: $0, in: root) }
    }

    private init(_ other: VerifiedBundle, root: URL) {
        self.root = root
        name = other.name
        version = other.version
        space = other.space
        files = other.files
        models = other.models.map { $0.moved(from: other.root, to: root) }
    }

    func moved(to root: URL) -> VerifiedBundle { VerifiedBundle(self, root: root) }

    /// The list in bundle.json is exactly the files that are there, by name -> SHA-256 and bytes.
    func check(files found: [String: String], sizes: [String: Int]) throws {
        let others = found.filter { $0.key != VerifiedBundle.document }
        guard others.count == files.count,
            others.allSatisfy({ files[$0.key]?.digest == $0.value && files[$0.key]?.bytes == sizes[$0.key] })
        else { throw Refusal(.schema, "\(VerifiedBundle.document) lists other files") }
    }

    private static func isName(_ text: String) -> Bool {
        let letters = Set("abcdefghijklmnopqrstuvwxyz0123456789".utf8), more = Set("._-".utf8)
        guard (1...64).contains(text.utf8.count), let first = text.utf8.first, letters.contains(first) else {
            return false
        }
        return text.utf8.allSatisfy { letters.contains($0) || more.contains($0) }
    }

    private static func isSpace(_ text: String) -> Bool {
        (1...128).contains(text.utf8.count) && text.utf8.allSatisfy { (0x21...0x7e).contains($0) }
    }
}

/// Three numbers of Semantic Versioning.
struct Version: Comparable {
    let numbers: [Int]

    init?(_ text: String) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        let isPlain = parts.allSatisfy { part in
            (1...9).contains(part.utf8.count) && part.utf8.allSatisfy { (0x30...0x39).contains($0) }
                && (part == "0" || part.first != "0")
        }
        guard parts.count == 3, isPlain else { return nil }
        numbers = parts.compactMap { Int($0) }
    }

    static func < (left: Version, right: Version) -> Bool { left.numbers.lexicographicallyPrecedes(right.numbers) }
}

#if canImport(CryptoKit)
    extension VerifiedBundle {
        func check(_ expected: BundleVerifier.Expectations) throws {
            if let wanted = expected.name, wanted != name { throw Refusal(.wrongName, "\(name), not \(wanted)") }
            if let least = expected.minimumVersion {
                guard let wanted = Version(least) else {
                    throw Problem.input("minimumVersion '\(shown(least))': give three numbers, for example 1.2.0")
                }
                guard let own = Version(version), own >= wanted else {
                    throw Refusal(.downgraded, "\(version), at least \(least) is wanted")
                }
            }
            if let wanted = expected.space, wanted != space { throw Refusal(.wrongSpace, "\(space), not \(wanted)") }
        }
    }
#endif

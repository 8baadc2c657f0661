// A command line around the Swift library for the tests on Linux.
//
//   library verify INDEX            every case of a table of bundles, one JSON document of the answers
//   library unpack ARCHIVE KEY OUT  verify and unpack one archive
//   library names FILE              which of a JSON list of names are plain, and why the list is refused
//   library coreai FOLDER           an embedder of a simulated Core AI asset, from a verified bundle
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

let arguments = CommandLine.arguments
do {
    let result: JSON
    switch arguments[1] {
    case "verify": result = try verifyAll(URL(fileURLWithPath: arguments[2]))
    case "unpack": result = try unpack(arguments[2], arguments[3], arguments[4])
    case "names": result = try names(URL(fileURLWithPath: arguments[2]))
    default: throw Problem.input("'\(arguments[1])' is not a command")
    }
    print(String(decoding: result.document(), as: UTF8.self))
} catch {
    FileHandle.standardError.write(Data("library: \(error)\n".utf8))
    exit(2)
}

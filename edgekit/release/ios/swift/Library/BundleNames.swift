// Names of files in bundles, by the rules of edgekit/release/names.py: printable ASCII, inside the folder, none twice.

enum BundleNames {
    static let longest = 240
    static let longestPart = 100
    private static let refused = Set("\\:*?\"<>|".utf8)
    private static let devices: Set<String> = ["con", "prn", "aux", "nul", "conin$", "conout$"]

    /// Refuses the first name that no file system may get, that is there twice, or that is another's without case.
    static func check(_ names: [String]) throws {
        var spelled: [String: String] = [:]
        var files: Set<String> = [], folders: Set<String> = []
        for name in names {
            guard isPlain(name) else { throw Refusal(.badName, "'\(name)'") }
            guard !files.contains(name) else { throw Refusal(.duplicateName, "'\(name)'") }
            var path = "", above: [String] = []
            for part in name.split(separator: "/") {
                if !path.isEmpty { above.append(path) }
                path += (path.isEmpty ? "" : "/") + part
                let known = spelled.updateValue(path, forKey: path.lowercased()) ?? path
                guard known == path else { throw Refusal(.nameCollision, "'\(name)' and '\(known)'") }
            }
            guard !folders.contains(name), files.isDisjoint(with: above) else {
                throw Refusal(.nameCollision, "'\(name)' is a file and a folder")
            }
            folders.formUnion(above)
            files.insert(name)
        }
    }

    static func isPlain(_ name: String) -> Bool {
        let bytes = Array(name.utf8)
        guard bytes.count <= longest, bytes.allSatisfy({ (0x20...0x7e).contains($0) && !refused.contains($0) }) else {
            return false
        }
        return bytes.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).allSatisfy { part in
            let text = String(decoding: part, as: UTF8.self)
            let fits = !part.isEmpty && part.count <= longestPart && text != "." && text != ".."
            let edges = part.first != 0x20 && part.last != 0x20 && part.last != UInt8(ascii: ".")
            return fits && edges && !isDevice(text)
        }
    }

    /// Whether Windows takes it for a device, whatever stands after a dot.
    private static func isDevice(_ part: String) -> Bool {
        var stem = part.lowercased().prefix { $0 != "." }
        while part.utf8.count == stem.utf8.count, stem.last == " " { stem.removeLast() }
        if devices.contains(String(stem)) { return true }
        return stem.utf8.count == 4 && (stem.hasPrefix("com") || stem.hasPrefix("lpt")) && stem.last?.isNumber == true
    }
}

// The files of a folder that someone else has filled: names that stay inside, sizes that are known, whole writes.
import Foundation

/// How many bytes a regular file has.
func fileSize(_ url: URL, name: String) throws -> Int {
    let facts = try? FileManager.default.attributesOfItem(atPath: url.path)
    guard let facts, let size = (facts[.size] as? NSNumber)?.intValue else {
        throw Problem.input("\(name): no such file: copy it to the device first")
    }
    guard facts[.type] as? FileAttributeType == .typeRegular else {
        throw Problem.input("\(name): not a regular file: copy the file itself")
    }
    return size
}

/// The whole of a regular file of at most `most` bytes.
func readFile(_ url: URL, name: String, most: Int) throws -> [UInt8] {
    let size = try fileSize(url, name: name)
    guard size <= most else {
        throw Problem.input("\(name): has \(size) bytes, at most \(most) are read: make it again")
    }
    guard let content = try? Data(contentsOf: url), content.count == size else {
        throw Problem.input("\(name): cannot be read: copy it to the device again")
    }
    return [UInt8](content)
}

struct Folder: Sendable {
    let root: URL

    /// The place of a file or folder inside this one; messages call it by `key`.
    func place(_ name: String, key: String) throws -> URL {
        let parts = name.split(separator: "/", omittingEmptySubsequences: false)
        let wrong = parts.contains { $0.isEmpty || $0 == "." || $0 == ".." } || name.utf8.count > 400
        guard !wrong, shown(name, most: 400) == name else {
            throw Problem.input("\(key) is '\(shown(name))': give a path inside the folder, without '..'")
        }
        let place = root.appendingPathComponent(name)
        let inside = root.resolvingSymlinksInPath().path
        guard place.resolvingSymlinksInPath().path.hasPrefix(inside + "/") else {
            throw Problem.input("\(key) is '\(shown(name))', a link that leaves the folder: copy the file itself")
        }
        return place
    }

    /// A file that must have exactly `bytes` bytes; nil is more than an integer holds.
    func read(_ name: String, key: String, bytes: Int?, meaning: String) throws -> [UInt8] {
        let (place, label, size) = try sized(name, key: key, bytes: bytes, meaning: meaning)
        return try readFile(place, name: label, most: size)
    }

    /// Where such a file is, what messages call it, and its size.
    func sized(_ name: String, key: String, bytes: Int?, meaning: String) throws -> (URL, String, Int) {
        guard let bytes, bytes <= 1 << 32 else {
            throw Problem.input("\(key): \(meaning) would have more than 4 GiB: give fewer or smaller images")
        }
        let place = try place(name, key: key), label = "\(key) \(shown(name))"
        let size = try fileSize(place, name: label)
        guard size == bytes else {
            throw Problem.input(
                "\(label): has \(size) bytes, \(meaning) have \(bytes): make it again or correct the sizes")
        }
        return (place, label, size)
    }

    /// Embeddings, float32 little-endian [count,dim], finite, none all zeros.
    func embeddings(_ name: String, key: String, count: Int, dim: Int) throws -> [Float] {
        let meaning = "float32 embeddings [count,dim]"
        let content = try read(name, key: key, bytes: product(count, dim, 4), meaning: meaning)
        let values = content.withUnsafeBytes { raw in
            (0..<count * dim).map {
                Float(bitPattern: UInt32(littleEndian: raw.loadUnaligned(fromByteOffset: 4 * $0, as: UInt32.self)))
            }
        }
        for image in 0..<count {
            let embedding = values[image * dim..<(image + 1) * dim]
            guard embedding.allSatisfy(\.isFinite), embedding.contains(where: { $0 != 0 }) else {
                throw Problem.input(
                    "\(key) \(shown(name)): the embedding of image \(image) is not finite or all zeros: make it again")
            }
        }
        return values
    }

    /// Write a file under its name only when it is whole.
    func write(_ content: Data, as name: String, key: String) throws {
        let place = try place(name, key: key)
        do {
            try content.write(to: place, options: .atomic)
        } catch {
            throw Problem.from(
                error, doing: "\(key) \(shown(name)): cannot be written",
                advice: "give a file name and free some space")
        }
    }
}

/// The product of sizes that come from a file, or nil where it does not fit.
func product(_ factors: Int...) -> Int? {
    var result = 1
    for factor in factors {
        let (value, overflow) = result.multipliedReportingOverflow(by: factor)
        if overflow || value < 0 { return nil }
        result = value
    }
    return result
}

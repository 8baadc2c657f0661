// What a job runs its model on, one image in memory at a time: pixels of a file, or photos that this device decodes.
import Foundation

/// What photos need of the device: a photo's pixels as they are stored, and the hexadecimal digest of a file.
struct PhotoReader: Sendable {
    let pixels: @Sendable ([UInt8], String) throws -> Pixels
    let digest: @Sendable ([UInt8]) -> String
}

/// The images of a job.
enum Images {
    case stored(StoredRows)
    case photos(GoldenFolder, PhotoReader)

    /// uint8 RGB [height,width,3].
    func read(_ index: Int) throws -> [UInt8] {
        switch self {
        case .stored(let rows): return try rows.read(index)
        case .photos(let golden, let reader):
            let (image, _) = try golden.pixels(of: golden.items[index], sha256: reader.digest, decode: reader.pixels)
            return image.bytes
        }
    }
}

extension Job {
    func images(_ reader: PhotoReader) throws -> Images {
        guard let photos else {
            guard let inputs else { throw Problem.input("\(Job.file): 'inputs' is missing: give a file name") }
            return .stored(
                try folder.rows(
                    inputs, key: Key.inputs.rawValue, count: count, bytes: product(height, width, 3),
                    meaning: "uint8 images [count,height,width,3]"))
        }
        let golden = try GoldenFolder(folder: try folder.place(photos, key: Key.photos.rawValue))
        let (size, label) = (golden.preprocessing, "\(Key.photos.rawValue) \(shown(photos))")
        guard golden.items.count == count, size.height == height, size.width == width else {
            throw Problem.input(
                "\(label): \(GoldenFolder.file) says \(golden.items.count) images of \(size.height) x \(size.width), "
                    + "the job has \(count) of \(height) x \(width): make both again")
        }
        let bytes = try golden.items.reduce(0) { sum, item in
            sum + (try fileSize(try golden.folder.place(item.file, key: GoldenFolder.file), name: shown(item.file)))
        }
        guard bytes <= BenchProtocol.maxPartBytes else {
            throw Problem.input(
                "\(label): its photos have \(bytes) bytes, more than \(BenchProtocol.maxPartBytes): give them in parts")
        }
        return .photos(golden, reader)
    }
}

/// A file of rows of `bytes` bytes each, of which one is in memory at a time.
struct StoredRows {
    let content: FileHandle
    let bytes: Int
    let label: String

    func read(_ index: Int) throws -> [UInt8] {
        try? content.seek(toOffset: UInt64(index * bytes))
        guard let row = try? content.read(upToCount: bytes), row.count == bytes else {
            throw Problem.input("\(label): cannot be read: copy it to the device again")
        }
        return [UInt8](row)
    }
}

extension Folder {
    /// A file of `count` rows of `bytes` bytes each, and nothing else.
    func rows(_ name: String, key: String, count: Int, bytes: Int?, meaning: String) throws -> StoredRows {
        let all = bytes.flatMap { product(count, $0) }
        let (place, label, size) = try sized(name, key: key, bytes: all, meaning: meaning)
        guard let content = try? FileHandle(forReadingFrom: place) else {
            throw Problem.input("\(label): cannot be read: copy it to the device again")
        }
        return StoredRows(content: content, bytes: size / count, label: label)
    }
}

// A ZIP archive in the one form that EdgeKit writes: members stored, one after the other, nothing between or around
// them, one folder at the top. Its own reader, because every other form is to be refused and not understood.
import Foundation

struct StoredZip {
    struct Member {
        let name: String
        let content: Range<Int>
    }

    private static let endBytes = 22
    private static let entryBytes = 46
    private static let localBytes = 30
    private static let plainFile = 0o100000

    let data: Data
    /// The folder at the top, which the names of `members` leave out.
    let top: String
    let members: [Member]

    init(_ data: Data) throws {
        self.data = data
        let reader = Bytes(data)
        let end = try StoredZip.end(reader)
        var at = end.directory, position = 0, total = 0
        var names: [String] = [], ranges: [Range<Int>] = []
        for _ in 0..<end.count {
            let entry = try Entry(reader, at: at, end: end.start)
            total += entry.size
            guard total <= Limits.totalBytes else { throw Refusal(.tooLarge, entry.name) }
            let content = try entry.content(reader, at: position, end: end.directory)
            names.append(entry.name)
            ranges.append(content)
            position = content.upperBound
            at += StoredZip.entryBytes + entry.nameBytes
        }
        guard at == end.start, position == end.directory else {
            throw Refusal(.archiveDamaged, "there are bytes that belong to no member")
        }
        try BundleNames.check(names)
        top = names.first.map { String($0.prefix { $0 != "/" }) } ?? ""
        let inside = top + "/"
        if let outside = names.first(where: { !$0.hasPrefix(inside) }) {
            throw Refusal(.badName, "'\(outside)' is not in the one folder at the top")
        }
        members = zip(names, ranges).map { Member(name: String($0.dropFirst(inside.count)), content: $1) }
    }

    /// The bytes of a member, which are not copied.
    func content(_ member: Member) -> Data {
        data[data.startIndex + member.content.lowerBound..<data.startIndex + member.content.upperBound]
    }

    /// Where the directory and its end record begin, and how many entries it has.
    private static func end(_ reader: Bytes) throws -> (start: Int, directory: Int, count: Int) {
        let start = reader.count - endBytes
        guard start >= 0, reader.has("PK\u{5}\u{6}", at: start) else {
            let tail = max(0, reader.count - 65_557)..<max(0, start)
            let elsewhere = tail.contains { reader.has("PK\u{5}\u{6}", at: $0) }
            throw Refusal(elsewhere ? .archiveDamaged : .truncated, "the archive's last bytes are not its end")
        }
        let count = reader.number(start + 10, 2), length = reader.number(start + 12, 4)
        let directory = reader.number(start + 16, 4)
        guard reader.number(start + 4, 4) == 0, reader.number(start + 8, 2) == count, count != 0xffff,
            reader.number(start + 20, 2) == 0, directory + length == start, count * entryBytes <= length
        else { throw Refusal(.archiveDamaged, "the archive's end record does not fit it") }
        guard count <= Limits.files else { throw Refusal(.tooManyFiles, "\(count) members") }
        return (start, directory, count)
    }

    /// One entry of the directory.
    private struct Entry {
        let name: String
        let nameBytes: Int
        let size: Int
        private let crc: Int
        private let offset: Int
        private let spelled: Data

        init(_ reader: Bytes, at start: Int, end: Int) throws {
            let damaged = Refusal(.archiveDamaged, "an entry of the archive's directory")
            guard start + entryBytes <= end, reader.has("PK\u{1}\u{2}", at: start) else { throw damaged }
            nameBytes = reader.number(start + 28, 2)
            guard start + entryBytes + nameBytes <= end else { throw damaged }
            spelled = reader.part(start + entryBytes, nameBytes)
            // What is not ASCII becomes a name that is refused.
            name = String(decoding: spelled, as: UTF8.self)
            guard reader.number(start + 10, 2) == 0 else { throw Refusal(.compressedMember, name) }
            guard reader.number(start + 38, 4) >> 16 & 0o170000 == plainFile else {
                throw Refusal(.notAPlainFile, name)
            }
            crc = reader.number(start + 16, 4)
            size = reader.number(start + 24, 4)
            offset = reader.number(start + 42, 4)
            guard size <= Limits.totalBytes else { throw Refusal(.tooLarge, name) }
            let isPlain = reader.number(start + 8, 2) == 0 && reader.number(start + 30, 2) == 0  // flags, extra field
            let isAlone = reader.number(start + 32, 2) == 0 && reader.number(start + 34, 2) == 0  // comment, disk
            guard isPlain, isAlone, reader.number(start + 20, 4) == size else { throw damaged }
        }

        /// Where its bytes lie: its own header must begin at `position`, say the same, and its CRC must hold.
        func content(_ reader: Bytes, at position: Int, end: Int) throws -> Range<Int> {
            let damaged = Refusal(.archiveDamaged, "'\(name)' is not as the directory says")
            let from = position + localBytes + nameBytes
            guard offset == position, from + size <= end, reader.has("PK\u{3}\u{4}", at: position),
                reader.number(position + 6, 4) == 0, reader.number(position + 14, 4) == crc,
                reader.number(position + 18, 4) == size, reader.number(position + 22, 4) == size,
                reader.number(position + 26, 4) == nameBytes,
                reader.part(position + localBytes, nameBytes) == spelled, reader.crc(from, size) == crc
            else { throw damaged }
            return from..<from + size
        }
    }
}

/// Numbers of a file, little-endian.
private struct Bytes {
    private let data: Data
    let count: Int
    private static let table: [UInt32] = (0..<256).map { start in
        (0..<8).reduce(UInt32(start)) { value, _ in value & 1 == 1 ? 0xedb8_8320 ^ value >> 1 : value >> 1 }
    }

    init(_ data: Data) {
        self.data = data
        count = data.count
    }

    func part(_ at: Int, _ length: Int) -> Data {
        data.subdata(in: data.startIndex + at..<data.startIndex + at + length)
    }

    func number(_ at: Int, _ length: Int) -> Int { part(at, length).reversed().reduce(0) { $0 << 8 | Int($1) } }

    func has(_ text: String, at: Int) -> Bool {
        at >= 0 && at + text.utf8.count <= count && part(at, text.utf8.count).elementsEqual(text.utf8)
    }

    func crc(_ at: Int, _ length: Int) -> Int {
        data.withUnsafeBytes { raw in
            Int(~raw[at..<at + length].reduce(~0) { Bytes.table[Int(UInt8(truncatingIfNeeded: $0) ^ $1)] ^ $0 >> 8 })
        }
    }
}

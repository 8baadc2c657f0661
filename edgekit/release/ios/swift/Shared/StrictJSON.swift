// JSON of RFC 8259 and nothing else, bounded in depth: no name twice in an object, which Foundation takes silently.

extension JSON {
    /// How many lists and objects may lie in each other.
    static let deepest = 32

    /// The value of a whole document in UTF-8; nil where it is not one.
    static func parse(_ bytes: [UInt8]) -> JSON? {
        var reader = Reader(bytes: bytes)
        guard let value = reader.value(depth: 0) else { return nil }
        reader.skipSpace()
        return reader.at == bytes.count ? value : nil
    }
}

private struct Reader {
    let bytes: [UInt8]
    var at = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    private var next: UInt8? { at < bytes.count ? bytes[at] : nil }

    mutating func skipSpace() {
        while let byte = next, [0x20, 0x09, 0x0a, 0x0d].contains(byte) { at += 1 }
    }

    /// Whether that byte came next; then it is behind.
    private mutating func took(_ character: Unicode.Scalar) -> Bool {
        guard next == UInt8(ascii: character) else { return false }
        at += 1
        return true
    }

    mutating func value(depth: Int) -> JSON? {
        skipSpace()
        guard let first = next else { return nil }
        if first == UInt8(ascii: "{") || first == UInt8(ascii: "["), depth >= JSON.deepest { return nil }
        switch first {
        case UInt8(ascii: "{"): return object(depth: depth)
        case UInt8(ascii: "["): return list(depth: depth)
        case UInt8(ascii: "\""): return string().map { .text($0) }
        case UInt8(ascii: "t"): return word("true", .bool(true))
        case UInt8(ascii: "f"): return word("false", .bool(false))
        case UInt8(ascii: "n"): return word("null", .null)
        default: return number()
        }
    }

    private mutating func word(_ text: String, _ value: JSON) -> JSON? {
        guard bytes[at...].starts(with: text.utf8) else { return nil }
        at += text.utf8.count
        return value
    }

    private mutating func object(depth: Int) -> JSON? {
        at += 1
        var fields: [String: JSON] = [:]
        skipSpace()
        if took("}") { return .object(fields) }
        while true {
            skipSpace()
            guard next == UInt8(ascii: "\""), let name = string(), fields[name] == nil else { return nil }
            skipSpace()
            guard took(":"), let item = value(depth: depth + 1) else { return nil }
            fields[name] = item
            skipSpace()
            if took("}") { return .object(fields) }
            guard took(",") else { return nil }
        }
    }

    private mutating func list(depth: Int) -> JSON? {
        at += 1
        var items: [JSON] = []
        skipSpace()
        if took("]") { return .list(items) }
        while true {
            guard let item = value(depth: depth + 1) else { return nil }
            items.append(item)
            skipSpace()
            if took("]") { return .list(items) }
            guard took(",") else { return nil }
        }
    }

    private mutating func string() -> String? {
        at += 1
        var content: [UInt8] = []
        while let byte = next, byte >= 0x20 {
            at += 1
            switch byte {
            case UInt8(ascii: "\""): return String(validating: content)
            case UInt8(ascii: "\\"):
                guard let scalar = escaped() else { return nil }
                content += Array(String(Character(scalar)).utf8)
            default: content.append(byte)
            }
        }
        return nil
    }

    private mutating func escaped() -> Unicode.Scalar? {
        guard let kind = next else { return nil }
        at += 1
        switch kind {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(kind)
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{c}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"): return unicode()
        default: return nil
        }
    }

    /// Four digits, or a pair of surrogates; nil for half a pair.
    private mutating func unicode() -> Unicode.Scalar? {
        guard let first = hexadecimal() else { return nil }
        guard (0xd800..<0xdc00).contains(first) else { return Unicode.Scalar(first) }
        guard took("\\"), took("u"), let second = hexadecimal(), (0xdc00..<0xe000).contains(second) else { return nil }
        return Unicode.Scalar(0x10000 + (first - 0xd800) << 10 + (second - 0xdc00))
    }

    private mutating func hexadecimal() -> UInt32? {
        guard at + 4 <= bytes.count else { return nil }
        let digits = bytes[at..<at + 4].compactMap { Character(Unicode.Scalar($0)).hexDigitValue }
        guard digits.count == 4 else { return nil }
        at += 4
        return digits.reduce(0) { $0 << 4 | UInt32($1) }
    }

    private mutating func digits() -> Int {
        let start = at
        while let byte = next, (0x30...0x39).contains(byte) { at += 1 }
        return at - start
    }

    private mutating func number() -> JSON? {
        let start = at
        var whole = true
        _ = took("-")
        let leading = next == UInt8(ascii: "0")
        let count = digits()
        guard count > 0, !(leading && count > 1) else { return nil }
        if took(".") {
            whole = false
            guard digits() > 0 else { return nil }
        }
        if took("e") || took("E") {
            whole = false
            if !took("+") { _ = took("-") }
            guard digits() > 0 else { return nil }
        }
        let text = String(decoding: bytes[start..<at], as: UTF8.self)
        if whole, let value = Int64(text) { return .whole(value) }
        return Double(text).flatMap { $0.isFinite ? .number($0) : nil }
    }
}

extension String {
    /// nil where the bytes are not UTF-8; nothing is put in their place.
    fileprivate init?(validating bytes: [UInt8]) {
        self.init(decoding: bytes, as: UTF8.self)
        guard utf8.elementsEqual(bytes) else { return nil }
    }
}

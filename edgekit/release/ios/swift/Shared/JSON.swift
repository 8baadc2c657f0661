// A JSON value: StrictJSON.swift reads it, this writes it: what is not known is null, numbers keep all their digits.
import Foundation

indirect enum JSON: Equatable, Sendable {
    case null
    case bool(Bool)
    case whole(Int64)
    case number(Double)
    case text(String)
    case list([JSON])
    case object([String: JSON])

    /// The value of a document of at most `most` bytes; messages call it `name`.
    static func read(_ url: URL, name: String, most: Int) throws -> JSON {
        let bytes = try readFile(url, name: name, most: most)
        guard let value = JSON.parse(bytes) else {
            throw Problem.input("\(name): not a JSON document in UTF-8: make it again")
        }
        return value
    }

    var fields: [String: JSON]? {
        if case .object(let fields) = self { return fields }
        return nil
    }

    var items: [JSON]? {
        if case .list(let items) = self { return items }
        return nil
    }

    var string: String? {
        if case .text(let value) = self { return value }
        return nil
    }

    var integer: Int? {
        if case .whole(let value) = self { return Int(exactly: value) }
        return nil
    }

    var double: Double? {
        if case .whole(let value) = self { return Double(value) }
        if case .number(let value) = self { return value }
        return nil
    }

    /// The document, with sorted keys and a final line break.
    func document() -> Data {
        var out = ""
        write(to: &out)
        out += "\n"
        return Data(out.utf8)
    }

    private func write(to out: inout String) {
        switch self {
        case .null: out += "null"
        case .bool(let value): out += value ? "true" : "false"
        case .whole(let value): out += String(value)
        case .number(let value): out += value.isFinite ? "\(value)" : "null"
        case .text(let value): JSON.quote(value, to: &out)
        case .list(let items):
            out += "["
            for (index, item) in items.enumerated() {
                if index > 0 { out += ", " }
                item.write(to: &out)
            }
            out += "]"
        case .object(let fields):
            out += "{"
            for (index, key) in fields.keys.sorted().enumerated() {
                out += index > 0 ? ",\n" : ""
                JSON.quote(key, to: &out)
                out += ": "
                (fields[key] ?? .null).write(to: &out)
            }
            out += "}"
        }
    }

    private static func quote(_ text: String, to out: inout String) {
        out += "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": out += "\\\""
            case "\\": out += "\\\\"
            case _ where scalar.value < 0x20 || scalar.value == 0x7f:
                let digits = String(scalar.value, radix: 16)
                out += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: out.unicodeScalars.append(scalar)
            }
        }
        out += "\""
    }
}

/// What is not known is null.
extension JSON {
    static func text(_ value: String?) -> JSON { value.map { JSON.text($0) } ?? .null }
    static func bool(_ value: Bool?) -> JSON { value.map { JSON.bool($0) } ?? .null }
    static func number(_ value: Double?) -> JSON { value.map { JSON.number($0) } ?? .null }
    static func whole(_ value: Int?) -> JSON { value.map { JSON.whole(Int64($0)) } ?? .null }
}

// What a signature file says: a Sigstore bundle with a DSSE envelope around an in-toto statement of OpenSSF's
// model-signing. Nothing of the statement is read before the signature over it holds.
#if canImport(CryptoKit)
    import CryptoKit
    import Foundation

    /// The files that were signed, and the SHA-256 of each, in hexadecimal digits.
    struct Statement {
        let resources: [(name: String, digest: String)]

        init(signature file: URL, key: P256.Signing.PublicKey) throws {
            let payload = try Statement.payload(of: try Statement.read(file), key: key)
            resources = try Statement.resources(of: payload)
        }

        /// One archive, not a folder.
        func archive() throws -> String {
            guard resources.count == 1, resources[0].name == "." else {
                throw Refusal(.statementUnknown, "it is not over one archive")
            }
            return resources[0].digest
        }

        /// Files of a folder, by their names.
        func folder() throws -> [String: String] {
            guard resources.count <= Limits.files else {
                throw Refusal(.tooManyFiles, "\(resources.count) are signed, at most \(Limits.files) are read")
            }
            try BundleNames.check(resources.map(\.name))
            return Dictionary(uniqueKeysWithValues: resources.map { ($0.name, $0.digest) })
        }

        private static func read(_ file: URL) throws -> [UInt8] {
            let name = file.lastPathComponent
            guard let facts = try? FileManager.default.attributesOfItem(atPath: file.path) else {
                throw Refusal(.unsigned, "there is no \(name)")
            }
            guard facts[.type] as? FileAttributeType == .typeRegular else { throw Refusal(.notAPlainFile, name) }
            guard let size = (facts[.size] as? NSNumber)?.intValue, size <= Limits.signatureBytes,
                let content = try? readFile(file, name: name, most: Limits.signatureBytes)
            else { throw Refusal(.signatureDamaged, "\(name) cannot be read, or is too long") }
            return content
        }

        /// The bytes that `key` signed: ECDSA P-256 with SHA-256 over the envelope's pre-authentication encoding.
        private static func payload(of file: [UInt8], key: P256.Signing.PublicKey) throws -> [UInt8] {
            guard let bundle = JSON.parse(file)?.fields, bundle["mediaType"]?.string == Limits.mediaType,
                let envelope = bundle["dsseEnvelope"]?.fields, envelope["payloadType"]?.string == Limits.payloadType,
                let payload = envelope["payload"]?.string.flatMap(bytes(ofBase64:)),
                let signatures = envelope["signatures"]?.items, signatures.count == 1,
                let signature = signatures[0].fields?["sig"]?.string.flatMap(bytes(ofBase64:))
            else { throw Refusal(.signatureDamaged, "it is not a Sigstore bundle with one signature") }
            let type = Limits.payloadType
            let signed = Data("DSSEv1 \(type.utf8.count) \(type) \(payload.count) ".utf8) + payload
            guard let read = try? P256.Signing.ECDSASignature(derRepresentation: signature),
                key.isValidSignature(read, for: signed)
            else { throw Refusal(.wrongKey, "the signature does not hold with the pinned key") }
            return [UInt8](payload)
        }

        private static func resources(of payload: [UInt8]) throws -> [(name: String, digest: String)] {
            let unknown = Refusal(.statementUnknown, "it is not a list of files with SHA-256 hashes")
            guard let fields = JSON.parse(payload)?.fields, fields["_type"]?.string == Limits.statementType,
                fields["predicateType"]?.string == Limits.predicateType, let predicate = fields["predicate"]?.fields,
                let form = predicate["serialization"]?.fields,
                form["method"]?.string == Limits.serializationMethod, form["hash_type"]?.string == Limits.algorithm,
                let listed = predicate["resources"]?.items, !listed.isEmpty,
                let subjects = fields["subject"]?.items, subjects.count == 1,
                let total = subjects[0].fields?["digest"]?.fields?[Limits.algorithm]?.string
            else { throw unknown }
            var all = SHA256()
            let resources = try listed.map { item -> (name: String, digest: String) in
                guard let name = item.fields?["name"]?.string, item.fields?["algorithm"]?.string == Limits.algorithm,
                    let digest = item.fields?["digest"]?.string, let bytes = digestBytes(digest)
                else { throw unknown }
                all.update(data: Data(bytes))
                return (name, digest)
            }
            guard hexadecimal(all.finalize()) == total else { throw unknown }
            return resources
        }

        /// The 32 bytes of 64 lower-case digits.
        private static func digestBytes(_ text: String) -> [UInt8]? {
            let digits = Array(text.utf8)
            guard digits.count == 64, digits.allSatisfy({ "0123456789abcdef".utf8.contains($0) }) else { return nil }
            return stride(from: 0, to: 64, by: 2).compactMap {
                UInt8(String(decoding: digits[$0..<$0 + 2], as: UTF8.self), radix: 16)
            }
        }
    }

    /// The bytes of canonical base64, RFC 4648, section 4: one text for the same bytes.
    private func bytes(ofBase64 text: String) -> Data? {
        Data(base64Encoded: text).flatMap { $0.base64EncodedString().utf8.elementsEqual(text.utf8) ? $0 : nil }
    }

    func hexadecimal(_ digest: SHA256Digest) -> String {
        digest.map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
    }

    func sha256(_ bytes: [UInt8]) -> String { hexadecimal(SHA256.hash(data: Data(bytes))) }

    /// The SHA-256 of a regular file and how many bytes it has, read in pieces; nil where it cannot be read.
    func sha256(of file: URL) -> (digest: String, bytes: Int)? {
        guard let handle = try? FileHandle(forReadingFrom: file) else { return nil }
        defer { try? handle.close() }
        var hash = SHA256(), bytes = 0
        while true {
            guard let part = try? handle.read(upToCount: 1 << 20), !part.isEmpty else {
                return (hexadecimal(hash.finalize()), bytes)
            }
            hash.update(data: part)
            bytes += part.count
        }
    }
#endif
